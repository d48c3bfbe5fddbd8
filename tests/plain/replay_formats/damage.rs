//! Captures that are cut off, damaged or none: what came before the fault is kept.

use std::io::{self, Read, Write};

use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::{CaptureError, Speed};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{
    Order, data_error, drain, enhanced, expected, gzip, ng, packets, pcap, replay, section,
};

#[test]
fn a_truncated_capture_gives_every_whole_packet() {
    for file in [pcap(Order::Little, 0xa1b2_c3d4, 1_000_000, 1), ng(Order::Big)] {
        let mut most = 0;
        for cut in 1..file.len() {
            let (found, end) = drain(replay(&file[..cut]));
            assert!(expected().starts_with(&found), "cut at {cut}");
            assert!(found.len() >= most, "cut at {cut}: a whole packet is missing");
            most = found.len();
            match end {
                // Between two blocks: as good as a whole capture.
                Ok(()) => {}
                Err(CaptureError::Data(message)) => {
                    let said = format!("cut off after packet {most},");
                    assert!(message.contains(&said) || cut < 4, "{cut}: {message}");
                }
                Err(error) => panic!("cut at {cut}: {error:?}"),
            }
        }
        assert_eq!(most, packets().len() - 1);
    }
}

#[test]
fn a_truncated_gzip_gives_what_can_be_read() {
    let file = gzip(&ng(Order::Little));
    let mut most = 0;
    for cut in 1..file.len() {
        let (found, end) = drain(replay(&file[..cut]));
        assert!(expected().starts_with(&found), "cut at {cut}");
        assert!(matches!(end, Err(CaptureError::Data(_))), "cut at {cut}: {end:?}");
        most = most.max(found.len());
    }
    assert_eq!(most, packets().len(), "where only the trailer is missing");
}

#[test]
fn a_damaged_gzip_gives_everything_before_the_damage() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&ng(Order::Little)).unwrap();
    encoder.flush().unwrap();
    let mut file = encoder.get_ref().clone();
    // No block of compressed data begins so.
    file.extend([0xff; 20]);
    let (found, message) = data_error(file);
    assert_eq!(found, expected());
    assert!(message.contains("gzip"), "{message}");
}

#[test]
fn packets_before_an_impossible_length_are_kept() {
    let order = Order::Little;
    for size in [0, 4, 11, 13, 0x7fff_fff0, 0xffff_fffc] {
        for kind in [1_usize, 3, 6, 0x0bad_beef] {
            let mut file = ng(order);
            file.extend([order.u32(kind), order.u32(size)].concat());
            file.extend([0; 64]);
            let (found, message) = data_error(file);
            assert_eq!(found, expected());
            assert!(message.contains("damaged after packet 7"), "{message}");
        }
    }
    let mut file = pcap(order, 0xa1b2_c3d4, 1_000_000, 1);
    file.extend([0, 0, 0xffff_ffff, 0xffff_ffff].map(|word| order.u32(word)).concat());
    let (found, message) = data_error(file);
    assert_eq!(found, expected());
    assert!(message.contains("damaged after packet 7"), "{message}");
}

#[test]
fn a_packet_of_an_unknown_interface_is_an_error() {
    let file = [section(Order::Little), enhanced(Order::Little, 3, 0, &[0; 60])].concat();
    let (_, message) = data_error(file);
    assert!(message.contains("interface 3"), "{message}");
}

#[test]
fn what_is_no_capture_is_named_in_the_error() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.pcap");
    let error = ReplaySource::open(&missing, Speed::Max).unwrap_err();
    assert!(matches!(&error, CaptureError::Missing(text) if text.contains("missing.pcap")));

    let error = ReplaySource::open(directory.path(), Speed::Max).unwrap_err();
    assert!(matches!(&error, CaptureError::Data(text) if text.contains("a directory")));

    for (name, content, said) in [
        ("empty.pcap", "", "empty.pcap: empty"),
        ("short.pcap", "abc", "short.pcap: not a capture"),
        ("binary.pcap", "\u{7f}ELF is a program", "binary.pcap: not a capture"),
        ("notes.pcap", "Dear diary, today nothing was captured", "notes.pcap: not a capture"),
        ("copied.pcap", "# from the wiki\n\ncbdae9f8\nand so on\n", "line 4"),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        let (_, end) = drain(ReplaySource::open(&path, Speed::Max).unwrap());
        assert!(matches!(&end, Err(CaptureError::Data(text)) if text.contains(said)), "{end:?}");
    }
}

#[test]
fn a_read_error_comes_after_the_packets_before_it() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let stream = io::Cursor::new(ng(Order::Little)).chain(Broken);
    let (found, end) = drain(ReplaySource::new("disk", Box::new(stream), Speed::Max));
    assert_eq!(found, expected());
    let Err(CaptureError::Io(message)) = end else { panic!("{end:?}") };
    assert!(message.starts_with("disk: ") && message.contains("packet 7"), "{message}");
}
