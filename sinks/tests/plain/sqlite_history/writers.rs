//! One writer to a file, and what other processes see of it meanwhile.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use energi_sinks::sqlite::{LockError, SqliteConfig, WriterLock};
use energi_sinks::{Sink, SinkConfig, SinkError};

use super::place::{Place, at, rows};
use support::readings::Device;

/// The history that a child process writes to.
const WRITES: &str = "ENERGI_TEST_WRITES";

/// The history that a child process reads.
const READS: &str = "ENERGI_TEST_READS";

/// Child process that stores one reading and then waits for the end of its input; no test by
/// itself.
#[tokio::test]
async fn child_that_writes() {
    let Some(path) = std::env::var_os(WRITES) else { return };
    let place = Place::new();
    let config = SqliteConfig { path: path.into(), ..place.config() };
    let mut sink = config.open(&place.context()).await.unwrap();
    write(&mut *sink, "2026-01-20T10:00:00Z").await;
    println!("{STORED}");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    sink.close().await.unwrap();
}

/// Line of the child once a reading is stored.
const STORED: &str = "one reading is stored";

/// Child process that reads and ends; no test by itself.
#[test]
fn child_that_reads() {
    let Some(path) = std::env::var_os(READS) else { return };
    let connection = rusqlite::Connection::open(path).unwrap();
    println!("samples: {}", rows(&connection, "SELECT count(*) FROM sample")[0]);
}

fn child(name: &str, variable: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("sqlite_history::writers::{name}"), "--nocapture"])
        .env(variable, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Starts another process that writes to `path`, and waits until it has.
fn another_gateway(command: &mut Command) -> (Child, BufReader<ChildStdout>) {
    let mut child = command.spawn().unwrap();
    // Its output stays open: it says more when it ends.
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(STORED) {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended before it stored a reading");
    }
    (child, output)
}

fn samples_in_another_process(path: &Path) -> String {
    let output = child("child_that_reads", READS, path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let found = text.lines().find_map(|line| Some(line.split_once("samples: ")?.1.to_owned()));
    found.unwrap_or(text)
}

async fn write(sink: &mut dyn Sink, time: &str) {
    sink.write(&[Device::default().powers(at(time), 1, 2, 3)]).await.unwrap();
}

async fn probe(config: &SqliteConfig, place: &Place) -> Result<String, String> {
    config.probe(&place.context()).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_second_gateway_is_refused_by_name() {
    let place = Place::new();
    let (mut other, _output) =
        another_gateway(&mut child("child_that_writes", WRITES, &place.path()));
    let said = format!("process {} (plain", other.id());
    for text in [place.refusal().await, probe(&place.config(), &place).await.unwrap_err()] {
        assert!(text.contains("energi.db") && text.contains(&said), "{text}");
        assert!(text.contains("writes to it"), "{text}");
    }
    assert!(matches!(
        WriterLock::take(&place.path()),
        Err(LockError::InUse(holder)) if holder.starts_with(&said)
    ));
    assert_eq!(rows(&place.sql(), "SELECT count(*) FROM sample"), ["Integer(3)"]);
    other.kill().unwrap();
    other.wait().unwrap();
    place.store(&[]).await;
}

#[tokio::test]
async fn a_second_sink_on_one_file_is_refused() {
    let place = Place::new();
    let mut first = place.open().await.unwrap();
    write(&mut *first, "2026-01-20T10:00:00Z").await;
    for _ in 0..2 {
        let text = place.refusal().await;
        assert!(text.contains("energi.db: another sink"), "{text}");
        let text = probe(&place.config(), &place).await.unwrap_err();
        assert!(text.contains("another sink"), "{text}");
    }
    // The last reader to close a database deletes its log, unless a writer is seen to use it.
    assert_eq!(samples_in_another_process(&place.path()), "Integer(3)");
    write(&mut *first, "2026-01-20T10:00:02Z").await;
    assert_eq!(samples_in_another_process(&place.path()), "Integer(6)");
    first.close().await.unwrap();
    assert_eq!(rows(&place.sql(), "SELECT count(*) FROM sample"), ["Integer(6)"]);
    place.store(&[]).await;
}

#[tokio::test]
async fn one_file_by_two_names_is_one_file() {
    let place = Place::new();
    let directory = place.directory.path();
    std::os::unix::fs::symlink("energi.db", directory.join("link.db")).unwrap();
    std::os::unix::fs::symlink(".", directory.join("here")).unwrap();
    let names = ["link.db", "here/energi.db", "here/link.db"];
    let by_name =
        |name: &str| SqliteConfig { path: place.directory.path().join(name), ..place.config() };
    for name in names {
        let mut first = by_name(name).open(&place.context()).await.unwrap();
        let text = place.refusal().await;
        assert!(text.contains("another sink"), "{name}: {text}");
        first.close().await.unwrap();
        for made in ["energi.db", "energi.db.lock"] {
            std::fs::remove_file(directory.join(made)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_path_that_looks_like_a_uri_is_a_path() {
    let place = Place::new();
    let name = Path::new("file:energi.db?mode=memory");
    let (mut other, mut output) = another_gateway(
        child("child_that_writes", WRITES, name).current_dir(place.directory.path()),
    );
    drop(other.stdin.take());
    output.read_to_end(&mut Vec::new()).unwrap();
    assert!(other.wait().unwrap().success());
    let samples = samples_in_another_process(&place.directory.path().join(name));
    assert_eq!(samples, "Integer(3)", "{:?}", place.files());
}

#[tokio::test]
async fn a_history_moved_while_in_use_is_whole() {
    let place = Place::new();
    let mut sink = place.open().await.unwrap();
    write(&mut *sink, "2026-01-20T10:00:00Z").await;
    let moved = place.directory.path().join("moved.db");
    std::fs::rename(place.path(), &moved).unwrap();
    let later = Device::default().powers(at("2026-01-20T10:00:02Z"), 1, 2, 3);
    let error = sink.write(std::slice::from_ref(&later)).await.unwrap_err();
    assert!(matches!(&error, SinkError::Permanent(text) if text.contains("removed or replaced")));
    assert_eq!(samples_in_another_process(&moved), "Integer(3)");
    // What runs it opens it again at once, and offers the same batch.
    place.store(&[later]).await;
    assert_eq!(rows(&place.sql(), "SELECT count(*) FROM sample"), ["Integer(3)"]);
    assert!(!place.files().iter().any(|name| name.contains("corrupt")), "{:?}", place.files());
}
