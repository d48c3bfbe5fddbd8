//! The Wireshark dissector says what `decode` says.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use energi_gateway::dissector::filter_name;
use serde_json::{Map, Value};
use support::gateway::{Sandbox, example_day, root, stderr, stdout};
use support::golden::matches_golden;
use support::process::{Running, installed};

#[test]
fn the_committed_dissector_is_up_to_date() {
    let output = Sandbox::new().run(&["dissector"]);
    assert!(output.status.success(), "{}", stderr(&output));
    matches_golden("docs/wireshark/myenergi.lua", &stdout(&output));
}

/// Output of tshark for a capture, a line a frame.
struct Shark {
    _tshark: Running,
    lines: Lines<BufReader<ChildStdout>>,
    /// Columns of each metric in a line, by its key.
    columns: HashMap<String, usize>,
    count: usize,
}

/// Columns before the metrics in each line.
const FIRST: [&str; 7] = [
    "frame.time_epoch",
    "eth.src",
    "_ws.col.Protocol",
    "_ws.col.Info",
    "_ws.expert.message",
    "myenergi.serial",
    "myenergi.unknown",
];

impl Shark {
    fn watch(tshark: &Path, dissector: &Path, capture: &Path) -> Self {
        let mut command = Command::new(tshark);
        command.args(["-X", &format!("lua_script:{}", dissector.display()), "-r"]).arg(capture);
        command.args(["-T", "fields", "-E", "separator=/t"]);
        for name in FIRST {
            command.args(["-e", name]);
        }
        // Every metric that the dissector knows, told by its own text: `["key"] = ProtoField…`.
        let script = fs::read_to_string(dissector).unwrap();
        let (_, metrics) = script.split_once("local value_fields = {").unwrap();
        let (metrics, _) = metrics.split_once("\n}\n").unwrap();
        let mut columns = HashMap::new();
        for line in metrics.lines().filter(|line| line.contains("ProtoField")) {
            let id = line.split('"').nth(1).unwrap();
            let key = id.split(':').next().unwrap().to_owned();
            let column = FIRST.len() + columns.len();
            columns.entry(key.clone()).or_insert_with(|| {
                command.args(["-e", &filter_name(&key)]);
                column
            });
        }
        let count = FIRST.len() + columns.len();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _tshark: Running(child), lines, columns, count }
    }

    /// The columns of the next frame.
    fn next(&mut self) -> Option<Vec<String>> {
        let line = self.lines.next()?.unwrap();
        let columns: Vec<_> = line.split('\t').map(str::to_owned).collect();
        assert_eq!(columns.len(), self.count, "{line}");
        Some(columns)
    }

    /// Holds a frame against what `decode --unknown` says of it.
    fn agrees(&self, frame: &[String], decoded: &[Map<String, Value>]) {
        let mut expected: HashMap<&str, Vec<&Value>> = HashMap::new();
        let fields = decoded.iter().filter_map(|line| line.get("fields")?.as_object());
        for (key, value) in fields.flatten() {
            expected.entry(key).or_default().push(value);
        }
        for (key, &column) in &self.columns {
            let shown: Vec<&str> = frame[column].split(',').filter(|it| !it.is_empty()).collect();
            let expected = expected.remove(key.as_str()).unwrap_or_default();
            let same = shown.len() == expected.len()
                && shown.iter().zip(&expected).all(|(shown, expected)| same(shown, expected));
            assert!(same, "{key}: tshark shows {shown:?}, decode {expected:?} in {decoded:?}");
        }
        assert!(expected.is_empty(), "tshark has no {expected:?}");

        let serials: Vec<_> =
            decoded.iter().filter_map(|line| Some(line.get("serial")?.to_string())).collect();
        assert_eq!(frame[5], serials.join(","), "{decoded:?}");
        for line in decoded.iter().filter(|line| line.contains_key("raw")) {
            let body = &line["raw"].as_str().unwrap()["0x".len() + 2 * 6..];
            assert!(frame[6].split(',').any(|shown| shown.eq_ignore_ascii_case(body)), "{line:?}");
            let kind = line["record_type"].as_str().unwrap();
            assert!(frame[3].contains(&format!("unknown, type {kind}")), "{}", frame[3]);
        }
    }
}

/// Returns whether two programs mean the same value. Both numbers are the nearest to the same
/// quotient, so nothing but equality will do.
fn same(shown: &str, decoded: &Value) -> bool {
    match decoded {
        Value::Bool(flag) => matches!((shown, flag), ("1" | "True", true) | ("0" | "False", false)),
        Value::String(word) => shown == word,
        _ => shown.parse::<f64>().is_ok_and(|shown| decoded.as_f64() == Some(shown)),
    }
}

fn json(line: &str) -> Map<String, Value> {
    serde_json::from_str(line).unwrap()
}

/// The dissector, with the decoders that a configuration declares.
fn dissector(sandbox: &Sandbox, config: &[&str]) -> PathBuf {
    let output = sandbox.run(&[&["dissector"], config].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    sandbox.write("myenergi.lua", output.stdout)
}

#[test]
fn tshark_agrees_with_decode_on_the_example_day() {
    let Some(tshark) = installed("tshark") else { return };
    let (sandbox, day) = (Sandbox::new(), example_day());
    let arguments = ["decode", "--experimental", "all", "--unknown", day.to_str().unwrap()];
    let mut decode = sandbox.program(&arguments).spawn().unwrap();
    let decoded = BufReader::new(decode.stdout.take().unwrap()).lines();
    let _decode = Running(decode);
    let mut shark = Shark::watch(&tshark, &dissector(&sandbox, &[]), &day);
    let mut frames = 0;
    // No two frames of the example day share a time; one may have several readings.
    let mut decoded = decoded.map(|line| json(&line.unwrap())).peekable();
    while let Some(line) = decoded.next() {
        let mut lines = vec![line.clone()];
        while let Some(more) = decoded.next_if(|next| next["time"] == line["time"]) {
            lines.push(more);
        }
        let frame = shark.next().expect("tshark ends before decode does");
        let time: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
        let epoch = format!("{}.{:06}000", time.as_second(), time.subsec_microsecond());
        assert_eq!(frame[..3], [&epoch, line["mac"].as_str().unwrap(), "myenergi"]);
        assert_eq!(frame[4], "", "tshark finds fault with {line:?}");
        shark.agrees(&frame, &lines);
        frames += 1;
    }
    assert!(shark.next().is_none(), "decode ends before tshark does");
    assert!(frames > 146_160, "those of an eddi, and of other devices: {frames}");
}

/// A capture of `frames`, each an Ethernet frame.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut pcap = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        pcap.extend(word.to_le_bytes());
    }
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        for word in [0, 0, length, length] {
            pcap.extend(word.to_le_bytes());
        }
        pcap.extend(frame);
    }
    pcap
}

/// The frames of the golden files for `decode`, with what each is.
fn odd_frames() -> Vec<(String, Vec<u8>)> {
    let text = fs::read_to_string(root().join("tests/golden/decode/frames.hex")).unwrap();
    let mut name = String::new();
    let mut frames = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(comment) => comment.clone_into(&mut name),
            None if line.is_empty() => {}
            None => {
                let pairs = line.split(' ').map(|pair| u8::from_str_radix(pair, 16).unwrap());
                frames.push((name.clone(), pairs.collect()));
            }
        }
    }
    frames
}

#[test]
fn tshark_agrees_with_decode_on_odd_records() {
    let Some(tshark) = installed("tshark") else { return };
    let sandbox = Sandbox::new();
    let config = root().join("tests/golden/decode/custom.yaml");
    let config = ["-c", config.to_str().unwrap()];
    let mut frames = odd_frames();
    for (_, frame) in &mut frames {
        // A payload without its Ethernet header: Wireshark needs one.
        if frame.starts_with(&[0xcb, 0xda]) {
            let header = [0x71, 0xb3, 0xd5, 0x3a, 0x6f, 0, 0x70, 0xb3, 0xd5, 1, 2, 3, 0x88, 0xb5];
            frame.splice(..0, header);
        }
    }
    let bytes: Vec<_> = frames.iter().map(|(_, frame)| frame.clone()).collect();
    let capture = sandbox.write("odd.pcap", pcap(&bytes));
    let mut shark = Shark::watch(&tshark, &dissector(&sandbox, &config), &capture);
    for (name, bytes) in &frames {
        let one = sandbox.write("one.pcap", pcap(std::slice::from_ref(bytes)));
        let arguments =
            [&["decode", "--experimental", "all", "--unknown", one.to_str().unwrap()], &config[..]];
        let decoded = stdout(&sandbox.run(&arguments.concat()));
        let decoded: Vec<_> = decoded.lines().map(json).collect();
        let frame = shark.next().unwrap();
        shark.agrees(&frame, &decoded);
        let ours = name != "another program on the same ethertype";
        assert_eq!(frame[2] == "myenergi", ours, "{name}: {frame:?}");
        let fault = match name {
            name if name.contains("length byte that is none") => "short",
            name if name.contains("cut off") => "cut off",
            _ => "",
        };
        assert!(frame[4].contains(fault), "{name}: {frame:?}");
        assert_eq!(frame[4].is_empty(), fault.is_empty(), "{name}: {frame:?}");
    }
    assert!(shark.next().is_none());
}

#[test]
fn each_field_can_be_filtered_for() {
    let Some(tshark) = installed("tshark") else { return };
    // Installed as the documents say; its fields are listed before scripts are read that are named
    // on the command line.
    let sandbox = Sandbox::new();
    let plugins = ".local/lib/wireshark/plugins";
    fs::create_dir_all(sandbox.path(plugins)).unwrap();
    fs::rename(dissector(&sandbox, &[]), sandbox.path(plugins).join("myenergi.lua")).unwrap();
    let mut list = Command::new(tshark);
    let list = list.args(["-G", "fields"]).env("HOME", sandbox.path("")).output().unwrap();
    let listing = stdout(&list);
    let field = |name: &str| {
        let mut lines = listing.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let line = lines.find(|line| line[0] == "F" && line[2] == name);
        let line = line.unwrap_or_else(|| panic!("there is no {name}"));
        [line[1], line[3], line.last().unwrap()].map(str::to_owned)
    };
    for (name, expected) in [
        ("myenergi.grid_pwr", ["Grid power", "FT_INT32", "W; 0x22 at 0x1E: i16, confidence A"]),
        ("myenergi.voltage", ["Voltage", "FT_DOUBLE", "V; 0x1F at 0x32: u16 / 10, confidence A"]),
        ("myenergi.boost", ["Boost", "FT_BOOLEAN", "0x20 at 0x2E: bit 4, confidence A"]),
        ("myenergi.x36.v1", ["Unknown v1", "FT_INT32", "confidence C"]),
        ("myenergi.record.type", ["Record type", "FT_UINT16", "Confidence A"]),
        ("myenergi.serial", ["Serial number", "FT_UINT32", ""]),
    ] {
        let [label, kind, note] = field(name);
        assert_eq!([label.as_str(), kind.as_str()], expected[..2], "{name}");
        assert!(note.contains(expected[2]), "{name}: {note}");
    }
    let [.., note] = field("myenergi.divert_pwr");
    assert!(note.contains("0x20 at 0x34: u16") && note.contains("0x22 at 0x32: i16"), "{note}");
}
