//! Pictures are of the program as it is.
//!
//! `UPDATE_GOLDEN=1 cargo test --test documents` draws them again.

use std::process::Stdio;

use anstyle::RgbColor;
use anstyle_svg::Term;

use support::gateway::{Sandbox, example_day, root, stderr, stdout};
use support::golden::matches_golden;
use support::process::Running;
use support::terminal::Terminal;

/// Returns what the program writes to a terminal, its first lines.
fn on_a_terminal(sandbox: &Sandbox, arguments: &[&str], lines: usize) -> String {
    let terminal = Terminal::new();
    let mut program = sandbox.program(arguments);
    program.env_remove("NO_COLOR").env("TERM", "xterm");
    program.stdout(terminal.output()).stderr(Stdio::null());
    let _running = Running(program.spawn().unwrap());
    // Its handle of the terminal would keep that open.
    drop(program);
    let seen = terminal.text();
    seen.split_inclusive('\n').take(lines).collect()
}

#[test]
fn the_picture_of_decoded_bytes_is_of_the_program() {
    let frames = std::fs::read_to_string(root().join("tests/golden/decode/frames.hex")).unwrap();
    let sandbox = Sandbox::new();
    let (_, wanted) = frames.split_once("# 0x20: eddi data 2\n").unwrap();
    sandbox.write("frame.hex", wanted.lines().next().unwrap());
    let text = on_a_terminal(&sandbox, &["decode", "--format", "hex", "frame.hex"], 40);
    // Dark colours are read best on white.
    let paper = RgbColor(255, 255, 255).into();
    let ink = RgbColor(30, 41, 59).into();
    let terminal = Term::new().fg_color(ink).bg_color(paper);
    matches_golden("docs/images/decode.svg", &terminal.render_svg(&text));
}

#[test]
fn the_chart_of_the_example_day_is_of_the_program() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "config.yaml",
        format!(
            "timezone: Europe/London\ncapture: {{type: replay, path: \"{}\"}}\nsinks: [type: sqlite]\n",
            example_day().display()
        ),
    );
    let output = sandbox.run(&["run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let chart = sandbox.run(&["report", "--db", "energi.db", "--format", "svg"]);
    matches_golden("docs/images/day.svg", &stdout(&chart));
}
