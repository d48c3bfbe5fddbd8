//! Logs on standard error, beside the progress bar where there is one.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use tracing::warn;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::terminal::{progress, sanitize, style};

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The target of what leads to an exit code other than 0: shown whatever `RUST_LOG` says.
pub const FAILURE: &str = "energi_gateway::failure";

const DEFAULT_FILTER: &str = "info";

/// Log filter unless `RUST_LOG` says otherwise: without the NATS client, whose failures the sink
/// logs once.
const UNASKED: &str = "info,async_nats=off";

/// Starts logging: `RUST_LOG` chooses what (default `info`), `NO_COLOR` is honoured, and under
/// journald, which stamps each line itself, lines carry no time.
pub fn start(format: LogFormat) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let (filter, wrong) = filter(&wanted);
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(style::wanted(&io::stderr()))
        .with_writer(|| BesideProgress);
    let journald = goes_to_journald();
    match (format, journald) {
        (LogFormat::Text, false) => logs.init(),
        (LogFormat::Text, true) => logs.without_time().init(),
        (LogFormat::Json, false) => logs.json().init(),
        (LogFormat::Json, true) => logs.json().without_time().init(),
    }
    if let Some(wrong) = wrong {
        warn!(target: FAILURE, "RUST_LOG={wanted}: {wrong}; logging at `{DEFAULT_FILTER}`");
    }
}

/// The filter that `wanted` describes, or the default and what is wrong with `wanted`.
fn filter(wanted: &str) -> (EnvFilter, Option<String>) {
    let text = if wanted.trim().is_empty() { UNASKED } else { wanted };
    // A word that is no level would be taken for a part of the program, of which nothing is shown.
    let word = text.split(',').map(str::trim).find(|part| {
        part.chars().all(char::is_alphanumeric) && part.parse::<LevelFilter>().is_err()
    });
    let (filter, wrong) = match (word, EnvFilter::try_new(text)) {
        (Some(word), _) if !word.is_empty() => {
            let levels = "error, warn, info, debug or trace";
            (
                EnvFilter::new(DEFAULT_FILTER),
                Some(format!("`{word}` is not a level; write {levels}")),
            )
        }
        (_, Ok(filter)) => (filter, None),
        (_, Err(error)) => (EnvFilter::new(DEFAULT_FILTER), Some(error.to_string())),
    };
    let failures = format!("{FAILURE}=trace");
    match failures.parse() {
        Ok(always) => (filter.add_directive(always), wrong),
        Err(_) => (filter, wrong),
    }
}

/// Returns whether standard error is the very stream that systemd connected to journald, which it
/// names by device and inode (systemd.exec(5)); programs that inherit the variable may write
/// elsewhere.
fn goes_to_journald() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Lines that are kept while the screen of a terminal belongs to something else.
const MOST_HELD: usize = 100;

/// Log lines that wait; `None` while they go to standard error.
static HELD: Mutex<Option<VecDeque<Vec<u8>>>> = Mutex::new(None);

/// Log lines kept back from standard error while this lives: on a terminal that shows a picture
/// they would tear it. The newest [`MOST_HELD`] follow once this is dropped.
#[derive(Debug)]
pub(crate) struct HeldLogs(());

/// Keeps log lines back from now on.
pub(crate) fn hold() -> HeldLogs {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
    HeldLogs(())
}

impl HeldLogs {
    /// The newest warning or error in a line, without its time and level.
    #[expect(clippy::unused_self, reason = "lines are kept only while it lives")]
    pub(crate) fn newest_problem(&self) -> Option<String> {
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref()?.iter().rev().find_map(|event| problem(event))
    }
}

/// Text of an event that is a warning or an error; `None` for others.
fn problem(event: &[u8]) -> Option<String> {
    const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
    let event = anstream::adapter::strip_bytes(event).into_vec();
    let event = String::from_utf8_lossy(&event);
    let (level, text) = if let Ok(object) = serde_json::from_str::<serde_json::Value>(&event) {
        let field = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        (field(&object["level"])?, field(&object["fields"]["message"])?)
    } else {
        // A time stands before the level, but not under journald.
        let (first, rest) = event.trim_start().split_once(' ')?;
        let (level, text) = if LEVELS.contains(&first) {
            (first, rest)
        } else {
            rest.trim_start().split_once(' ')?
        };
        (level.to_owned(), text.trim().to_owned())
    };
    matches!(level.as_str(), "ERROR" | "WARN").then(|| sanitize::one_line(&text).into_owned())
}

impl Drop for HeldLogs {
    fn drop(&mut self) {
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner).take();
        for line in held.into_iter().flatten() {
            // As for every log line: nobody may read it any more.
            let _ = io::stderr().write_all(&line);
        }
    }
}

/// Standard error, with the progress bar out of the way while something is written.
struct BesideProgress;

impl Write for BesideProgress {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if HELD.lock().unwrap_or_else(PoisonError::into_inner).as_mut().is_some_and(|held| {
            if held.len() == MOST_HELD {
                held.pop_front();
            }
            held.push_back(indented(bytes).into_owned());
            true
        }) {
            return Ok(bytes.len());
        }
        // A log that nobody reads any more is no reason to fail; told of it, the subscriber would
        // write that to standard error, and panic.
        let _ = progress::suspended(|| io::stderr().write_all(&indented(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// An event, what follows its first line indented: a line break in a path or in the words of a
/// server begins no line that looks like another event, and a return overwrites none.
fn indented(event: &[u8]) -> Cow<'_, [u8]> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    if !text.contains(&b'\n') && !text.contains(&b'\r') {
        return event.into();
    }
    let mut indented = Vec::with_capacity(event.len() + 32);
    for byte in text {
        match byte {
            b'\n' => indented.extend(b"\n  "),
            b'\r' => indented.extend(b"\\r"),
            other => indented.push(*other),
        }
    }
    indented.extend(&event[text.len()..]);
    indented.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_an_event_looks_like_another_event() {
        for (event, expected) in [
            (&b"one line\n"[..], &b"one line\n"[..]),
            (b"a\n2026 ERROR b\r\nc\n", b"a\n  2026 ERROR b\\r\n  c\n"),
            (b"", b""),
        ] {
            assert_eq!(indented(event), expected);
        }
    }

    #[test]
    fn a_problem_is_a_log_line_without_its_time() {
        for (event, expected) in [
            (&b"2026-06-20T11:02:03.123456Z  WARN nothing received interface=eth0\n"[..], true),
            (b"\x1b[2m2026-06-20T11:02:03Z\x1b[0m \x1b[31mERROR\x1b[0m nothing received\n", true),
            (b" WARN nothing received\n", true),
            (br#"{"level":"ERROR","fields":{"message":"nothing received"}}"#, true),
            (b"2026-06-20T11:02:03.123456Z  INFO nothing received\n", false),
            (br#"{"level":"INFO","fields":{"message":"nothing received"}}"#, false),
        ] {
            let text = problem(event);
            assert_eq!(text.is_some_and(|text| text.starts_with("nothing received")), expected);
        }
    }
}
