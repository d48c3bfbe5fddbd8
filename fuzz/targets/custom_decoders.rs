//! Any declared decoders on any payload: YAML, a zero byte, the payload. What is accepted reads
//! every record of its length without a panic, and reads back as it was written.
#![no_main]

use energi_decoders::custom::CustomDecoder;
use energi_decoders::json::Json;
use energi_decoders::{Frame, Gate, Plausibility};
use energi_gateway::config::Decoders;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else { return };
    let (text, payload) = (&bytes[..end], &bytes[end + 1..]);
    let Ok(custom) = serde_yaml::from_slice::<Vec<CustomDecoder>>(text) else { return };
    let written = serde_yaml::to_string(&custom).expect("it was YAML");
    let again: Vec<CustomDecoder> = serde_yaml::from_str(&written).expect("our own YAML");
    assert_eq!(serde_yaml::to_string(&again).expect("as before"), written);

    let decoders = Decoders { custom, ..Decoders::default() };
    let Ok(table) = decoders.table() else { return };
    let Ok(frame) = Frame::parse_payload(payload) else { return };
    let mut gate = Gate::new(Plausibility::Withhold);
    for record in frame.records() {
        for mut reading in table.decode(&record).flatten() {
            let line = Json(&reading).to_string();
            serde_json::from_str::<serde_json::Value>(&line).expect("a line of JSON");
            gate.pass(&mut reading, |_| {});
        }
    }
});
