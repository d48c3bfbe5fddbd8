//! `research export`: a capture to be shared says everything but whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;

use energi_decoders::Product;
use energi_gateway::capture::pcapng::PcapngWriter;
use energi_gateway::capture::simulator::{Household, Settings};
use flate2::read::GzDecoder;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::network::{device_frame, ethernet};

const SERIAL: u32 = 17_589_669;
const MAC: [u8; 6] = [0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5];

fn holds(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len()).any(|window| window == name)
}

/// Every reading and every unknown record, as `decode` gives them.
fn decoded(sandbox: &Sandbox, capture: &str) -> Vec<Value> {
    let output = sandbox.run(&["decode", "--experimental", "all", "--unknown", capture]);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_export_changes_no_value() {
    let sandbox = Sandbox::new();
    let day = example_day();
    let day = day.to_str().unwrap();
    let export = |output: &str| {
        let output = sandbox.run(&["research", "export", day, "-o", output]);
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    let said = export("one.pcapng");
    assert!(said.contains("3 serial numbers, 2 addresses"), "{said}");
    export("two.pcapng");
    let (one, two) = (fs::read(sandbox.path("one.pcapng")), fs::read(sandbox.path("two.pcapng")));
    let one = one.unwrap();
    assert!(one == two.unwrap(), "the same capture becomes the same file");

    let mut original = Vec::new();
    GzDecoder::new(fs::File::open(day).unwrap()).read_to_end(&mut original).unwrap();
    for name in [&SERIAL.to_le_bytes()[..], &MAC] {
        assert!(holds(&original, name) && !holds(&one, name), "{name:x?}");
    }

    let (before, after) = (decoded(&sandbox, day), decoded(&sandbox, "one.pcapng"));
    assert_eq!(before.len(), after.len());
    let (mut serials, mut macs) = (BTreeMap::new(), BTreeMap::new());
    for (mut before, mut after) in before.into_iter().zip(after) {
        for line in [&mut before, &mut after] {
            if let Some(fields) = line.get_mut("fields") {
                let fields = fields.as_object_mut().unwrap();
                // It overlaps the serial number, as the protocol's notes have it.
                fields.remove("0x38/v1");
                let relay = fields.remove("harvi/relay");
                line["relay"] = relay.unwrap_or_default();
            }
        }
        for key in ["serial", "relay", "mac"] {
            let Some(old) = before.get(key).filter(|old| !old.is_null()) else { continue };
            let replaced = if key == "mac" { &mut macs } else { &mut serials };
            let new = replaced.entry(old.to_string()).or_insert_with(|| after[key].to_string());
            assert_eq!(*new, after[key].to_string(), "one number stands for one device");
        }
        for key in ["time", "packet", "record_type", "fields"] {
            assert_eq!(before.get(key), after.get(key));
        }
    }
    for replaced in [serials, macs] {
        let new: BTreeSet<_> = replaced.values().collect();
        assert!(new.len() == replaced.len() && new.len() > 1, "{replaced:?}");
        assert!(replaced.keys().all(|old| !new.contains(old)), "{replaced:?}");
    }
}

#[test]
fn captures_given_together_share_their_numbers() {
    let sandbox = Sandbox::new();
    let day = example_day();
    let mut capture = Vec::new();
    GzDecoder::new(fs::File::open(day).unwrap()).take(1 << 20).read_to_end(&mut capture).unwrap();
    sandbox.write("cut.pcapng", &capture);
    let output =
        sandbox.run(&["research", "export", "--keep-identities", "cut.pcapng", "-o", "all.pcapng"]);
    assert_eq!(output.status.code(), Some(65), "{}", stderr(&output));
    let plain = decoded(&sandbox, "all.pcapng").len();
    assert!(plain > 1_000, "what could be read is exported: {plain}");
    assert!(
        holds(&fs::read(sandbox.path("all.pcapng")).unwrap(), &MAC),
        "as asked: nothing replaced"
    );

    let twice = ["research", "export", "all.pcapng", "all.pcapng", "-o", "twice.pcapng"];
    let output = sandbox.run(&twice);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = decoded(&sandbox, "twice.pcapng");
    assert_eq!(lines.len(), 2 * plain);
    let (first, second) = lines.split_at(plain);
    assert_eq!(first, second);
}

#[test]
fn other_or_damaged_frames_are_not_exported() {
    let sandbox = Sandbox::new();
    let mut capture = PcapngWriter::new(Vec::new(), Some("enp3s0-of-jane")).unwrap();
    let mut good = device_frame(1);
    good[14 + 0x2E..14 + 0x32].copy_from_slice(&SERIAL.to_le_bytes());
    let mut damaged = good.clone();
    damaged[14 + 0x18] = 0xff;
    let private = [&ethernet([0xff; 6], &[0x08, 0x00])[..], b"GET /private"].concat();
    for frame in [&good, &damaged, &private] {
        capture.write("2026-06-20T11:02:03Z".parse().unwrap(), frame).unwrap();
    }
    sandbox.write("mixed.pcapng", capture.into_inner());
    let arguments = ["research", "export", "mixed.pcapng", "-o", "out.pcapng"];
    let output = sandbox.run(&arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    for part in ["1 frames;", "1 of other protocols", "1 damaged"] {
        assert!(said.contains(part), "no {part} in: {said}");
    }
    let exported = fs::read(sandbox.path("out.pcapng")).unwrap();
    for private in [&b"private"[..], b"jane", &MAC, &SERIAL.to_le_bytes()] {
        assert!(!holds(&exported, private), "{private:x?}");
    }
    assert_eq!(decoded(&sandbox, "out.pcapng").len(), 1);
}

#[test]
fn devices_on_one_lan_stay_apart() {
    let sandbox = Sandbox::new();
    let start: Timestamp = "2026-06-20T10:00:00Z".parse().unwrap();
    let mut settings = Settings::new(start, TimeZone::UTC);
    (settings.devices, settings.others) = (3, vec![Product::Zappi]);
    let mut household = Household::new(settings);
    let mut capture = PcapngWriter::new(Vec::new(), None).unwrap();
    let mut macs = BTreeSet::new();
    while let Some((time, frame)) = household.next_frame()
        && time < start + SignedDuration::from_mins(10)
    {
        macs.insert(frame[6..12].to_vec());
        capture.write(time, frame).unwrap();
    }
    sandbox.write("house.pcapng", capture.into_inner());
    let output = sandbox.run(&["research", "export", "house.pcapng", "-o", "shared.pcapng"]);
    assert!(stderr(&output).contains("4 serial numbers, 4 addresses"));
    let shared = fs::read(sandbox.path("shared.pcapng")).unwrap();
    for device in (0..3).map(|index| household.device(index).unwrap()) {
        let serial = device.serial;
        for name in [serial.to_le_bytes(), serial.to_be_bytes()] {
            assert!(!holds(&shared, &name), "{serial}");
        }
    }
    for mac in macs {
        assert!(!holds(&shared, &mac), "{mac:x?}");
    }
    // Each stays the same one throughout: nothing but the names tells the captures apart.
    let mut names = BTreeSet::new();
    let (before, after) = (decoded(&sandbox, "house.pcapng"), decoded(&sandbox, "shared.pcapng"));
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        let name = |line: &Value| (line["mac"].to_string(), line["serial"].as_u64());
        names.insert((name(before), name(after)));
        assert_eq!((&before["time"], &before["packet"]), (&after["time"], &after["packet"]));
    }
    let befores: BTreeSet<_> = names.iter().map(|(before, _)| before).collect();
    let afters: BTreeSet<_> = names.iter().map(|(_, after)| after).collect();
    assert_eq!((befores.len(), afters.len()), (names.len(), names.len()), "{names:?}");
}

/// A block of a pcapng file.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(12 + body.len()).unwrap().to_le_bytes();
    [&kind.to_le_bytes()[..], &size, body, &size].concat()
}

/// Options of a block, ended.
fn options(options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, value) in options {
        bytes.extend(code.to_le_bytes());
        bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn the_notes_of_a_capture_are_not_exported() {
    let sandbox = Sandbox::new();
    let mut frame = device_frame(1);
    frame[14 + 0x2E..14 + 0x32].copy_from_slice(&SERIAL.to_le_bytes());
    let size = u32::try_from(frame.len()).unwrap().to_le_bytes();
    // The codes are those of the pcapng specification: comment 1, hardware 2, system 3, program 4;
    // of an interface: name 2, description 3, addresses 4 and 6, filter 11, system 12, hardware 15.
    let section = [
        &0x1a2b_3c4d_u32.to_le_bytes()[..],
        &[1, 0, 0, 0],
        &[0xff; 8],
        &options(&[(1, b"secret1"), (2, b"secret2"), (3, b"secret3"), (4, b"secret4")]),
    ];
    let interface = [
        &[1, 0, 0, 0, 0, 0, 0, 0][..],
        &options(&[
            (1, b"secret5"),
            (2, b"secret6"),
            (3, b"secret7"),
            (4, &[192, 168, 77, 7, 255, 255, 255, 0]),
            (6, &[0xdc, 0xa6, 0x32, 9, 8, 7]),
            (11, b"\0secret8"),
            (12, b"secret9"),
            (15, b"secret0"),
        ]),
    ];
    let mut padded = frame.clone();
    padded.resize(frame.len().next_multiple_of(4), 0x5a);
    let packet =
        [&[0; 12][..], &size, &size, &padded, &options(&[(1, b"secret at 07:53 I boosted")])];
    let names = [&[1, 0, 16, 0, 192, 168, 77, 8][..], b"secret.home\0", &[0; 4]];
    let capture = [
        block(0x0a0d_0d0a, &section.concat()),
        block(1, &interface.concat()),
        block(4, &names.concat()),
        block(6, &packet.concat()),
        block(0xbad, &[&[1, 2, 3, 4][..], b"a secret of somebody"].concat()),
    ];
    sandbox.write("annotated.pcapng", capture.concat());
    let output = sandbox.run(&["research", "export", "annotated.pcapng", "-o", "out.pcapng"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 serial numbers, 1 addresses"));
    let exported = fs::read(sandbox.path("out.pcapng")).unwrap();
    let address: [&[u8]; 3] = [&[192, 168, 77], &[0xdc, 0xa6, 0x32, 9, 8, 7], &[0x5a]];
    for private in [&b"secret"[..], address[0], address[1], address[2], &MAC, &SERIAL.to_le_bytes()]
    {
        assert!(!holds(&exported, private), "{private:x?}");
    }
}

#[test]
fn what_cannot_be_exported_is_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    let day = example_day();
    let day = day.to_str().unwrap();
    sandbox.write("there.pcapng", "precious");
    sandbox.write("payload.bin", [0xcb, 0xda, 0xe9, 0xf8].repeat(20));
    for (arguments, code, word) in [
        (["-", "-o", "a.pcapng"], 64, "read twice"),
        (["no.pcapng", "-o", "a.pcapng"], 66, "no such file"),
        ([day, "-o", "there.pcapng"], 64, "--force replaces it"),
        (["there.pcapng", "-o", "there.pcapng"], 64, "the capture itself"),
        ([day, "-o", "no/such.pcapng"], 74, "cannot be written"),
        (["payload.bin", "-o", "b.pcapng"], 65, "sender"),
    ] {
        let arguments = [&["research", "export"][..], &arguments].concat();
        let output = sandbox.run(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(fs::read_to_string(sandbox.path("there.pcapng")).unwrap(), "precious");
    // A file that was there before is never removed, whatever happens to it.
    std::os::unix::fs::symlink("/dev/full", sandbox.path("device")).unwrap();
    let output = sandbox.run(&["research", "export", day, "-o", "device", "--force"]);
    assert_eq!(output.status.code(), Some(74), "{}", stderr(&output));
    assert!(sandbox.path("device").is_symlink());
    assert!(!sandbox.path("a.pcapng").exists() && !sandbox.path("b.pcapng").exists());
}
