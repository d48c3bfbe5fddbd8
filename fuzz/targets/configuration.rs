//! Any text as a configuration: accepted or refused with a reason; what `check` prints of an
//! accepted one is accepted again, says the same, and shows no secret.
#![no_main]

use std::path::Path;

use energi_gateway::config;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "correct horse battery staple";

fuzz_target!(|text: &str| {
    // A run must not read whatever file a text happens to name.
    if text.contains("_file") || text.contains("/dev/") {
        return;
    }
    let environment = |name: &str| match name {
        "SECRET" => Some(SECRET.to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let parse = |text: &str| config::parse(text, Path::new("config.yaml"), &environment);
    match parse(text) {
        Ok(config) => {
            let printed = config.to_yaml().expect("a path from YAML is UTF-8");
            let again = match parse(&printed) {
                Ok(again) => again.to_yaml().expect("as before"),
                Err(errors) => panic!("printed, but not accepted: {errors}\n{printed}"),
            };
            assert_eq!(printed, again);
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
