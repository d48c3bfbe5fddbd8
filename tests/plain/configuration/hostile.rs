//! Hostile configurations: refused soon, without a panic and without a secret.

use std::path::Path;

use energi_gateway::config;
use proptest::prelude::*;

use super::{nothing_set, parse};

#[test]
fn no_error_shows_a_secret() {
    for key in ["password", "pasword", "token", "passwd"] {
        let text = format!(
            "capture: {{type: simulator}}\nsinks: [{{type: mqtt, url: 1, {key}: hunter2}}]\n"
        );
        let said = parse(&text).unwrap_err();
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn aliases_that_grow_without_end_are_refused_at_once() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    let said = parse(&bomb).unwrap_err();
    assert!(said.contains("too many values"), "{said}");

    let wide = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(20_000), "*a, ".repeat(20_000));
    let said = parse(&wide).unwrap_err();
    assert!(said.contains("too many values"), "{said}");
}

#[test]
fn so_many_faults_end_soon() {
    let mut text = String::new();
    for key in 0..5_000 {
        text.push_str(&format!("wrong{key}: 1\n"));
    }
    let errors = config::parse(&text, Path::new("config.yaml"), &nothing_set).unwrap_err();
    assert_eq!(errors.faults.len(), 50);
}

fn yaml_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "capture",
        "type",
        "live",
        "replay",
        "simulator",
        "interface",
        "path",
        "speed",
        "max",
        "devices",
        "list",
        "serial",
        "mac",
        "name",
        "decoders",
        "experimental",
        "\"0x27\"",
        "custom",
        "length",
        "fields",
        "key",
        "offset",
        "bit",
        "range",
        "sinks",
        "stdout",
        "sqlite",
        "retention",
        "samples",
        "30d",
        "true",
        "false",
        "~",
        "0",
        "-1",
        "9e99",
        ".nan",
        "\u{fffd}",
        ": ",
        ": ",
        ": ",
        "\n",
        "\n",
        "\n  ",
        "\n  - ",
        "\n    ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ", ",
        "&a ",
        "*a",
        "!t ",
        "#",
        "'",
        "\"",
        "|",
        ">",
        "${",
        "${X}",
        "$$",
        "\t",
        "---",
        "? ",
        "<<: ",
        "%",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_the_loader_panic(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn no_configuration_makes_the_loader_panic(text in yaml_like()) {
        if let Ok(config) = parse(&text) {
            prop_assert!(parse(&config.to_yaml().unwrap()).is_ok());
        }
    }

    #[test]
    fn no_mangled_example_makes_the_loader_panic(
        cut in 0_usize..4_000,
        length in 0_usize..60,
        put in yaml_like(),
    ) {
        let mut text = include_str!("../../../config.example.yaml").to_owned();
        let floor = |text: &str, at: usize| (0..=at.min(text.len())).rfind(|i| text.is_char_boundary(*i));
        let (start, end) = (floor(&text, cut).unwrap(), floor(&text, cut + length).unwrap());
        text.replace_range(start..end, &put);
        let _ = parse(&text);
    }
}
