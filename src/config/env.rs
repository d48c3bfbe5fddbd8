//! `${NAME}` in a string stands for an environment variable.

use std::borrow::Cow;

/// Lookup of variables.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `text` with each `${NAME}` replaced by that variable and each `$$` by a dollar. Other dollars
/// are left alone.
///
/// This happens to strings that YAML has parsed, so the value of a variable is never taken for YAML.
pub(super) fn expand<'t>(
    text: &'t str,
    environment: Environment<'_>,
) -> Result<Cow<'t, str>, String> {
    if !text.contains('$') {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (name, after) = after.split_once('}').ok_or(
                "`${` is not closed; write `${NAME}` for an environment variable, `$$` for a dollar",
            )?;
            let value = environment(name).ok_or_else(|| {
                format!("the environment variable `{name}` is not set; set it, or write `$$` for a dollar sign")
            })?;
            expanded.push_str(&value);
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    Ok(Cow::Owned(expanded))
}

/// `text` as a configuration must have it, so that no variable is looked up and it reads back.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn home(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root: ${HOME}".to_owned())
    }

    #[test]
    fn a_variable_is_taken_as_it_is() {
        assert_eq!(expand("${HOME}/db", &home).unwrap(), "/root: ${HOME}/db");
        assert_eq!(expand("5$ $HOME $${HOME}", &home).unwrap(), "5$ $HOME ${HOME}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        assert!(expand("${HOUSE}", &home).unwrap_err().contains("`HOUSE`"));
        assert!(expand("${HOME", &home).unwrap_err().contains("not closed"));
    }

    proptest! {
        #[test]
        fn any_text_can_be_escaped(text: String) {
            let escaped = escape(&text);
            prop_assert_eq!(expand(&escaped, &home).unwrap(), text);
        }
    }
}
