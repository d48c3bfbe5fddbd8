//! The manual: a page for the program and one for each command, made of the definition of the
//! command line.

use std::io;

use clap::Command;
use clap_mangen::Man;
use energi_sinks::clock::released;
use roff::{Roff, bold, italic, roman};

use crate::platform::exit::Exit;

/// A manual page.
#[derive(Debug)]
pub(crate) struct Page {
    /// The name, which is that of the command with `-` between its words.
    pub(crate) name: String,
    /// The text for `man`, in roff.
    pub(crate) roff: Vec<u8>,
}

impl Page {
    /// Returns what its file is called.
    #[must_use]
    pub(crate) fn file_name(&self) -> String {
        format!("{}.{SECTION}", self.name)
    }
}

/// Commands that anybody may use.
const SECTION: &str = "1";

/// The pages of `program`, its own first.
///
/// # Errors
/// Those of writing to memory.
pub(crate) fn pages(mut program: Command) -> io::Result<Vec<Page>> {
    program = program.disable_help_subcommand(true);
    program.build();
    let version = program.get_version().unwrap_or_default();
    let mut manual = Manual {
        source: format!("{} {version}", program.get_name()),
        date: released().strftime("%Y-%m-%d").to_string(),
        pages: Vec::new(),
    };
    manual.add(&program, None)?;
    Ok(manual.pages)
}

/// Pages, and what is the same on each.
struct Manual {
    source: String,
    date: String,
    pages: Vec<Page>,
}

impl Manual {
    /// Adds the page of a command and those of its commands.
    fn add(&mut self, command: &Command, parent: Option<&str>) -> io::Result<()> {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let roff = self.page(name, command, parent)?;
        self.pages.push(Page { name: name.to_owned(), roff });
        command.get_subcommands().try_for_each(|command| self.add(command, Some(name)))
    }

    fn page(&self, name: &str, command: &Command, parent: Option<&str>) -> io::Result<Vec<u8>> {
        let man = Man::new(command.clone()).title(name).section(SECTION);
        let man = man.date(&self.date).source(&self.source);
        let mut roff = Vec::new();
        man.render_title(&mut roff)?;
        man.render_name_section(&mut roff)?;
        man.render_synopsis_section(&mut roff)?;
        man.render_description_section(&mut roff)?;
        man.render_options_section(&mut roff)?;
        if command.has_subcommands() {
            man.render_subcommands_section(&mut roff)?;
        }
        let mut more = Roff::new();
        if let Some(help) = command.get_after_help() {
            notes(&mut more, &help.to_string());
        }
        if let Some(parent) = parent {
            more.control("SH", ["SEE ALSO"]);
            more.text([bold(parent), roman(format!("({SECTION})"))]);
        } else {
            surroundings(&mut more);
        }
        more.to_writer(&mut roff)?;
        Ok(roff)
    }
}

/// Writes the notes below the help: paragraphs, and lines to be kept as they are, which are
/// indented.
fn notes(roff: &mut Roff, help: &str) {
    let examples = help.strip_prefix("Examples:\n");
    roff.control("SH", [if examples.is_some() { "EXAMPLES" } else { "NOTES" }]);
    let (mut kept, mut begun) = (false, true);
    for line in examples.unwrap_or(help).lines() {
        if line.trim().is_empty() {
            begun = false;
            continue;
        }
        if kept != line.starts_with("  ") {
            kept = !kept;
            roff.control(if kept { "EX" } else { "EE" }, []);
        } else if !begun {
            roff.control("PP", []);
        }
        begun = true;
        roff.text([roman(line)]);
    }
    if kept {
        roff.control("EE", []);
    }
}

/// Writes exit codes, environment variables and files.
fn surroundings(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman("Those of sysexits.h(3head):")]);
    entry(roff, "0", "Success; also after SIGINT or SIGTERM, once every sink has finished.");
    for exit in Exit::ALL {
        entry(roff, &(exit as u8).to_string(), exit.meaning());
    }

    roff.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in ENVIRONMENT {
        entry(roff, name, meaning);
    }

    roff.control("SH", ["FILES"]);
    roff.text([roman("Without -c, the first of these files that exists is used:")]);
    for (path, meaning) in FILES {
        roff.control("TP", []);
        roff.text([italic(path)]);
        roff.text([roman(meaning)]);
    }

    roff.control("SH", ["SEE ALSO"]);
    let others = ["systemd.service(5)", "tcpdump(8)", "sqlite3(1)"];
    roff.text([roman(others.join(", "))]);
}

fn entry(roff: &mut Roff, term: &str, meaning: &str) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(meaning)]);
}

const ENVIRONMENT: [(&str, &str); 6] = [
    (
        "RUST_LOG",
        "The level of the log on standard error: error, warn, info (the default), debug or trace.",
    ),
    ("NO_COLOR", "No colours, if set to any value."),
    ("XDG_CONFIG_HOME", "The folder of the user's configuration; ~/.config if not set."),
    ("TZ", "The time zone of days, if the configuration has no `timezone`."),
    (
        "NOTIFY_SOCKET, WATCHDOG_USEC",
        "Set by a service manager that wants status messages; see sd_notify(3).",
    ),
    ("Any other", "Can be used in the text of a configuration, as ${NAME}."),
];

const FILES: [(&str, &str); 3] = [
    ("config.yaml", "In the working directory."),
    ("$XDG_CONFIG_HOME/energi-gateway/config.yaml", "The user's configuration."),
    ("/etc/energi-gateway/config.yaml", "The system's configuration, which the service uses."),
];

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn text(page: &Page) -> String {
        String::from_utf8(page.roff.clone()).unwrap()
    }

    #[test]
    fn each_command_has_a_page_that_leads_on() {
        let pages = pages(Cli::command()).unwrap();
        let names: Vec<_> = pages.iter().map(|page| page.name.as_str()).collect();
        assert_eq!(names[0], "energi-gateway");
        for command in Cli::command().get_subcommands() {
            let name = format!("energi-gateway-{}", command.get_name());
            let page = pages.iter().find(|page| page.name == name).unwrap();
            assert!(text(page).contains(".SH \"SEE ALSO\"\n\\fBenergi\\-gateway\\fR"), "{name}");
            let listed = format!("{}(1)", name.replace('-', "\\-"));
            assert!(text(&pages[0]).contains(&listed), "{listed}");
        }
        assert!(names.contains(&"energi-gateway-history-backup"));
    }

    #[test]
    fn the_page_of_the_program_gives_every_exit_code() {
        let pages = pages(Cli::command()).unwrap();
        for exit in Exit::ALL {
            assert!(text(&pages[0]).contains(exit.meaning()), "{exit:?}");
        }
    }

    #[test]
    fn examples_keep_their_lines() {
        let mut roff = Roff::new();
        notes(&mut roff, "Read\nthis:\n  one\n  two\n\nThen that.");
        let text = roff.to_roff();
        let kept = ".SH NOTES\nRead\nthis:\n.EX\n  one\n  two\n.EE\nThen that.\n";
        assert!(text.ends_with(kept), "{text}");
    }
}
