//! Pages are spelled as a British dictionary spells, but for the words of the field.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::page::pages;
use support::gateway::root;
use support::process::installed;

/// The words that no dictionary has, one a line.
const WORDS: &str = "tests/documents/words.txt";

#[test]
fn every_word_is_spelled_right() {
    let Some(aspell) = installed("aspell") else { return };
    let words = std::fs::read_to_string(root().join(WORDS)).unwrap();
    let known: Vec<&str> = words.lines().collect();
    assert!(known.is_sorted(), "{WORDS} is in order");
    let mut wrong = Vec::new();
    for page in pages() {
        let mut child = Command::new(&aspell)
            .args(["list", "--lang=en_GB", "--encoding=utf-8", "--ignore=2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let prose = page.prose.clone();
        let writer = std::thread::spawn(move || stdin.write_all(prose.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success(), "aspell: {}", String::from_utf8_lossy(&output.stderr));
        let unknown = String::from_utf8(output.stdout).unwrap();
        for word in unknown.lines() {
            let word = word.trim_end_matches("'s");
            if known.binary_search(&word).is_err() {
                wrong.push(format!("{}: {word}", page.path));
            }
        }
    }
    assert!(wrong.is_empty(), "misspelled, or to be added to {WORDS}:\n{}", wrong.join("\n"));
}
