//! The configuration as text.

use std::fmt::Write;

use serde_yaml::Value;

use crate::config::{ExperimentalLength, escape};

use super::{Values, url};
use energi_decoders::DecoderTable;

/// Writes a configuration with `values`. The password is in it, or else in `password_file`.
pub(super) fn write(values: &Values, password_file: Option<&str>) -> String {
    let mut yaml = HEAD.to_owned();
    line(&mut yaml, "  interface: ", &values.interface);
    yaml.push_str(BELOW_INTERFACE);
    if values.debug {
        yaml.push_str(DEBUG);
        for length in
            DecoderTable::experimental_lengths().into_iter().filter_map(ExperimentalLength::new)
        {
            let _infallible = writeln!(yaml, "    \"{length}\": true");
        }
    }
    yaml.push_str(SINK);
    line(&mut yaml, "    url: ", &url(&values.broker, values.port));
    if let Some(topic) = &values.topic {
        line(&mut yaml, "    topic: ", topic);
    }
    if let Some(client_id) = &values.client_id {
        yaml.push_str(CLIENT_ID);
        line(&mut yaml, "    client_id: ", client_id);
    }
    if let Some(username) = &values.username {
        line(&mut yaml, "    username: ", username);
    }
    match (&values.password, password_file) {
        (Some(_), Some(file)) => line(&mut yaml, "    password_file: ", file),
        (Some(password), None) => {
            yaml.push_str(PASSWORD);
            line(&mut yaml, "    password: ", password);
        }
        (None, _) => {}
    }
    yaml.push_str(TAIL);
    yaml
}

/// A line that ends in any text, such that it is read back as that text.
fn line(yaml: &mut String, key: &str, text: &str) {
    yaml.push_str(key);
    yaml.push_str(&scalar(&escape(text)));
    yaml.push('\n');
}

/// A text without line breaks as YAML writes it, in quotes where it would be read as another thing.
fn scalar(text: &str) -> String {
    let value = Value::String(text.to_owned());
    let quoted = serde_yaml::to_string(&value);
    quoted.unwrap_or_default().trim_end_matches('\n').to_owned()
}

const HEAD: &str = "\
# Made of the config.ini of mqtt-energi. `energi-gateway check -c FILE` shows it with every default;
# config.example.yaml explains each key.

capture:
  type: live
";

const BELOW_INTERFACE: &str = "  \
  # mqtt-energi took in every frame on the wire; here only the devices' group is asked for. Hardware
  # that does not filter multicast properly needs this all the same:
  # promiscuous: true
";

const DEBUG: &str = "
decoders:
  # What `enabled` below [DEBUG] switched on. Their keys all carry the packet: 0x27/frequency.
  experimental:
";

const SINK: &str = "
sinks:
  - type: mqtt
";

const CLIENT_ID: &str = "    \
    # Two clients of one name push each other out: stop mqtt-energi first, or delete this line, which
    # makes a name that nobody else has.
";

const PASSWORD: &str = "    \
    # Whoever may read this file may read the password. `password_file: FILE` keeps it elsewhere.
";

const TAIL: &str = "    \
    # A topic has a message every 10 s at most. 0s sends every reading, as mqtt-energi did.
    interval: 10s
    # Home Assistant is told of the devices by itself. If you made entities for them by hand and want
    # to keep only those:
    # discovery: false

  # A history, too: each reading for a month, the energy of each day for ever.
  # - {type: sqlite, path: energi.db}
";
