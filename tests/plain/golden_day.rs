//! The recorded day that the project ships decodes to what it always did.
//!
//! Its first hour stands in full in `tests/golden/eddi-day.first-hour.jsonl`, a digest of every hour
//! in `eddi-day.digest`. After a wanted change, `UPDATE_GOLDEN=1 cargo test --test golden_day`
//! updates both; the difference is what the change means for users.

use std::fmt::Write;

use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::golden::matches_golden;

#[test]
fn the_example_day_decodes_to_the_golden_file() {
    let day = example_day();
    let output = Sandbox::new().run(&["decode", "--experimental", "all", day.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = stdout(&output);

    let hour = |line: &str| line[..r#"{"time":"2026-06-20T11"#.len()].to_owned();
    let mut digest = String::new();
    let mut first_hour = None;
    let all: Vec<&str> = lines.lines().collect();
    for lines in all.chunk_by(|one, next| hour(one) == hour(next)) {
        let mut crc = flate2::Crc::new();
        for line in lines {
            crc.update(line.as_bytes());
        }
        let hour = &hour(lines[0])[r#"{"time":""#.len()..];
        writeln!(digest, "{hour} {} lines, CRC-32 {:08x}", lines.len(), crc.sum()).unwrap();
        first_hour.get_or_insert_with(|| lines.join("\n") + "\n");
    }
    matches_golden("tests/golden/eddi-day.first-hour.jsonl", &first_hour.unwrap());
    matches_golden("tests/golden/eddi-day.digest", &digest);
}
