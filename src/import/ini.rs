//! A file as Python's `configparser` reads it, with the place of each setting.

use configparser::ini::{Ini, IniDefault};

/// A setting as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The section that it stands in; empty before the first.
    pub(super) section: String,
    /// Its name, in lower case: `configparser` does not tell cases apart.
    pub(super) name: String,
    /// What stands behind the `=` or `:`; none where neither is there.
    pub(super) value: Option<String>,
    /// Line and column of its name, counted from 1.
    pub(super) position: (usize, usize),
}

/// What keeps a text from being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) message: String,
}

/// The settings of `text` in its order. One that is there twice comes twice, with its last value.
pub(super) fn settings(text: &str) -> Result<Vec<Setting>, SyntaxError> {
    let mut parsed = Ini::new_from_defaults(dialect());
    let map = parsed.read(text.to_owned()).map_err(|message| located(&message))?;
    Ok(names(text)
        .filter_map(|(section, written, position)| {
            let value = map.get(section)?.get(written)?.clone();
            let (section, name) = (section.to_owned(), written.to_lowercase());
            Some(Setting { section, name, value, position })
        })
        .collect())
}

/// What `configparser.ConfigParser()` takes: no comment behind a value, and values that go on in
/// lines that are further indented.
fn dialect() -> IniDefault {
    let mut dialect = IniDefault::default();
    dialect.default_section = String::new();
    dialect.comment_symbols = vec!['#', ';'];
    dialect.delimiters = vec!['=', ':'];
    dialect.case_sensitive = true;
    dialect.multiline = true;
    dialect.enable_inline_comments = false;
    dialect
}

/// The library says where it stumbled in the words `line 3: …` or `line 3:0: …`.
fn located(message: &str) -> SyntaxError {
    let (place, what) = message.split_once(": ").unwrap_or(("", message));
    let line = place.trim_start_matches("line ").split(':').next().and_then(|n| n.parse().ok());
    let mut letters = what.chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    SyntaxError { line: line.unwrap_or(1), message: first + letters.as_str() }
}

/// Section, name and place of what may be a setting. The library keeps no places; what it has not
/// taken for a setting, such as a line that continues a value, it does not know by that name.
fn names(text: &str) -> impl Iterator<Item = (&str, &str, (usize, usize))> {
    let mut section = "";
    (1..).zip(text.lines()).filter_map(move |(number, line)| {
        let content = line.trim();
        if let Some(header) = content.strip_prefix('[') {
            section = header.rsplit_once(']').map_or(header, |(name, _)| name).trim();
            return None;
        }
        let name = content.split(['=', ':']).next().unwrap_or_default().trim();
        let column = line.chars().take_while(|c| c.is_whitespace()).count() + 1;
        Some((section, name, (number, column)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(section: &str, name: &str, value: Option<&str>, at: (usize, usize)) -> Setting {
        let value = value.map(str::to_owned);
        Setting { section: section.to_owned(), name: name.to_owned(), value, position: at }
    }

    #[test]
    fn a_file_is_read_as_python_reads_it() {
        let text = "# a comment\n[MQTT]\nBroker = 10.0.0.1\n\n; more\nuser =\nid\n";
        assert_eq!(
            settings(text).unwrap(),
            [
                setting("MQTT", "broker", Some("10.0.0.1"), (3, 1)),
                setting("MQTT", "user", Some(""), (6, 1)),
                setting("MQTT", "id", None, (7, 1)),
            ]
        );
        let text = "[MQTT]\n  pass: a=b ; c # d\n";
        let pass = setting("MQTT", "pass", Some("a=b ; c # d"), (2, 3));
        assert_eq!(settings(text).unwrap(), [pass]);
        // Indented further than the line before, it continues its value.
        let text = "[MQTT]\nbroker = a\n  pass: b\n";
        let broker = setting("MQTT", "broker", Some("a\npass: b"), (2, 1));
        assert_eq!(settings(text).unwrap(), [broker]);
    }

    #[test]
    fn what_stands_twice_comes_twice_and_what_stands_before_a_section_comes_without_one() {
        let settings = settings("nic = a\n[N]\nnic = b\nnic = c\n").unwrap();
        let places: Vec<_> =
            settings.iter().map(|it| (it.section.as_str(), it.position.0)).collect();
        assert_eq!(places, [("", 1), ("N", 3), ("N", 4)]);
    }

    #[test]
    fn what_is_no_such_file_is_refused_with_its_line() {
        let refused = |text| settings(text).unwrap_err();
        let error = refused("[NETWORK]\nnic = a\n[MQTT\n");
        assert_eq!(error.line, 3);
        assert!(error.message.starts_with("found opening bracket"), "{}", error.message);
        assert_eq!(refused("[NETWORK]\n= a\n").line, 2);
    }
}
