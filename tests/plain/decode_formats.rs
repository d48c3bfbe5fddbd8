//! `decode` for people: tables and annotated bytes, in colour where somebody sees it.

use std::io::{BufRead, BufReader};

use support::gateway::{Sandbox, example_day, root, stderr, stdout};
use support::golden::matches_golden;
use support::terminal::Terminal;

/// Everything that there is to see of the frames that the golden files are made of.
fn everything(format: &str) -> Vec<String> {
    let golden = root().join("tests/golden/decode");
    let path = |name: &str| golden.join(name).to_str().unwrap().to_owned();
    let (config, frames) = (path("custom.yaml"), path("frames.hex"));
    let words = [
        "decode",
        "--format",
        format,
        "--experimental",
        "all",
        "--unknown",
        "-c",
        &config,
        &frames,
    ];
    words.map(str::to_owned).to_vec()
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn every_frame_is_shown_as_the_golden_files_say() {
    for (format, name) in
        [("text", "frames.text.txt"), ("hex", "frames.hex.txt"), ("json", "frames.jsonl")]
    {
        let output = Sandbox::new().run(&words(&everything(format)));
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains("length byte"), "{}", stderr(&output));
        matches_golden(&format!("tests/golden/decode/{name}"), &stdout(&output));
    }
}

#[test]
fn records_without_a_decoder_are_shown_on_request() {
    let frames = root().join("tests/golden/decode/frames.hex");
    let frames = frames.to_str().unwrap();
    for format in ["text", "hex"] {
        let shown = |more: &[&str]| {
            let words = [&["decode", "--format", format, frames], more].concat();
            stdout(&Sandbox::new().run(&words))
        };
        let plain = shown(&[]);
        assert!(plain.contains("0x22 CT readings"), "{plain}");
        assert!(!plain.contains("unknown") && !plain.contains("cut off"), "{plain}");
        let all = shown(&["--unknown"]);
        for words in
            ["0x2D unknown", "--experimental 0x36", "0x22 cut off", "padding, 9", "not a record"]
        {
            assert!(all.contains(words), "no `{words}` in: {all}");
        }
        assert!(!all.to_uppercase().contains("DE AD BE EF"), "another program's frame: {all}");
    }
}

#[test]
fn a_recording_is_shown_with_its_senders() {
    let day = example_day();
    let mut child = Sandbox::new()
        .program(&["decode", "--format", "text", day.to_str().unwrap()])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let head = ["2026-06-19T23:00:00.020370Z  70:b3:d5:0c:65:a5  0x22 ", "0x3600", "17589669"];
    for parts in [&head[..], &["grid_pwr", "224 W  0x1E i16  E0 00  A"]] {
        let line = lines.next().unwrap().unwrap();
        assert!(parts.iter().all(|part| line.contains(part)), "{parts:?}: {line}");
    }
    drop(lines);
    // As after `| head`: nobody is left to be told.
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

#[test]
fn packets_that_are_no_device_s_are_accounted_for() {
    let sandbox = Sandbox::new();
    // A device's frame of 72 bytes, of which the capture kept 55; an ARP request.
    let frame =
        format!("71b3d53a6f0070b3d50c65a588b5cbdae9f8{}01000000225310350148", "00".repeat(16));
    let mut cut = unhex(&frame);
    cut.resize(55, 9);
    let arp = unhex(&format!("ffffffffffff70b3d50c65a50806{}", "00".repeat(46)));
    let mut capture = unhex("d4c3b2a10200040000000000000000000000040001000000");
    for (packet, length) in [(cut, 72_u32), (arp.clone(), 60), (arp, 60)] {
        let kept = u32::try_from(packet.len()).unwrap();
        for word in [1_781_900_000, 0, kept, length] {
            capture.extend(word.to_le_bytes());
        }
        capture.extend(packet);
    }
    sandbox.write("lan.pcap", capture);
    let output = sandbox.run(&["decode", "lan.pcap"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for words in ["55 of 72 bytes", "none of 3 packets", "2 of 0x0806 ARP"] {
        assert!(stderr(&output).contains(words), "no `{words}` in: {}", stderr(&output));
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn on_a_terminal(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let terminal = Terminal::new();
    let sandbox = Sandbox::new();
    let mut program = sandbox.program(arguments);
    program.env_remove("NO_COLOR").env("TERM", "xterm").envs(environment.iter().copied());
    let mut child = program.stdout(terminal.output()).spawn().unwrap();
    // The last handles of the terminal are the program's: its end is the end of what is read.
    drop(program);
    let seen = terminal.text();
    assert!(child.wait().unwrap().success());
    seen
}

/// The text without the sequences that colour it.
fn without_colours(text: &str) -> String {
    let mut pieces = text.split('\x1b');
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('m').unwrap().1)
}

#[test]
fn colours_are_for_terminals_whose_user_wants_them() {
    for format in ["text", "hex"] {
        let arguments = everything(format);
        let arguments = words(&arguments);
        let piped = Sandbox::new().program(&arguments).env_remove("NO_COLOR").output().unwrap();
        let plain = stdout(&piped);
        assert!(!plain.contains('\x1b'), "{format}: a pipe has no colours");

        let coloured = on_a_terminal(&arguments, &[]);
        assert!(coloured.contains('\x1b'), "{format}: a terminal has");
        assert_eq!(without_colours(&coloured), plain, "{format}: and the same text");
        let empty = on_a_terminal(&arguments, &[("NO_COLOR", "")]);
        assert_eq!(empty, coloured, "{format}: an empty NO_COLOR says nothing");
        for no in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            assert_eq!(on_a_terminal(&arguments, &[no]), plain, "{format}: {no:?}");
        }
    }
}

#[test]
fn json_is_never_coloured() {
    let arguments = everything("json");
    assert!(!on_a_terminal(&words(&arguments), &[]).contains('\x1b'));
}
