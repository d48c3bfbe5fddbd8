//! A clock that is wrong or is set. The machine's own is left alone: `libfaketime` shows the
//! gateway, and nobody else, the time that a file says.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use jiff::civil::{DateTime, date, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, ToSpan};
use tempfile::TempDir;

use super::frames::{numbered, with_counter};
use super::test_gateway::{TestGateway, Wishes, at_home};
use support::authority::{Authority, Identity};
use support::gateway::Sandbox;
use support::mosquitto::{Mosquitto, until};
use support::network::Network;
use support::process::Running;
use support::skip::skip;

/// The clock of one process: UTC, and still unless it is set.
struct Clock {
    library: PathBuf,
    folder: TempDir,
}

impl Clock {
    /// Sets a clock; `None` where the test has been skipped.
    fn at(shown: DateTime) -> Option<Self> {
        let places = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
        let library = places
            .map(|place| place.join("faketime/libfaketimeMT.so.1"))
            .find(|library| library.is_file());
        let Some(library) = library else {
            skip("`libfaketime` is not installed");
            return None;
        };
        let clock = Self { library, folder: tempfile::tempdir().unwrap() };
        clock.set(shown);
        Some(clock)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    fn set(&self, shown: DateTime) {
        // Renamed into its place, so that nobody reads half of it.
        let new = self.folder.path().join("new");
        fs::write(&new, shown.strftime("%Y-%m-%d %H:%M:%S\n").to_string()).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    /// Starts a program by this clock. Time-outs keep to the monotonic one, which nobody sets.
    fn rules(&self, command: &mut Command) {
        command.env("LD_PRELOAD", Path::new(&self.library)).env("TZ", "UTC");
        command.env("FAKETIME_TIMESTAMP_FILE", self.file()).env("FAKETIME_NO_CACHE", "1");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

/// A day after the release of whatever is tested, and not one on which clocks are changed.
const DAY: DateTime = date(2031, 6, 20).to_datetime(time(0, 0, 0, 0));

#[test]
fn at_1970_nothing_is_stored_until_the_clock_is_right() {
    at_home(|network| {
        let boot = date(1970, 1, 1).at(0, 0, 12, 0);
        let Some(clock) = Clock::at(boot) else { return };
        let faked = |command: &mut Command| clock.rules(command);
        let wishes = Wishes { command: Some(&faked), ..Wishes::default() };
        let Some(mut gateway) = TestGateway::new(&network, Sandbox::new(), &wishes) else { return };
        for number in 1..30 {
            clock.set(boot.checked_add(i64::from(number).seconds()).unwrap());
            gateway.send(&numbered(number));
            gateway.prints(1..number + 1);
        }
        gateway.publishes(29);
        for sink in ["sqlite", "influxdb"] {
            gateway.waits("it is said", || {
                let log = gateway.log();
                log.lines().any(|line| {
                    line.contains("1970-01-0")
                        && line.contains("nothing is stored")
                        && line.contains(&format!("sink=\"{sink}\""))
                })
            });
        }
        assert_eq!((gateway.stored().len(), gateway.points().len()), (0, 0));

        for number in 30..60 {
            clock.set(DAY.checked_add(i64::from(number).seconds()).unwrap());
            gateway.send(&numbered(number));
            gateway.prints(1..number + 1);
        }
        gateway.publishes(59);
        gateway.waits("what comes from then on is stored", || gateway.stored().len() >= 30);
        gateway.waits("and sent", || gateway.points().len() >= 30);
        assert!(gateway.stored().into_iter().eq(30..60));
        assert!(gateway.points().into_iter().eq(30..60));
        let said = gateway.ends();
        assert_eq!(said.matches("readings are stored").count(), 2, "{said}");
        assert_eq!(said.matches("skipped=29").count(), 2, "{said}");
        assert_eq!(said.matches("30 delivered, 29 skipped").count(), 2, "{said}");
    });
}

#[test]
fn an_encrypted_broker_is_reached_after_1970() {
    let Some(clock) = Clock::at(date(1970, 1, 1).at(0, 0, 12, 0)) else { return };
    let sandbox = Sandbox::new();
    let authority = Authority::new(&sandbox.path("authority"));
    let Identity { certificate, key } = authority.vouch_for(Some("127.0.0.1"));
    let (certificate, key) = (certificate.display(), key.display());
    let lines = format!("allow_anonymous true\ncertfile {certificate}\nkeyfile {key}\n");
    let Some(mut broker) = Mosquitto::stopped(&lines) else { return };
    broker.run();
    sandbox.write(
        "config.yaml",
        format!(
            "capture: {{type: simulator}}\nsinks:\n  \
             - {{type: mqtt, url: \"mqtts://127.0.0.1:{}\", ca_file: \"{}\"}}\n",
            broker.port,
            authority.certificate().display()
        ),
    );
    let mut program = sandbox.program(&["run"]);
    clock.rules(&mut program);
    program.stderr(File::create(sandbox.path("log")).unwrap());
    let _gateway = Running(program.spawn().unwrap());
    let says = |words: &str| fs::read_to_string(sandbox.path("log")).unwrap().contains(words);
    until("it is said", || says("not valid yet"));
    clock.set(DAY);
    until("it is reached", || says("connected to 127.0.0.1"));
}

/// Returns what the eddi's counter shows at a minute of the day, in hundredths of a kWh: it heats
/// with 3 kW from ten to two o'clock.
fn counter(minute: u16) -> u16 {
    5 * minute.clamp(600, 840) - 3_000
}

/// The true energy of the day, in kWh.
const DIVERTED: f64 = 12.0;

/// The clock is wrong from this minute of the day on, for twenty of them.
const WRONG: Range<u16> = 660..680;

/// A day of one frame a minute, on which the clock is wrong for a while by so much, which is not a
/// whole number of minutes: no two frames share a time. Returns how many samples of the day there
/// are in the end.
fn day_with_a_clock_off_by(off: Span, network: &Arc<Network>) -> Option<u32> {
    let clock = Clock::at(DAY)?;
    let faked = |command: &mut Command| clock.rules(command);
    let wishes = Wishes { command: Some(&faked), ..Wishes::default() };
    let mut gateway = TestGateway::new(network, Sandbox::new(), &wishes)?;
    for minute in 0..1_440 {
        let right = DAY.checked_add(i64::from(minute).minutes()).unwrap();
        let wrong = WRONG.contains(&minute);
        clock.set(if wrong { right.checked_add(off).unwrap() } else { right });
        gateway.send(&with_counter(minute + 1, counter(minute)));
        gateway.waits("it is printed", || gateway.printed() > minute.into());
        if [WRONG.start, WRONG.end, 1_439].contains(&minute) {
            gateway.publishes(minute + 1);
        }
    }
    gateway.prints(1..1_441);
    gateway.delivers(1..1_441);
    let history = gateway.history();
    let start = DAY.to_zoned(TimeZone::UTC).unwrap().timestamp();
    let day = start.as_millisecond()..(start + SignedDuration::from_hours(24)).as_millisecond();
    let of_day = |table: &str| {
        let query = format!(
            "SELECT count(*) FROM {table} WHERE key = 'gen_pwr' AND time >= ? AND time < ?"
        );
        history.query_row(&query, [day.start, day.end], |row| row.get::<_, u32>(0)).unwrap()
    };
    gateway.waits("its minutes are whole but for those", || of_day("minute") >= 1_420);
    let query = "SELECT diverted_kwh FROM daily_energy WHERE date = ?";
    let diverted =
        || history.query_row(query, [DAY.date().to_string()], |row| row.get::<_, f64>(0)).unwrap();
    let is_true = || (diverted() - DIVERTED).abs() < 0.005;
    gateway.waits("its energy is true", is_true);
    let check = history.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(check.unwrap(), "ok");
    let samples = of_day("sample");
    let said = gateway.ends();
    let (_, counts) = said.rsplit_once("sinks: ").unwrap();
    assert!(!counts.contains("skipped") && !counts.contains("lagged"), "{said}");
    Some(samples)
}

#[test]
fn a_clock_an_hour_off_for_a_while_costs_nothing() {
    for off in [1.hour().seconds(7), -1.hour().seconds(7)] {
        at_home(move |network| {
            let Some(samples) = day_with_a_clock_off_by(off, &network) else { return };
            assert_eq!(samples, 1_440, "{off:#}");
        });
    }
}

#[test]
fn a_clock_a_year_slow_for_a_while_costs_no_energy() {
    at_home(|network| {
        let off = -1.year().seconds(7);
        let Some(samples) = day_with_a_clock_off_by(off, &network) else { return };
        assert_eq!(samples, 1_420);
    });
}

#[test]
fn a_clock_a_year_fast_for_a_while_costs_only_samples() {
    at_home(|network| {
        let off = 1.year().seconds(7);
        let Some(samples) = day_with_a_clock_off_by(off, &network) else { return };
        // Those from after it at least: by the clock those before were older than `retention`.
        assert!((760..=1_420).contains(&samples), "{samples}");
    });
}
