//! Promises to a user who replays a capture.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use support::gateway::{Sandbox, example_day, root, stderr, stdout};
use support::process::{Running, installed};

const EMPTY: &str = "nothing on standard output, nor an error beside the word of it";

/// A configuration that replays `path` into the sinks given as YAML list items.
fn replay(path: &str, speed: &str, sinks: &str) -> String {
    format!(
        "timezone: Europe/London\ncapture: {{type: replay, path: \"{path}\", speed: {speed}}}\n\
         sinks:\n{sinks}"
    )
}

const STDOUT: &str = "  - {type: stdout}\n";
const SQLITE: &str = "  - {type: sqlite, path: energi.db}\n";

fn open(sandbox: &Sandbox) -> Connection {
    Connection::open_with_flags(sandbox.path("energi.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .unwrap()
}

fn count(db: &Connection, table: &str) -> i64 {
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn the_example_configuration_runs_as_it_is() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("examples/captures")).unwrap();
    fs::copy(example_day(), sandbox.path("examples/captures/eddi-day.pcapng.gz")).unwrap();
    fs::copy(root().join("config.example.yaml"), sandbox.path("config.example.yaml")).unwrap();

    let output = sandbox.run(&["run", "-c", "config.example.yaml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = stdout(&output);
    // 0x1F every 24 s, 0x20 every 12 s, 0x22 every 2 s; some of a day may be withheld.
    assert!((53_900..=54_000).contains(&lines.lines().count()), "{}", lines.lines().count());
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["serial"], 17_589_669);

    let truth = fs::read_to_string(root().join("examples/captures/eddi-day.truth.csv")).unwrap();
    let truth: Vec<_> = truth.lines().nth(1).unwrap().split(',').collect();
    let db = Connection::open(sandbox.path("demo.db")).unwrap();
    let (date, diverted, complete): (String, f64, i64) = db
        .query_row(
            "SELECT date, diverted_kwh, complete FROM daily_energy ORDER BY diverted_kwh DESC",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!((date.as_str(), complete), (truth[1], 1));
    assert!((diverted - truth[2].parse::<f64>().unwrap()).abs() <= 0.02, "{diverted}");
    assert!(stderr(&output).contains("readings"), "a summary is on standard error");
}

#[test]
fn a_capture_on_standard_input_is_the_same() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay("-", "max", STDOUT));
    let streamed = sandbox.run_with_input(&["run"], &fs::read(example_day()).unwrap());
    assert!(streamed.status.success(), "{}", stderr(&streamed));
    sandbox.write("config.yaml", replay(example_day().to_str().unwrap(), "max", STDOUT));
    assert!(stdout(&streamed) == stdout(&sandbox.run(&["run"])));
}

#[test]
fn the_same_capture_twice_adds_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay(example_day().to_str().unwrap(), "max", SQLITE));
    assert!(sandbox.run(&["run"]).status.success());
    let counts = |db: &Connection| ["sample", "minute", "daily_energy"].map(|of| count(db, of));
    let first = counts(&open(&sandbox));
    assert!(first.iter().all(|count| *count > 0));
    assert!(sandbox.run(&["run"]).status.success());
    assert_eq!(counts(&open(&sandbox)), first);
}

#[test]
fn a_reader_that_has_gone_ends_the_program_quietly() {
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay(example_day().to_str().unwrap(), "max", STDOUT));
    for arguments in [&["run"][..], &["decode", example_day().to_str().unwrap()]] {
        let mut child = sandbox.program(arguments).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success(), "{said}");
        assert!(!said.contains("ERROR"), "{said}");
    }
}

#[test]
fn wrong_input_is_an_error_with_its_exit_code() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("folder.pcap")).unwrap();
    sandbox.write("empty.pcap", "");
    sandbox.write("letter.pcap", "Dear Sir or Madam\n");
    // The header of a pcap file of loopback packets (link type 0), and one packet.
    let mut loopback = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    loopback.extend([0; 8]);
    loopback.extend([0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    loopback.extend([0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0]);
    sandbox.write("loopback.pcap", loopback);
    for (path, code, word) in [
        ("missing.pcap", 66, "no such file"),
        ("folder.pcap", 65, "directory"),
        ("empty.pcap", 65, "empty"),
        ("letter.pcap", 65, "nor hex text"),
        ("loopback.pcap", 65, "link type"),
    ] {
        sandbox.write("config.yaml", replay(path, "max", STDOUT));
        for arguments in [&["run"][..], &["decode", path]] {
            let output = sandbox.run(arguments);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
            assert!(stderr(&output).contains(word), "{}", stderr(&output));
            assert!(stderr(&output).contains(path), "{}", stderr(&output));
            assert_eq!(stdout(&output), "", "{EMPTY}");
        }
    }
}

#[test]
fn a_truncated_capture_gives_every_readable_frame() {
    let whole = fs::read(example_day()).unwrap();
    let sandbox = Sandbox::new();
    sandbox.write("cut.pcapng.gz", &whole[..whole.len() / 2]);
    sandbox.write("config.yaml", replay("cut.pcapng.gz", "max", STDOUT));
    let cut = sandbox.run(&["run"]);
    assert_eq!(cut.status.code(), Some(65), "{}", stderr(&cut));
    assert!(stderr(&cut).contains("cut off"), "{}", stderr(&cut));
    sandbox.write("config.yaml", replay(example_day().to_str().unwrap(), "max", STDOUT));
    let all = stdout(&sandbox.run(&["run"]));
    let part = stdout(&cut);
    assert!(all.starts_with(&part) && part.len() > all.len() / 3 && part.len() < all.len());
}

#[test]
fn a_broken_sink_costs_the_others_nothing() {
    let sandbox = Sandbox::new();
    let sinks = format!("{STDOUT}  - {{type: sqlite, name: attic, path: missing/energi.db}}\n");
    sandbox.write("config.yaml", replay(example_day().to_str().unwrap(), "max", &sinks));
    let output = sandbox.run(&["run"]);
    assert_eq!(output.status.code(), Some(74), "{}", stderr(&output));
    assert!(stderr(&output).contains("attic"), "{}", stderr(&output));
    assert!(stdout(&output).lines().count() > 53_900);
}

#[test]
fn a_signal_ends_a_replay_in_order() {
    let sandbox = Sandbox::new();
    let sinks = format!("{STDOUT}{SQLITE}");
    sandbox.write("config.yaml", replay(example_day().to_str().unwrap(), "60", &sinks));
    let mut running = Running(sandbox.program(&["run"]).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let seen: Vec<_> = lines.by_ref().take(100).collect::<Result<_, _>>().unwrap();
    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let rest = lines.map(Result::unwrap).count();
    assert!(running.0.wait().unwrap().success());
    let db = open(&sandbox);
    let stored: i64 =
        db.query_row("SELECT count(DISTINCT time) FROM sample", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(stored).unwrap(), seen.len() + rest, "both sinks got the same");
}

#[test]
fn kill_9_costs_the_history_at_most_five_seconds() {
    let sandbox = Sandbox::new();
    let sinks = format!("{STDOUT}{SQLITE}");
    sandbox.write("config.yaml", replay(example_day().to_str().unwrap(), "60", &sinks));
    let started = Instant::now();
    let mut running = Running(sandbox.program(&["run"]).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    // Ten simulated minutes are ten seconds: two flushes at least.
    let seen: Vec<String> = lines.by_ref().take(400).collect::<Result<_, _>>().unwrap();
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    assert!(started.elapsed() > Duration::from_secs(5));

    let millis = |line: &String| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let time: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
        time.as_millisecond()
    };
    {
        let db = Connection::open(sandbox.path("energi.db")).unwrap();
        let check: String = db.query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let newest: i64 =
            db.query_row("SELECT max(time) FROM sample", [], |row| row.get(0)).unwrap();
        // Five seconds at sixty times the speed, and one for the machine's own pauses.
        let missing = millis(seen.last().unwrap()) - newest;
        assert!(missing <= 6 * 60 * 1000, "{missing} ms of the recording are missing");
    }
    sandbox.write("config.yaml", replay(example_day().to_str().unwrap(), "max", SQLITE));
    let again = sandbox.run(&["run"]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(count(&open(&sandbox), "sample") > 150_000);
}

#[test]
fn the_advice_on_a_damaged_history_saves_it() {
    if installed("sqlite3").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("config.yaml", replay(example_day().to_str().unwrap(), "max", SQLITE));
    assert!(sandbox.run(&["run"]).status.success());
    let stored = count(&open(&sandbox), "reading");
    let mut bytes = fs::read(sandbox.path("energi.db")).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    sandbox.write("energi.db", bytes);
    // Not closed in order: the file is looked through.
    sandbox.write("energi.db-wal", [0; 100]);
    let said = stderr(&sandbox.run(&["run"]));
    let (_, command) = said.split_once("try: ").unwrap_or_else(|| panic!("{said}"));
    let command = command.lines().next().unwrap();
    let output = Command::new("sh").args(["-c", command]).current_dir(sandbox.path("")).output();
    let saved = Connection::open(sandbox.path("saved.db")).unwrap();
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('reading', 'daily_energy')";
    let tables: i64 = saved.query_row(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 2, "{command}: {}", stderr(&output.unwrap()));
    assert!(count(&saved, "daily_energy") > 0);
    assert!(count(&saved, "reading") > stored / 2);
}

#[test]
fn a_replay_waits_for_a_slow_reader() {
    let sandbox = Sandbox::new();
    let sinks = format!("{STDOUT}{SQLITE}");
    sandbox.write("config.yaml", replay(example_day().to_str().unwrap(), "max", &sinks));
    let mut running = Running(sandbox.program(&["run"]).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::with_capacity(512, running.0.stdout.take().unwrap()).lines();
    let mut seen = 0;
    while lines.next().transpose().unwrap().is_some() {
        seen += 1;
        if seen % 10_000 == 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    assert!(running.0.wait().unwrap().success());
    let rows: i64 = open(&sandbox)
        .query_row("SELECT count(*) FROM (SELECT DISTINCT time FROM sample)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, seen);
}
