//! The decoder that docs/adding-a-decoder.md builds in compiles as it is shown there, and reads.

use energi_decoders::{DecoderTable, Frame, TableDecoder};

/// A frame of the example day.
const FRAME: &[u8] = include_bytes!("../../../fuzz/seeds/frames/day-2c");

#[test]
fn the_decoder_of_the_tutorial_reads_its_records() {
    let mut table = DecoderTable::built_in();
    table.register(Box::new(TableDecoder::new(&crate::x2c::LAYOUTS[0]))).unwrap();
    let frame = Frame::parse(FRAME).unwrap();
    let record = frame.records().next().unwrap();
    let reading = table.decode(&record).next().unwrap().unwrap();
    let keys: Vec<_> = reading.fields().map(|(field, _)| field.key()).collect();
    assert_eq!(keys, ["0x2C/diverted_kWh", "0x2C/divert_pwr"]);
    assert!(reading.experimental());
}
