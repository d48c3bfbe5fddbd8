//! Any bytes as a capture: pcap, pcapng, either gzipped, a raw payload, hex text. How the bytes
//! arrive must not matter: whole, or a few at a time as from a pipe.
#![no_main]

use std::io::{Cursor, Read};

use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::{Event, Link, Source};
use energi_gateway::capture::Speed;
use libfuzzer_sys::fuzz_target;

/// Hands out a few bytes at a time.
struct Trickle(Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((few, capture)) = bytes.split_first() else { return };
    let whole = packets(Box::new(Cursor::new(capture.to_vec())));
    let trickled = Trickle(Cursor::new(capture.to_vec()), usize::from(few % 16) + 1);
    assert_eq!(whole, packets(Box::new(trickled)));
});

/// Every packet, then how it ended.
fn packets(stream: Box<dyn Read + Send>) -> (Vec<(Option<i64>, bool, Vec<u8>)>, Option<String>) {
    let mut source = ReplaySource::new("fuzz", stream, Speed::Max);
    let mut packets = Vec::new();
    let error = loop {
        match source.next() {
            Ok(Event::Packet(packet)) => {
                if let Ok(frame) = packet.frame() {
                    frame.records().for_each(drop);
                }
                let time = packet.time.map(|time| time.as_microsecond());
                packets.push((time, packet.link == Link::Ethernet, packet.bytes.to_vec()));
            }
            Ok(Event::Idle) => {}
            Ok(Event::End) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    assert!(matches!(source.next(), Ok(Event::End)), "an end is an end");
    (packets, error)
}
