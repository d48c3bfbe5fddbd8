//! The page on research is a tutorial that works: its commands run, and say what the page says.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use energi_gateway::cli::Cli;
use support::gateway::{Sandbox, root, stderr, stdout};
use support::golden;

const PAGE: &str = "docs/research.md";

/// Runs a line of the page as a reader would, in the project's folder.
fn run(sandbox: &Sandbox, line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_energi-gateway"));
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(sandbox.path("."))
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .env("NO_COLOR", "1")
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {}", stderr(&output));
    let text = stdout(&output);
    assert!(!text.is_empty(), "{line}: nothing to see");
    text
}

#[test]
fn every_command_of_the_page_says_what_it_shows() {
    let sandbox = Sandbox::new();
    symlink(root().join("examples"), sandbox.path("examples")).unwrap();
    let page = std::fs::read_to_string(root().join(PAGE)).unwrap();
    let mut written = String::new();
    let mut blocks = page.split("```");
    while let Some(prose) = blocks.next() {
        written += prose;
        let Some(block) = blocks.next() else { break };
        let (kind, content) = block.split_once('\n').unwrap();
        let content = match kind {
            "console" => content
                .lines()
                .filter_map(|line| line.strip_prefix("$ "))
                .flat_map(|line| {
                    ["$ ".to_owned(), line.to_owned(), "\n".to_owned(), run(&sandbox, line)]
                })
                .collect(),
            "sh" => {
                for line in content.lines() {
                    let words = line.split_whitespace();
                    let parsed = Cli::try_parse_from(words);
                    parsed.unwrap_or_else(|error| panic!("{line}: {error}"));
                }
                content.to_owned()
            }
            "yaml" => {
                let name = content.lines().next().unwrap().trim_start_matches("# ");
                sandbox.write(name, content);
                content.to_owned()
            }
            _ => content.to_owned(),
        };
        written.extend(["```", kind, "\n", &content, "```"]);
    }
    golden::matches_golden(PAGE, &written);
}
