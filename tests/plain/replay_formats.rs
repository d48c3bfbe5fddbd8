//! A capture is read whatever program wrote it, and a bad one is reported, never hung on.

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use energi_gateway::capture::Speed;
use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::{CaptureError, Event, Link, Source, pcapng};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use proptest::prelude::*;

mod damage;
mod links;

type Owned = (Option<Timestamp>, Link, Vec<u8>);

const ETHERNET: u16 = 1;

/// Packets of every length modulo four, so that padding is seen.
fn packets() -> Vec<(Timestamp, Vec<u8>)> {
    (0..7_u8)
        .map(|n| {
            let time = Timestamp::from_microsecond(1_781_900_000_123_456 + i64::from(n) * 700_001);
            (time.unwrap(), (0..60 + n).map(|byte| byte ^ n).collect())
        })
        .collect()
}

fn expected() -> Vec<Owned> {
    packets().into_iter().map(|(time, bytes)| (Some(time), Link::Ethernet, bytes)).collect()
}

/// Integers in the byte order of the machine that made the capture.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn u32(self, value: usize) -> [u8; 4] {
        let value = u32::try_from(value).unwrap();
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

fn pcap(order: Order, magic: usize, per_second: i64, link: usize) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(order.u32(magic));
    file.extend([order.u16(2), order.u16(4)].concat());
    file.extend([0, 0, 262_144, link].map(|word| order.u32(word)).concat());
    for (time, bytes) in packets() {
        let fraction = i64::from(time.subsec_nanosecond()) * per_second / 1_000_000_000;
        file.extend(order.u32(usize::try_from(time.as_second()).unwrap()));
        file.extend(order.u32(usize::try_from(fraction).unwrap()));
        file.extend([order.u32(bytes.len()), order.u32(bytes.len())].concat());
        file.extend(&bytes);
    }
    file
}

fn block(order: Order, kind: usize, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let size = order.u32(12 + body.len() + padding.len());
    [&order.u32(kind)[..], &size, body, &padding, &size].concat()
}

fn section(order: Order) -> Vec<u8> {
    let body = [&order.u32(0x1a2b_3c4d)[..], &order.u16(1), &order.u16(0), &[0xff; 8]].concat();
    block(order, 0x0a0d_0d0a, &body)
}

/// An interface whose clock has the given `if_tsresol` and, where not zero, `if_tsoffset`.
fn interface(order: Order, link: u16, resolution: u8, offset: u64) -> Vec<u8> {
    let mut body = [&order.u16(link)[..], &[0; 2], &order.u32(0)].concat();
    body.extend([&order.u16(9)[..], &order.u16(1), &[resolution, 0, 0, 0]].concat());
    if offset != 0 {
        body.extend([&order.u16(14)[..], &order.u16(8), &order.u64(offset)].concat());
    }
    body.extend([0; 4]);
    block(order, 1, &body)
}

fn enhanced(order: Order, interface: usize, ticks: u128, bytes: &[u8]) -> Vec<u8> {
    let high = usize::try_from(ticks >> 32).unwrap();
    let low = usize::try_from(ticks & 0xffff_ffff).unwrap();
    let header = [interface, high, low, bytes.len(), bytes.len()].map(|word| order.u32(word));
    // A comment, which some programs add.
    let padding = vec![0; bytes.len().next_multiple_of(4) - bytes.len()];
    let comment = [&order.u16(1)[..], &order.u16(4), b"note", &[0; 4]].concat();
    block(order, 6, &[&header.concat(), bytes, &padding, &comment].concat())
}

fn simple(order: Order, bytes: &[u8]) -> Vec<u8> {
    block(order, 3, &[&order.u32(bytes.len())[..], bytes].concat())
}

fn ng(order: Order) -> Vec<u8> {
    let mut file = section(order);
    file.extend(interface(order, ETHERNET, 6, 0));
    for (time, bytes) in packets() {
        file.extend(enhanced(order, 0, time.as_microsecond().try_into().unwrap(), &bytes));
    }
    file
}

/// Each packet is of an interface with a clock of its own: nanoseconds, microseconds since 2001, and
/// 2^-33 seconds.
fn ng_with_three_clocks(order: Order) -> Vec<u8> {
    const OFFSET: u64 = 1_000_000_000;
    let mut file = section(order);
    file.extend(interface(order, ETHERNET, 9, 0));
    file.extend(interface(order, ETHERNET, 6, OFFSET));
    file.extend(interface(order, ETHERNET, 0xa1, 0));
    for (index, (time, bytes)) in packets().into_iter().enumerate() {
        let microseconds = u128::try_from(time.as_microsecond()).unwrap();
        let ticks = match index % 3 {
            0 => microseconds * 1000,
            1 => microseconds - u128::from(OFFSET) * 1_000_000,
            // Rounded up, so that the division gives the microsecond back.
            _ => ((microseconds << 33) / 1_000_000) + 1,
        };
        file.extend(enhanced(order, index % 3, ticks, &bytes));
    }
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn replay(bytes: impl Into<Vec<u8>>) -> ReplaySource {
    ReplaySource::new("capture", Box::new(io::Cursor::new(bytes.into())), Speed::Max)
}

/// Every packet of a source, and how it ended.
fn drain(mut source: impl Source) -> (Vec<Owned>, Result<(), CaptureError>) {
    let mut found = Vec::new();
    loop {
        match source.next() {
            Ok(Event::Packet(packet)) => {
                found.push((packet.time, packet.link, packet.bytes.to_vec()));
            }
            Ok(Event::Idle) => {}
            Ok(Event::End) => return (found, Ok(())),
            Err(error) => return (found, Err(error)),
        }
    }
}

fn whole(bytes: impl Into<Vec<u8>>) -> Vec<Owned> {
    let (found, end) = drain(replay(bytes));
    end.unwrap();
    found
}

fn data_error(bytes: impl Into<Vec<u8>>) -> (Vec<Owned>, String) {
    match drain(replay(bytes)) {
        (found, Err(CaptureError::Data(message))) => (found, message),
        (_, end) => panic!("not a data error: {end:?}"),
    }
}

#[test]
fn every_format_gives_the_same_packets() {
    let mut formats = Vec::new();
    for order in [Order::Little, Order::Big] {
        formats.push(pcap(order, 0xa1b2_c3d4, 1_000_000, 1));
        formats.push(pcap(order, 0xa1b2_3c4d, 1_000_000_000, 1));
        formats.push(ng(order));
    }
    for (index, file) in formats.iter().enumerate() {
        assert_eq!(whole(file.as_slice()), expected(), "format {index}");
        assert_eq!(whole(gzip(file)), expected(), "format {index}, gzipped");
        let (first, second) = file.split_at(file.len() / 2);
        let members = [gzip(first), gzip(second)].concat();
        assert_eq!(whole(members), expected(), "format {index}, in two gzip members");
    }
    let mut writer = pcapng::PcapngWriter::new(Vec::new(), Some("eth0")).unwrap();
    for (time, bytes) in packets() {
        writer.write(time, &bytes).unwrap();
    }
    assert_eq!(whole(writer.into_inner()), expected());
}

#[test]
fn each_interface_of_a_pcapng_has_its_own_clock() {
    for order in [Order::Little, Order::Big] {
        let found = whole(ng_with_three_clocks(order));
        for ((time, _, bytes), (true_time, true_bytes)) in found.iter().zip(packets()) {
            let error = time.unwrap().duration_since(true_time).as_nanos();
            assert!((0..1000).contains(&error), "{error} ns");
            assert_eq!(bytes, &true_bytes);
        }
        assert_eq!(found.len(), packets().len());
    }
}

#[test]
fn simple_packets_come_without_a_time() {
    for order in [Order::Little, Order::Big] {
        let mut file = [section(order), interface(order, ETHERNET, 6, 0)].concat();
        for (_, bytes) in packets() {
            file.extend(simple(order, &bytes));
        }
        let timeless: Vec<_> =
            packets().into_iter().map(|(_, bytes)| (None, Link::Ethernet, bytes)).collect();
        assert_eq!(whole(file), timeless);
    }
}

#[test]
fn each_section_has_its_byte_order() {
    let file = [ng(Order::Little), ng_with_three_clocks(Order::Big), ng(Order::Little)].concat();
    assert_eq!(whole(file).len(), 3 * packets().len());
}

#[test]
fn blocks_of_other_kinds_are_passed_over() {
    let order = Order::Little;
    let mut file = section(order);
    file.extend(block(order, 0x0bad_beef, &vec![7; 300_000]));
    file.extend(interface(order, ETHERNET, 6, 0));
    for (time, bytes) in packets() {
        file.extend(enhanced(order, 0, time.as_microsecond().try_into().unwrap(), &bytes));
        file.extend(block(order, 4, &[0; 4]));
        file.extend(block(order, 5, &[0; 12]));
        file.extend(block(order, 0x0000_0bad, b"?"));
    }
    assert_eq!(whole(file), expected());
}

#[test]
fn a_capture_of_another_link_type_says_what_to_do() {
    let tunnel = pcap(Order::Big, 0xa1b2_c3d4, 1_000_000, 101);
    let wireless = [
        section(Order::Little),
        interface(Order::Little, 127, 6, 0),
        enhanced(Order::Little, 0, 0, &[0; 60]),
    ];
    for (file, number, remedy) in
        [(tunnel, "101", "Ethernet interface itself"), (wireless.concat(), "127", "monitor mode")]
    {
        let (found, message) = data_error(file);
        assert_eq!(found, []);
        assert!(message.contains(&format!("link type {number}")), "{message}");
        assert!(message.contains(remedy), "{message}");
    }
}

#[test]
fn a_raw_payload_is_one_packet_without_a_time() {
    let payload = [&[0xcb, 0xda, 0xe9, 0xf8][..], &[0; 16], &[1, 0, 0, 0, 6, 0x53, 0, 0, 0, 0]];
    let payload = payload.concat();
    let packet = vec![(None, Link::Payload, payload.clone())];
    assert_eq!(whole(payload.as_slice()), packet);
    assert_eq!(whole(gzip(&payload)), packet);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("odd.bin");
    std::fs::write(&path, [1, 2, 3, 4, 5]).unwrap();
    let (found, end) = drain(ReplaySource::open(&path, Speed::Max).unwrap());
    end.unwrap();
    assert_eq!(found, [(None, Link::Payload, vec![1, 2, 3, 4, 5])]);

    let (_, message) = data_error([payload, vec![0; 70_000]].concat());
    assert!(message.contains("one frame"), "{message}");
}

#[test]
fn the_content_tells_the_format_not_the_name() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["capture.txt", "capture.bin", "capture.pcap.gz", "capture"] {
        let path = directory.path().join(name);
        std::fs::write(&path, ng(Order::Little)).unwrap();
        let (found, end) = drain(ReplaySource::open(&path, Speed::Max).unwrap());
        end.unwrap();
        assert_eq!(found, expected(), "{name}");
    }
}

#[test]
fn a_line_of_hex_has_one_longest_length() {
    const LONGEST: usize = 64 * 1024;
    let payload = "cbdae9f8".repeat(LONGEST / 8);
    for (more, refused) in [("", false), ("00", true), (&"00".repeat(4000), true)] {
        let text = format!("{payload}{more}\n# the end\n").into_bytes();
        for most in [usize::MAX, 1000] {
            let (found, end) = drain(ReplaySource::new(
                "text",
                Box::new(Pieces(io::Cursor::new(text.clone()), most)),
                Speed::Max,
            ));
            assert_eq!((found.len(), end.is_err()), (usize::from(!refused), refused), "{end:?}");
        }
    }
}

/// An input that comes in pieces of a few bytes.
struct Pieces(io::Cursor<Vec<u8>>, usize);

impl io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn a_packet_on_a_pipe_is_delivered_at_once() {
    for zipped in [false, true] {
        let (reader, pipe) = io::pipe().unwrap();
        let (said, heard) = mpsc::channel();
        let reading = thread::spawn(move || {
            let mut source = ReplaySource::new("pipe", Box::new(reader), Speed::Max);
            while let Ok(Event::Packet(packet)) = source.next() {
                said.send(packet.bytes.to_vec()).unwrap();
            }
        });
        let output: Box<dyn Write> = if zipped {
            Box::new(GzEncoder::new(pipe, Compression::default()))
        } else {
            Box::new(pipe)
        };
        let mut writer = pcapng::PcapngWriter::new(output, None).unwrap();
        for (time, bytes) in packets() {
            writer.write(time, &bytes).unwrap();
            writer.get_mut().flush().unwrap();
            // The next is written only once this one has come out at the other end.
            assert_eq!(heard.recv_timeout(Duration::from_secs(30)).unwrap(), bytes);
        }
        drop(writer);
        reading.join().unwrap();
    }
}

#[test]
fn a_packet_that_is_waited_for_is_not_lost() {
    let start = Timestamp::from_second(1_781_900_000).unwrap();
    let mut writer = pcapng::PcapngWriter::new(Vec::new(), None).unwrap();
    for second in 0..3 {
        let time = start + jiff::SignedDuration::from_secs(second);
        writer.write(time, &[u8::try_from(second).unwrap(); 60]).unwrap();
    }
    let stream = Box::new(io::Cursor::new(writer.into_inner()));
    let mut source = ReplaySource::new("paced", stream, Speed::Times(5.0));
    let (mut found, mut idle) = (Vec::new(), 0);
    loop {
        match source.next().unwrap() {
            Event::Packet(packet) => found.push(packet.bytes[0]),
            Event::Idle => idle += 1,
            Event::End => break,
        }
    }
    assert_eq!(found, [0, 1, 2]);
    assert!(idle >= 2, "a chance to stop while it waits");
}

#[test]
fn progress_ends_at_the_size_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capture.pcapng.gz");
    let file = gzip(&ng(Order::Little));
    std::fs::write(&path, &file).unwrap();
    let source = ReplaySource::open(&path, Speed::Max).unwrap();
    let progress = source.progress();
    assert_eq!((progress.read(), progress.total()), (0, Some(file.len() as u64)));
    drain(source).1.unwrap();
    assert_eq!(progress.read(), file.len() as u64);
    assert_eq!(ReplaySource::open(Path::new("-"), Speed::Max).unwrap().progress().total(), None);
}

proptest! {
    #[test]
    fn random_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let _ = drain(replay(bytes));
    }

    #[test]
    fn random_bytes_after_a_magic_number_are_survived(
        magic in prop::sample::select(vec![
            [0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0xc3, 0xd4], [0x4d, 0x3c, 0xb2, 0xa1],
            [0xa1, 0xb2, 0x3c, 0x4d], [0x34, 0xcd, 0xb2, 0xa1], [0x0a, 0x0d, 0x0d, 0x0a],
            [0x1f, 0x8b, 8, 0], [0xcb, 0xda, 0xe9, 0xf8],
        ]),
        bytes in proptest::collection::vec(any::<u8>(), 0..500),
    ) {
        let _ = drain(replay([magic.to_vec(), bytes].concat()));
    }

    #[test]
    fn a_damaged_capture_is_survived(
        kind in 0..4_usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = match kind {
            0 => pcap(Order::Little, 0xa1b2_c3d4, 1_000_000, 1),
            1 => ng(Order::Little),
            2 => ng_with_three_clocks(Order::Big),
            _ => gzip(&ng(Order::Little)),
        };
        for (place, byte) in damage {
            *place.get_mut(&mut file) = byte;
        }
        let _ = drain(replay(file));
    }
}
