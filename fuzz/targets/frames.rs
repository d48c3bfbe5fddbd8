//! Any bytes as a frame: every record in it, every built-in decoder, the gate, the JSON line.
#![no_main]

use std::cell::RefCell;

use energi_decoders::json::{Json, UnknownJson};
use energi_decoders::{DecoderTable, Frame, Gate, Plausibility, Verdict};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static EVERYTHING_ON: DecoderTable = DecoderTable::built_in();
    // One gate for the whole run: what it remembers of a device comes from frames before.
    static GATE: RefCell<Gate> = RefCell::new(Gate::new(Plausibility::Withhold));
}

fuzz_target!(|bytes: &[u8]| {
    for frame in [Frame::parse(bytes), Frame::parse_payload(bytes)].into_iter().flatten() {
        EVERYTHING_ON.with(|table| walk(&frame, bytes.len(), table));
    }
});

fn walk(frame: &Frame<'_>, received: usize, table: &DecoderTable) {
    let mut records = frame.records();
    let mut read = 0;
    for record in records.by_ref() {
        assert_eq!(usize::from(record.length()), record.bytes().len());
        read += record.bytes().len();
        for mut reading in table.decode(&record).flatten() {
            let there = reading.fields().count();
            assert!(there > 0);
            is_json(&Json(&reading).to_string());
            let mut withheld = 0;
            let verdict = GATE.with_borrow_mut(|gate| gate.pass(&mut reading, |_| withheld += 1));
            assert_eq!(verdict == Verdict::Empty, reading.fields().count() == 0);
            assert_eq!(reading.fields().count() + withheld, there);
        }
        is_json(&UnknownJson { time: None, mac: frame.source(), record }.to_string());
    }
    assert!(read + records.rest().len() <= received, "no byte is read twice");
}

fn is_json(line: &str) {
    serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON");
}
