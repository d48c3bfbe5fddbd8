//! Commands in the pages are commands that there are, and those that need neither a device nor a
//! server do what they are shown to do.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use energi_gateway::cli::Cli;

use crate::page::{Page, pages};
use support::gateway::{Sandbox, root, stderr, stdout};
use support::golden::matches_golden;

/// Pages whose commands have tests of their own, which run them.
const RUN_ELSEWHERE: [&str; 2] = ["docs/protocol.md", "docs/research.md"];

/// One program of a line with its arguments.
type Program = Vec<String>;

/// The lines of a block, those that go on after a backslash joined.
fn lines(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(String::from).collect()
}

/// The programs that a line of a shell starts, without what changes nothing about their arguments.
fn programs(line: &str) -> Vec<Program> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("{line}: not a line of a shell"));
    words
        .split(|word| matches!(&**word, "|" | "&&" | ";"))
        .map(|words| {
            let words = words.iter().take_while(|word| !word.starts_with(['>', '<']));
            let assigns = |word: &&String| {
                word.split_once('=').is_some_and(|(name, _)| {
                    name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
                })
            };
            words.skip_while(|word| assigns(word) || *word == "sudo").cloned().collect()
        })
        .collect()
}

/// Returns what a program's arguments say to ours, where it is ours.
fn ours(program: &[String]) -> Option<Vec<String>> {
    let name = Path::new(program.first()?).file_name()?.to_str()?;
    let arguments = if name == "cargo" && program.get(1)? == "run" {
        if program.iter().any(|word| word == "--example") {
            return None;
        }
        let dashes = program.iter().position(|word| word == "--")?;
        &program[dashes + 1..]
    } else if name == "energi-gateway" {
        &program[1..]
    } else {
        return None;
    };
    Some(arguments.to_vec())
}

/// A command that is only named need not be whole.
const NOT_WHOLE: [ErrorKind; 2] =
    [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];

fn assert_understood(page: &Page, line: &str, arguments: &[String], may_lack: &[ErrorKind]) {
    let words = std::iter::once("energi-gateway").chain(arguments.iter().map(String::as_str));
    if let Err(error) = Cli::try_parse_from(words)
        && error.use_stderr()
        && !may_lack.contains(&error.kind())
    {
        panic!("{}: {line}: {error}", page.path);
    }
}

/// The lines that a page has its reader type.
fn typed(page: &Page) -> Vec<String> {
    let shown = page.blocks_of("console").flat_map(|block| {
        block
            .lines()
            .filter_map(|line| line.strip_prefix("$ "))
            .map(String::from)
            .collect::<Vec<_>>()
    });
    page.blocks_of("sh").flat_map(lines).chain(shown).collect()
}

#[test]
fn every_command_that_is_shown_is_understood() {
    let mut found = 0;
    for page in pages() {
        for line in typed(&page) {
            for arguments in programs(&line).iter().filter_map(|program| ours(program)) {
                assert_understood(&page, &line, &arguments, &[]);
                found += 1;
            }
        }
        let whole = |code: &&String| code.starts_with("energi-gateway ") && !code.contains('…');
        for code in page.code.iter().filter(whole) {
            for arguments in programs(code).iter().filter_map(|program| ours(program)) {
                assert_understood(&page, code, &arguments, &NOT_WHOLE);
                found += 1;
            }
        }
    }
    assert!(found > 40, "{found} commands are there");
}

/// Options of other programs that pages name by themselves.
const OTHERS: [&str; 6] =
    ["--cap-add", "--cap-drop", "--features", "--network", "--locked", "--security-opt"];

#[test]
fn every_option_that_is_named_exists() {
    fn collect(command: &clap::Command, known: &mut BTreeSet<String>) {
        known
            .extend(command.get_arguments().filter_map(|it| Some(format!("--{}", it.get_long()?))));
        command.get_subcommands().for_each(|command| collect(command, known));
    }
    let mut known = BTreeSet::from(OTHERS.map(String::from));
    known.extend(["--help".to_owned(), "--version".to_owned()]);
    collect(&Cli::command(), &mut known);
    for page in pages() {
        for option in page.code.iter().filter(|code| code.starts_with("--")) {
            let option = option.split([' ', '=']).next().unwrap();
            assert!(known.contains(option), "{}: there is no `{option}`", page.path);
        }
    }
}

#[test]
fn every_example_program_that_is_named_exists() {
    for page in pages() {
        for program in typed(&page).iter().flat_map(|line| programs(line)) {
            let Some(place) = program.iter().position(|word| word == "--example") else { continue };
            let name = format!("examples/{}.rs", program[place + 1]);
            let found =
                ["", "sinks/"].iter().any(|member| root().join(member).join(&name).exists());
            assert!(found, "{}: {name}", page.path);
        }
    }
}

/// Returns whether a command needs no device, no server and no folder of the system's.
fn runs_anywhere(arguments: &[String]) -> bool {
    let command: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let elsewhere = |word: &&str| {
        let database = Path::new(word).extension().is_some_and(|it| it == "db");
        word.starts_with('/')
            || *word == "--connect"
            || database && !(word.starts_with("energi") || *word == "demo.db")
    };
    let here = !command.iter().any(elsewhere);
    let alone = match command.as_slice() {
        ["run", rest @ ..] => rest.contains(&"config.example.yaml"),
        ["decode" | "report" | "check" | "completions" | "dissector", ..]
        | ["history", "backup" | "vacuum" | "export" | "forget", ..]
        | ["research", "types" | "bytes", ..]
        | ["queue", "status", ..] => true,
        _ => false,
    };
    here && alone
}

/// Programs that may take part in such a line.
const HELPERS: [&str; 8] = ["head", "tail", "grep", "sed", "sort", "wc", "cut", "sqlite3"];

fn line_runs_anywhere(line: &str) -> bool {
    let programs = programs(line);
    !line.contains("sudo ")
        && programs.iter().any(|program| ours(program).is_some())
        && programs.iter().all(|program| match ours(program) {
            Some(arguments) => runs_anywhere(&arguments),
            None => HELPERS.contains(&&*program[0]),
        })
}

/// A place like a fresh clone in which the first command of the README was given, with the files
/// that pages speak of.
fn clone() -> Sandbox {
    let sandbox = Sandbox::new();
    // Copies: what is written in it is not written in the project.
    let names = ["examples", "docs", "config.example.yaml"].map(|name| root().join(name));
    let copied = Command::new("cp").arg("-r").args(names).arg(sandbox.path("")).status();
    assert!(copied.unwrap().success());
    fs::create_dir_all(sandbox.path("target/release")).unwrap();
    let program = env!("CARGO_BIN_EXE_energi-gateway");
    symlink(program, sandbox.path("target/release/energi-gateway")).unwrap();
    for capture in ["day.pcapng", "unknown.pcapng"] {
        symlink(root().join("examples/captures/eddi-day.pcapng.gz"), sandbox.path(capture))
            .unwrap();
    }
    sandbox.write(
        "config.yaml",
        "capture: {type: live, interface: eth0}\nsinks:\n  - {type: sqlite}\n  \
         - {type: mqtt, url: \"mqtt://127.0.0.1:1883\", password: p, username: u}\n  \
         - {type: influxdb, url: \"http://127.0.0.1:8086\", org: o, bucket: b, token: t}\n",
    );
    let cargo = sandbox.write(
        "cargo",
        "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec energi-gateway \"$@\"\n",
    );
    fs::set_permissions(cargo, fs::Permissions::from_mode(0o755)).unwrap();
    shell(&sandbox, "cargo run --release -- run -c config.example.yaml > /dev/null");
    // A history of their own, as other pages have it.
    fs::copy(sandbox.path("demo.db"), sandbox.path("energi.db")).unwrap();
    sandbox
}

/// Runs a line as a reader would.
fn shell(sandbox: &Sandbox, line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_energi-gateway")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", sandbox.path("").display(), program.display());
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(sandbox.path(""))
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {}", stderr(&output));
    stdout(&output)
}

#[test]
fn every_command_that_can_be_given_anywhere_works() {
    let sandbox = clone();
    // Some are shown on several pages; a backup is not written twice.
    let mut given = BTreeSet::new();
    for page in pages().iter().filter(|page| !RUN_ELSEWHERE.contains(&&*page.path)) {
        for line in page.blocks_of("sh").flat_map(lines).filter(|line| line_runs_anywhere(line)) {
            if given.insert(line.clone()) {
                shell(&sandbox, &line);
            }
        }
    }
    assert!(given.len() > 10, "{given:?}");
}

#[test]
fn what_is_shown_to_be_answered_is_answered() {
    let sandbox = clone();
    for page in pages().iter().filter(|page| !RUN_ELSEWHERE.contains(&&*page.path)) {
        let mut written = String::new();
        let mut rest = page.text.as_str();
        while let Some((before, after)) = rest.split_once("```console\n$ ") {
            let (line, after) = after.split_once('\n').unwrap();
            let (_, after) = after.split_once("```").unwrap();
            assert!(line_runs_anywhere(line), "{}: {line}: cannot be tried", page.path);
            let said = shell(&sandbox, line);
            written.extend([before, "```console\n$ ", line, "\n", &said, "```"]);
            rest = after;
        }
        if !written.is_empty() {
            matches_golden(&page.path, &(written + rest));
        }
    }
}
