//! Pictures are of the program as it is.
//!
//! `UPDATE_GOLDEN=1 cargo test --test documents` draws them anew.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;

use anstyle::RgbColor;
use anstyle_svg::Term;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::gateway::{Desk, example_day, root, stderr, stdout};
use crate::golden::matches_golden;

/// What the program writes to a terminal, its first lines.
fn on_a_terminal(desk: &Desk, arguments: &[&str], lines: usize) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let name = Path::new(name.to_str().unwrap());
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    let mut program = desk.program(arguments);
    program.env_remove("NO_COLOR").env("TERM", "xterm");
    let stdout = terminal.as_fd().try_clone_to_owned().unwrap();
    let mut child = program.stdout(Stdio::from(stdout)).stderr(Stdio::null()).spawn().unwrap();
    // The last handles of the terminal are the program's: its end is the end of what is read.
    drop((program, terminal));
    let mut seen = Vec::new();
    // The end of a terminal is an error to its reader.
    let _ = File::from(master).read_to_end(&mut seen);
    child.wait().unwrap();
    let seen = String::from_utf8(seen).unwrap().replace("\r\n", "\n");
    seen.split_inclusive('\n').take(lines).collect()
}

#[test]
fn the_picture_of_decoded_bytes_is_of_the_program() {
    let frames = std::fs::read_to_string(root().join("tests/golden/decode/frames.hex")).unwrap();
    let desk = Desk::new();
    let (_, wanted) = frames.split_once("# 0x20: eddi data 2\n").unwrap();
    desk.write("frame.hex", wanted.lines().next().unwrap());
    let text = on_a_terminal(&desk, &["decode", "--format", "hex", "frame.hex"], 40);
    // Dark colours are read best on white.
    let paper = RgbColor(255, 255, 255).into();
    let ink = RgbColor(30, 41, 59).into();
    let terminal = Term::new().fg_color(ink).bg_color(paper);
    matches_golden("docs/images/decode.svg", &terminal.render_svg(&text));
}

#[test]
fn the_chart_of_the_example_day_is_of_the_program() {
    let desk = Desk::new();
    desk.write(
        "config.yaml",
        format!(
            "timezone: Europe/London\ncapture: {{type: replay, path: \"{}\"}}\nsinks: [type: sqlite]\n",
            example_day().display()
        ),
    );
    let output = desk.run(&["run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let chart = desk.run(&["report", "daily", "--db", "energi.db", "--format", "svg"]);
    matches_golden("docs/images/day.svg", &stdout(&chart));
}
