//! Readings that the pipeline makes of packets, byte by byte.

use std::collections::{BTreeMap, VecDeque};

use energi_decoders::{MacAddress, Plausibility, Value};
use energi_sinks::channel::{Delivery, Subscription};

use super::*;
use crate::capture::Link;
use crate::capture::live::LiveCounters;

use support::logs::Logs;

const OURS: MacAddress = MacAddress([0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5]);
const EDDI: u32 = 17_589_669;

/// Header of a frame to the multicast group, from [`OURS`], up to the first record.
const HEADER: [u8; 14 + 0x18] = [
    0x71, 0xb3, 0xd5, 0x3a, 0x6f, 0x00, 0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5, 0x88,
    0xb5, // Ethernet
    0xcb, 0xda, 0xe9, 0xf8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
];

/// Grid 300 W, generation 200 W, 100 W diverted.
fn power(serial: u32) -> Vec<u8> {
    let s = serial.to_le_bytes();
    vec![
        0x22, 0x53, 0x10, 0x35, 0, 0xff, 0x2c, 0x01, 0, 0, 0xc8, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, s[0], s[1], s[2], s[3], 0x64, 0x00, 0, 0, 0, 0, 0, 0,
    ]
}

/// 50.00 Hz, 1.00 kWh, 230.0 V.
fn mains(serial: u32) -> Vec<u8> {
    let s = serial.to_le_bytes();
    vec![
        0x1f, 0x53, 0x08, 0x21, 0, 0xff, s[0], s[1], s[2], s[3], 0x88, 0x13, 0, 0, 0, 0, 0, 0, 0,
        0, 0x64, 0x00, 0, 0, 0, 0, 0xfc, 0x08, 0, 0, 0,
    ]
}

/// 0 Hz, 655.35 kWh, 0 V: none of it can be.
fn junk(serial: u32) -> Vec<u8> {
    let mut record = mains(serial);
    record[10..12].fill(0);
    record[20..22].fill(0xff);
    record[26..28].fill(0);
    record
}

/// A record that no decoder reads.
fn unknown(length: u8) -> Vec<u8> {
    let mut record = vec![0; usize::from(length)];
    record[..6].copy_from_slice(&[length, 0x53, 0x34, 0x12, 0, 0xff]);
    record
}

fn frame(records: &[&[u8]]) -> Vec<u8> {
    [&HEADER[..], &records.concat()].concat()
}

struct Bench {
    pipeline: Pipeline,
    subscription: Subscription,
}

impl Bench {
    fn new(device_filter: DeviceFilter) -> Self {
        let pipeline = Pipeline {
            decoders: DecoderTable::confirmed(),
            device_filter,
            gate: Gate::new(Plausibility::Withhold),
            counters: Arc::default(),
            publisher: Publisher::default(),
            frames: None,
            backpressure: Backpressure::DropOldest,
            stop: Stop::default(),
        };
        let subscription = pipeline.publisher.hub().subscribe().unwrap();
        Self { pipeline, subscription }
    }

    fn open(max: usize) -> Self {
        Self::new(DeviceFilter::open(BTreeMap::new(), max))
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.pipeline.packet(Packet::whole(None, Link::Ethernet, bytes));
    }

    /// The packet bytes and serial numbers of what was published since.
    fn published(&mut self) -> Vec<(u8, u32)> {
        let mut published = Vec::new();
        while let Some(Delivery::Item(reading)) = self.subscription.try_next() {
            published.push((reading.packet(), reading.serial));
        }
        published
    }

    /// Asserts the clauses of the counters' line: a word and the numbers at the end of each.
    #[track_caller]
    fn counts(&self, expected: &[(&str, &str)]) {
        counts(&self.pipeline.counters, expected);
    }
}

#[track_caller]
fn counts(counters: &Counters, expected: &[(&str, &str)]) {
    let line = counters.to_string();
    let clauses: Vec<_> = line.split("; ").collect();
    assert_eq!(clauses.len(), expected.len(), "{line}");
    for (clause, (word, numbers)) in clauses.iter().zip(expected) {
        let found = match *numbers {
            "readings" => *clause == format!("{word} {numbers}"),
            _ => clause.contains(word) && clause.ends_with(numbers),
        };
        assert!(found, "{word} {numbers}: {line}");
    }
}

#[test]
fn every_record_of_a_chained_frame_is_published() {
    let mut bench = Bench::open(32);
    let time = Timestamp::from_second(1_781_953_323).ok();
    let bytes = frame(&[&mains(EDDI), &unknown(0x30), &power(EDDI), &[0; 9]]);
    bench.pipeline.packet(Packet::whole(time, Link::Ethernet, &bytes));
    for (packet, key, value) in
        [(0x1f, "voltage", Value::Float(230.0)), (0x22, "divert_pwr", Value::Integer(100))]
    {
        let Some(Delivery::Item(reading)) = bench.subscription.try_next() else { panic!() };
        assert_eq!(
            (reading.packet(), reading.serial, reading.get(key)),
            (packet, EDDI, Some(value))
        );
        assert_eq!((reading.time, reading.mac), (time, Some(OURS)));
    }
    assert!(bench.subscription.try_next().is_none());
    bench.counts(&[
        ("2", "readings"),
        ("decoded", ": 0x1F 1, 0x22 1"),
        ("without a decoder", ": 0x30 1"),
        ("withheld", ": diverted_kWh 1"),
    ]);
}

#[test]
fn records_without_a_decoder_are_only_counted() {
    let logs = Logs::capture();
    let mut bench = Bench::open(32);
    for _ in 0..3 {
        bench.hear(&frame(&[&unknown(0x30), &unknown(0x27)]));
    }
    bench.counts(&[("0", "readings"), ("without a decoder", ": 0x27 3, 0x30 3")]);
    assert_eq!(logs.lines(), [""; 0], "the line of the first minute names them");
}

/// A zappi's status record in fast mode, of the length that an eddi sends too.
fn zappi(serial: u32) -> Vec<u8> {
    let s = serial.to_le_bytes();
    vec![
        0x20, 0x53, 0x10, 0x35, 0x50, 0xff, s[0], s[1], s[2], s[3], 0x83, 0x13, 0x80, 0xbc, 0xc0,
        0x1c, 0, 0, 4, 0, 0xd2, 4, 0x21, 0xa1, 8, 0x11, 2, 0, 0x20, 0x1c, 0xc2, 0x0b,
    ]
}

#[test]
fn a_device_of_another_product_is_logged_once() {
    let logs = Logs::capture();
    let mut bench = Bench::open(32);
    for serial in [16_042_300, 16_042_300, 16_042_301] {
        bench.hear(&frame(&[&zappi(serial)]));
    }
    assert_eq!(bench.published(), []);
    bench.counts(&[("0", "readings"), ("another product", ": 0x20 3")]);
    let lines = logs.lines();
    for (line, serial) in lines.iter().zip(["16042300", "16042301"]) {
        assert!(line.contains(&format!("{{serial: {serial}, product: eddi}}")), "{line}");
    }
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_device_with_a_configured_product_is_not_logged() {
    let logs = Logs::capture();
    let mut bench = Bench::open(32);
    bench.pipeline.device_filter = DeviceFilter::open(BTreeMap::new(), 32).with_products([7]);
    bench.hear(&frame(&[&zappi(7)]));
    assert_eq!(logs.lines(), [""; 0]);
}

#[test]
fn a_device_listed_as_an_eddi_is_published() {
    let mut bench = Bench::open(32);
    let eddi = [(16_042_300, energi_decoders::Product::Eddi)];
    bench.pipeline.decoders = DecoderTable::confirmed().with_products(eddi);
    bench.hear(&frame(&[&zappi(16_042_300)]));
    assert_eq!(bench.published(), [(0x20, 16_042_300)]);
}

#[test]
fn forged_serial_numbers_do_not_fill_the_log() {
    let logs = Logs::capture();
    let mut bench = Bench::open(32);
    (1..=1000).for_each(|serial| bench.hear(&frame(&[&zappi(serial)])));
    assert!(logs.lines().len() < 50);
}

#[test]
fn junk_takes_no_place_from_a_real_device() {
    let logs = Logs::capture();
    let mut bench = Bench::open(1);
    (1..=100).for_each(|serial| bench.hear(&frame(&[&junk(serial)])));
    bench.hear(&frame(&[&mains(EDDI)]));
    bench.hear(&frame(&[&mains(EDDI)]));
    assert_eq!(bench.published(), [(0x1f, EDDI), (0x1f, EDDI)]);
    bench.counts(&[
        ("2", "readings"),
        ("decoded", ": 0x1F 2"),
        ("withheld whole", ": 0x1F 100"),
        ("values withheld", ": diverted_kWh 100, frequency 100, voltage 100"),
    ]);
    let [line] = &logs.lines()[..] else { panic!("{:?}", logs.lines()) };
    let device = "serial=17589669 mac=70:b3:d5:0c:65:a5";
    assert!(line.starts_with("INFO ") && line.ends_with(device), "{line}");
}

#[test]
fn a_refused_device_is_logged_once() {
    let other = MacAddress([2, 0, 0, 0, 0, 1]);
    let listed = BTreeMap::from([(EDDI, Some(other))]);
    let only = || DeviceFilter::listed_only(listed.clone());
    let none = || DeviceFilter::open(BTreeMap::new(), 0);
    for (device_filter, serial, counted, said) in [
        (none(), 0, "without a device", "no device"),
        (none(), u32::MAX, "without a device", "no device"),
        (only(), 7, "of unlisted devices", "not in `devices.list`"),
        (only(), EDDI, "from another address", "`mac`"),
        (none(), 7, "beyond the maximum", "`devices.max`"),
    ] {
        let logs = Logs::capture();
        let mut bench = Bench::new(device_filter);
        (0..3).for_each(|_| bench.hear(&frame(&[&power(serial)])));
        assert_eq!(bench.published(), []);
        bench.counts(&[("0", "readings"), ("refused", ": 0x22 3"), (counted, ": 3")]);
        let [line] = &logs.lines()[..] else { panic!("{:?}", logs.lines()) };
        assert!(line.starts_with("WARN ") && line.contains(said), "{line}");
        assert!(line.ends_with(&format!("serial={serial} mac={OURS}")), "{line}");
    }
}

#[test]
fn a_million_forged_devices_cost_the_maximum() {
    for (device_filter, most) in [
        (DeviceFilter::open(BTreeMap::new(), 32), 32),
        (DeviceFilter::listed_only(BTreeMap::from([(EDDI, None)])), 0),
    ] {
        let logs = Logs::capture();
        let mut bench = Bench::new(device_filter);
        let mut bytes = frame(&[&mains(1)]);
        let at = HEADER.len() + 6;
        for serial in 1..=1_000_000_u32 {
            bytes[at..at + 4].copy_from_slice(&serial.to_le_bytes());
            bench.hear(&bytes);
        }
        assert_eq!(bench.pipeline.device_filter.seen_count(), most);
        assert_eq!(bench.published().len(), most);
        assert_eq!(logs.lines().len(), most + 1);
    }
}

#[test]
fn damage_costs_only_what_it_hit() {
    let mut bench = Bench::open(32);
    let whole = frame(&[&power(EDDI)]);
    // The end: a length byte that cannot be, and a record that is cut off.
    bench.hear(&frame(&[&power(EDDI), &[3, 0, 0]]));
    bench.hear(&frame(&[&power(EDDI), &power(EDDI)[..20]]));
    assert_eq!(bench.published().len(), 2);
    bench.hear(&whole[..10]);
    bench.hear(&[&whole[..12], &[0x08, 0x00], &whole[14..]].concat());
    bench.hear(&[&whole[..14], &[0xff], &whole[15..]].concat());
    bench.hear(&frame(&[&[5, 0, 0, 0, 0]]));
    assert_eq!(bench.published(), []);
    bench.counts(&[
        ("2", "readings"),
        ("decoded", ": 0x22 2"),
        ("cut-off", ": 1"),
        ("ethertypes", ": 1"),
        ("programs", ": 1"),
        ("length", ": 1"),
        ("ends", ": 2"),
    ]);
}

#[test]
fn the_counters_show_everything_but_zeros() {
    let counters = Counters::default();
    counts(&counters, &[("0", "readings")]);
    counters.readings.add(1);
    for (count, outcome) in [
        (1, Outcome::Decoded),
        (2, Outcome::Unknown),
        (3, Outcome::Withheld),
        (4, Outcome::Refused),
        (5, Outcome::Stopped),
        (6, Outcome::OtherProduct),
    ] {
        for _ in 0..count {
            counters.record(0x22, outcome);
        }
    }
    for (count, what) in [
        (1, Unusable::Truncated),
        (2, Unusable::Ethertype),
        (3, Unusable::Magic),
        (4, Unusable::Length),
        (5, Unusable::Tail),
    ] {
        (0..count).for_each(|_| counters.unusable(what));
    }
    counters.no_device.add(6);
    counters.not_listed.add(7);
    counters.other_address.add(8);
    counters.too_many.add(9);
    let live = Arc::new(LiveCounters::default());
    live.kernel_passed.add(10);
    live.kernel_drops.add(11);
    live.reopened.add(12);
    counters.watch(live);
    for key in ["voltage", "frequency", "voltage"] {
        counters.withheld(key);
    }
    let expected = [
        ("1", "readings"),
        ("decoded", ": 0x22 1"),
        ("without a decoder", ": 0x22 2"),
        ("another product", ": 0x22 6"),
        ("withheld whole", ": 0x22 3"),
        ("refused", ": 0x22 4"),
        ("left at the end", ": 0x22 5"),
        ("cut-off", ": 1"),
        ("ethertypes", ": 2"),
        ("programs", ": 3"),
        ("length", ": 4"),
        ("ends", ": 5"),
        ("without a device", ": 6"),
        ("unlisted", ": 7"),
        ("address", ": 8"),
        ("maximum", ": 9"),
        ("passed", ": 10"),
        ("dropped", ": 11"),
        ("reopenings", ": 12"),
        ("values withheld", ": frequency 1, voltage 2"),
    ];
    counts(&counters, &expected);
}

#[test]
fn a_stopped_replay_leaves_what_finds_no_room() {
    let bytes = frame(&[&power(EDDI)]);
    let most = energi_sinks::channel::CAPACITY;
    let mut bench = Bench::open(32);
    bench.pipeline.backpressure = Backpressure::Wait;
    bench.pipeline.stop.raise();
    (0..=most).for_each(|_| bench.hear(&bytes));
    let published = bench.published().len();
    assert!(published <= most);
    let left = most + 1 - published;
    bench.counts(&[
        (&published.to_string(), "readings"),
        ("decoded", &format!(": 0x22 {published}")),
        ("left at the end", &format!(": 0x22 {left}")),
    ]);
}

#[test]
fn live_capture_waits_for_no_sink() {
    let bytes = frame(&[&power(EDDI)]);
    let most = energi_sinks::channel::CAPACITY;
    let mut bench = Bench::open(32);
    (0..=most).for_each(|_| bench.hear(&bytes));
    assert!(matches!(bench.subscription.try_next(), Some(Delivery::Lagged(1))));
}

/// A source that gives what it holds, then fails or ends, and asks for the stop where it is told.
struct Script {
    packets: VecDeque<Vec<u8>>,
    given: Vec<u8>,
    fails: bool,
    stop_at: Option<(usize, Stop)>,
}

impl Source for Script {
    fn next(&mut self) -> Result<Event<'_>, CaptureError> {
        if let Some((left, stop)) = &self.stop_at
            && *left == self.packets.len()
        {
            stop.raise();
            return Ok(Event::Idle);
        }
        let Some(packet) = self.packets.pop_front() else {
            return if self.fails {
                Err(CaptureError::Data("cut off".to_owned()))
            } else {
                Ok(Event::End)
            };
        };
        self.given = packet;
        Ok(Event::Packet(Packet::whole(None, Link::Ethernet, &self.given)))
    }
}

#[test]
fn a_source_is_read_until_something_ends_it() {
    let script = |fails, stop_at| Script {
        packets: (1..=5).map(|serial| frame(&[&power(serial)])).collect(),
        given: Vec::new(),
        fails,
        stop_at,
    };
    let mut bench = Bench::open(32);
    bench.pipeline.run(&mut script(false, None)).unwrap();
    assert_eq!(bench.published().len(), 5);
    let error = bench.pipeline.run(&mut script(true, None)).unwrap_err();
    assert_eq!((error.to_string().as_str(), bench.published().len()), ("cut off", 5));
    let stop = bench.pipeline.stop.clone();
    bench.pipeline.run(&mut script(true, Some((2, stop)))).unwrap();
    assert_eq!(bench.published().len(), 3);
}

#[test]
fn a_sink_of_frames_gets_each_frame_as_it_came() {
    let mut bench = Bench::open(32);
    let tap = FrameTap::default();
    let mut frames = tap.publisher.hub().subscribe().unwrap();
    bench.pipeline.frames = Some(tap);
    let other_ethertype = [&[0; 12][..], &[0x08, 0x00], &[0; 46]].concat();
    let received = [frame(&[&mains(EDDI)]), frame(&[&unknown(0x30)]), frame(&[&[0; 4]])];
    let time = Timestamp::from_second(1_781_953_323).ok();
    for bytes in received.iter().chain([&other_ethertype]) {
        bench.pipeline.packet(Packet::whole(time, Link::Ethernet, bytes));
    }
    bench.pipeline.packet(Packet::whole(None, Link::Payload, &received[0]));
    for bytes in received {
        let Some(Delivery::Item(frame)) = frames.try_next() else { panic!() };
        assert_eq!((frame.time, &*frame.bytes), (time, &bytes[..]));
    }
    assert!(frames.try_next().is_none(), "neither another ethertype nor a payload alone");
}
