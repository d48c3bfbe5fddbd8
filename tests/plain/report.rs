//! `report`: energy by day, month and year, for people and for programs.
#![cfg(feature = "sqlite")]

use std::path::{Path, PathBuf};

use crate::history_file::Household;
use clap::Parser;
use energi_gateway::commands::report::{ReportArgs, run};
use energi_gateway::platform::exit::{Exit, Failure};
use jiff::civil::date;
use rusqlite::Connection;
use support::closed::Closed;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: ReportArgs,
}

fn report(db: &Path, arguments: &str) -> Result<String, Failure> {
    let arguments = ["report"].into_iter().chain(arguments.split_whitespace());
    let db = ["--db".into(), db.as_os_str().to_owned()];
    let command = Command::parse_from(arguments.map(Into::into).chain(db));
    let mut out = Vec::new();
    run(&command.args, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// Compares with `tests/golden/report/{name}`; `UPDATE_GOLDEN=1` writes it again.
#[track_caller]
fn assert_golden(name: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/report").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected, "{name} differs; UPDATE_GOLDEN=1 writes it again\n{found}");
}

/// Two devices, five days around the end of a month, every kind of gap.
fn small() -> Household {
    let household = Household::new();
    let all = |a, b, c, d| [Some(a), Some(b), Some(c), Some(d)];
    household.add(17_589_669, "2026-06-28", all(4.32, 6.105, 2.5, 14.0), true);
    household.add(17_589_669, "2026-06-29", all(0.1, 12.25, 0.0, 1.75), true);
    household.add(17_589_669, "2026-06-30", [Some(0.2), None, None, None], false);
    household.add(17_589_669, "2026-07-02", [None, Some(8.5), Some(3.25), Some(9.0)], true);
    household.add(20_000_001, "2026-07-02", [None; 4], false);
    household
}

#[test]
fn every_period_is_reported_in_every_format() {
    let household = small();
    for periods in ["daily", "weekly", "monthly", "yearly"] {
        for (format, extension) in [("table", "txt"), ("csv", "csv"), ("json", "json")] {
            let found = report(&household.path(), &format!("{periods} --format {format}")).unwrap();
            assert_golden(&format!("{periods}.{extension}"), &found);
        }
    }
}

#[test]
fn charts_are_drawn_the_same_every_time() {
    let household = Household::new();
    let none = report(&household.path(), "daily --format svg").unwrap();
    assert_golden("empty.svg", &none);

    household.live(17_589_669, date(2026, 5, 24), 45);
    let path = household.path();
    assert_golden("days.svg", &report(&path, "daily --format svg").unwrap());
    let day = report(&path, "daily --format svg --from 2026-06-03 --to 2026-06-03").unwrap();
    assert_golden("one-day.svg", &day);

    let household = Household::new();
    household.live(17_589_669, date(2024, 3, 9), 3653);
    household.live(20_000_001, date(2029, 1, 1), 900);
    let path = household.path();
    let months = "monthly --format svg --serial 17589669 --to 2025-12-31";
    assert_golden("months.svg", &report(&path, months).unwrap());
    assert_golden("years.svg", &report(&path, "yearly --format svg").unwrap());
}

#[test]
fn a_chart_of_ten_years_is_drawn_by_month() {
    let household = Household::new();
    household.live(17_589_669, date(2024, 3, 9), 3653);
    let svg = report(&household.path(), "daily --format svg").unwrap();
    assert!(svg.contains("March 2024 – March 2034") && svg.contains("by month"), "{svg}");
}

#[test]
fn a_chart_survives_the_strangest_days() {
    let household = Household::new();
    household.add(1, "0000-01-01", [Some(0.0); 4], true);
    household.add(
        1,
        "9999-12-31",
        [Some(f64::MAX), Some(-1.0), Some(f64::MIN_POSITIVE), None],
        true,
    );
    for periods in ["daily", "monthly", "yearly"] {
        report(&household.path(), &format!("{periods} --format svg")).unwrap();
        report(&household.path(), &format!("{periods} --format table")).unwrap();
    }
}

#[test]
fn a_closed_pipe_ends_a_report_quietly() {
    let household = Household::new();
    // More than is buffered on the way.
    household.live(17_589_669, date(2024, 3, 9), 1000);
    for format in ["table", "csv", "json", "svg"] {
        for periods in ["daily", "monthly"] {
            let arguments = ["report", periods, "--format", format].map(Into::into);
            let db = ["--db".into(), household.path().into_os_string()];
            let command = Command::parse_from(arguments.into_iter().chain(db));
            run(&command.args, &mut Closed).unwrap();
        }
    }
}

#[test]
fn the_dates_of_a_report_are_inclusive() {
    let household = small();
    let lines = |options: &str| {
        let csv = report(&household.path(), &format!("daily --format csv {options}")).unwrap();
        csv.lines().skip(1).map(|line| line[..19].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        lines("--from 2026-06-29 --to 2026-06-30"),
        ["17589669,2026-06-29", "17589669,2026-06-30"]
    );
    assert_eq!(lines("--from 2026-07-01 --serial 20000001"), ["20000001,2026-07-02"]);
    assert_eq!(lines("--serial 17589669 --serial 20000001").len(), 5);
    assert_eq!(lines("--to 2026-06-28"), ["17589669,2026-06-28"]);
}

#[test]
fn an_empty_range_gives_an_empty_result_of_the_format() {
    let household = small();
    let empty = |format: &str| {
        report(&household.path(), &format!("daily --from 2030-01-01 --format {format}")).unwrap()
    };
    assert_eq!(empty("table"), "");
    assert_eq!(
        empty("csv"),
        "serial,date,diverted_kwh,import_kwh,export_kwh,generation_kwh,complete\n"
    );
    assert_eq!(empty("json"), "[]\n");
    assert!(empty("svg").contains("no day"));
}

#[test]
fn wrong_dates_are_usage_errors() {
    let household = small();
    let error = report(&household.path(), "daily --from 2026-06-30 --to 2026-06-29").unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    assert!(error.to_string().contains("is after --to"), "{error}");
    for wrong in ["2026-06-31", "20.6.2026", "2026-06-20T12:00", "2026-6-1x", "today", ""] {
        let arguments = ["report", "daily", "--db", "x", "--from", wrong];
        let Err(error) = Command::try_parse_from(arguments) else { panic!("{wrong}: accepted") };
        assert!(error.to_string().contains("a date such as"), "{error}");
    }
}

#[test]
fn a_file_that_is_no_history_is_refused_by_name() {
    let household = Household::new();
    let file = |name: &str| household.directory().join(name);
    let refused = |name: &str| report(&file(name), "daily").unwrap_err();

    let error = refused("missing.db");
    assert_eq!(error.exit, Exit::NoInput);
    assert!(error.to_string().contains("missing.db"), "{error}");
    assert!(!file("missing.db").exists());

    std::fs::write(file("text.db"), "time,serial\n".repeat(1000)).unwrap();
    let error = refused("text.db");
    assert_eq!(error.exit, Exit::Data);
    assert!(error.to_string().contains("text.db"), "{error}");

    let other = Connection::open(file("other.db")).unwrap();
    other.execute_batch("CREATE TABLE photos (name TEXT)").unwrap();
    std::fs::write(file("empty.db"), "").unwrap();
    for name in ["other.db", "empty.db"] {
        let error = refused(name);
        assert_eq!(error.exit, Exit::Data);
        assert!(error.to_string().contains("daily_energy(serial, date, "), "{error}");
    }

    std::fs::create_dir(file("directory.db")).unwrap();
    let error = refused("directory.db");
    assert_eq!(error.exit, Exit::Data);
    assert!(error.to_string().contains("directory"), "{error}");

    household.add(1, "2026-06-20", [Some(1.0); 4], true);
    household.add(1, "2026-06-31", [Some(1.0); 4], true);
    let error = report(&household.path(), "daily").unwrap_err();
    assert_eq!(error.exit, Exit::Data);
    assert!(error.to_string().contains("a date \"2026-06-31\""), "{error}");
}

#[test]
fn a_newer_schema_with_daily_energy_is_read() {
    let household = small();
    household
        .connection
        .execute_batch("ALTER TABLE daily_energy ADD COLUMN tariff; PRAGMA user_version = 999")
        .unwrap();
    let found = report(&household.path(), "daily --format csv").unwrap();
    assert_golden("daily.csv", &found);
}

#[test]
fn a_report_is_made_while_the_gateway_writes() {
    let household = small();
    household
        .connection
        .execute_batch("BEGIN IMMEDIATE; UPDATE daily_energy SET diverted_kwh = 9")
        .unwrap();
    let found = report(&household.path(), "daily --format csv").unwrap();
    assert_golden("daily.csv", &found);
    household.connection.execute_batch("COMMIT").unwrap();
    assert_ne!(report(&household.path(), "daily --format csv").unwrap(), found);
}

#[test]
fn a_report_leaves_the_history_as_it_was() {
    let household = small();
    let path = household.path();
    let directory = household.close();
    let before = std::fs::read(&path).unwrap();
    report(&path, "daily").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    drop(directory);
}

/// The report of a configuration beside the history, and what it wrote.
fn report_of(household: &Household, yaml: &str, arguments: &str) -> String {
    let file = household.directory().join("config.yaml");
    let sinks = format!("sinks: [{{type: sqlite, path: {}}}]", household.path().display());
    std::fs::write(&file, format!("capture: {{type: simulator}}\n{yaml}\n{sinks}\n")).unwrap();
    let arguments = ["report"].into_iter().chain(arguments.split_whitespace()).map(Into::into);
    let config = ["-c".into(), file.into_os_string()];
    let mut out = Vec::new();
    run(&Command::parse_from(arguments.chain(config)).args, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_report_uses_the_configuration() {
    let household = small();
    let said = report_of(
        &household,
        "devices: {list: [{serial: 17589669, name: Hot water}]}\n\
         tariff: {import: 0.3, export: 0.1, currency: GBP}",
        "",
    );
    assert!(said.contains("Hot water (17589669)"), "{said}");
    // 4.62 kWh at 0.20.
    assert!(said.lines().any(|line| line.contains("Total") && line.contains("0.92 GBP")), "{said}");
    assert!(said.contains("Boost energy"), "{said}");
    let csv = report_of(&household, "tariff: {import: 1, currency: EUR}", "daily --format csv");
    assert_golden("daily.csv", &csv);
}

#[test]
fn prices_follow_the_time_of_the_diverted_energy() {
    let household = Household::new();
    household.add(1, "2026-06-20", [Some(1.0), None, None, None], true);
    household.connection.execute("INSERT INTO device VALUES (1, 1)", []).unwrap();
    // 0.25 kWh at night and 0.75 kWh at noon, local time.
    for (time, energy) in [
        ("00:00", 0),
        ("01:30", 250),
        ("11:00", 250),
        ("11:20", 500),
        ("11:40", 750),
        ("12:00", 1_000),
    ] {
        let time: jiff::Timestamp = format!("2026-06-20T{time}Z").parse().unwrap();
        household
            .connection
            .execute("INSERT INTO energy_point VALUES (1, ?, ?)", (time.as_microsecond(), energy))
            .unwrap();
    }
    let tariff = "tariff: {import: {default: 0.40, \"00:00-05:00\": 0.08}, currency: EUR}";
    let said = report_of(&household, tariff, "");
    assert!(said.contains("0.32 EUR"), "{said}");
}

#[test]
fn today_is_so_far_rather_than_incomplete() {
    let household = Household::new();
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::get("Europe/London").unwrap());
    let today = today.date();
    let yesterday = today.yesterday().unwrap();
    household.add(1, &yesterday.to_string(), [Some(1.0); 4], true);
    household.add(1, &today.to_string(), [Some(1.0); 4], false);
    let said = report(&household.path(), "").unwrap();
    assert!(said.contains(&format!("{today} so far")) && !said.contains('*'), "{said}");
    for periods in ["weekly", "monthly", "yearly"] {
        let said = report(&household.path(), periods).unwrap();
        assert!(said.contains("so far") && !said.contains('*'), "{said}");
    }
    let last = report(&household.path(), "--last 1d --format csv").unwrap();
    assert_eq!(last.lines().count(), 2, "{last}");
}

#[test]
fn a_narrow_terminal_drops_columns() {
    let household = Household::new();
    household.add(1, "2026-06-28", [Some(1_234.5); 4], true);
    let history = energi_gateway::history::open(&household.path()).unwrap();
    let days = history.days(&energi_sinks::sqlite::DaySelection::default()).unwrap();
    for (width, bars) in [(30_u16, false), (50, false), (50, true), (80, true), (120, true)] {
        let format = energi_gateway::report::ReportFormat::Table { width: Some(width), bars };
        let mut out = Vec::new();
        let style = energi_gateway::report::ReportStyle::default();
        let length = energi_sinks::energy::PeriodLength::Month;
        energi_gateway::report::write(&days, length, format, &style, &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert!(said.lines().all(|line| line.chars().count() <= width.into()), "{width}:\n{said}");
        assert!(said.contains("1,234.50"), "{width}:\n{said}");
        assert_eq!(said.contains("Generation"), width >= 80, "{width}:\n{said}");
        assert_eq!(said.contains('█'), bars, "{width}:\n{said}");
    }
}

#[test]
fn a_report_goes_to_a_file() {
    let household = small();
    let file = household.directory().join("june.svg");
    let options = format!("--format svg --from 2026-06 --to 2026-06 --output {}", file.display());
    assert_eq!(report(&household.path(), &options).unwrap(), "");
    let svg = std::fs::read_to_string(file).unwrap();
    assert!(svg.contains("prefers-color-scheme: dark"), "a chart of its own brings its style");
    assert!(svg.contains("<desc>") && svg.contains("Diverted: 4.32 kWh"), "{svg}");
    assert!(!svg.contains("2026-07"), "{svg}");
}

#[test]
fn a_device_without_energy_gets_no_table_of_nothing() {
    let household = Household::new();
    household.add(1, "2026-06-28", [Some(4.5); 4], true);
    household.add(2, "2026-06-28", [None; 4], true);
    let said = report(&household.path(), "").unwrap();
    assert!(said.contains("Device 1\n") && !said.contains("Device 2"), "{said}");
    assert!(said.contains("known of 2."), "{said}");
    assert!(!report(&household.path(), "--format svg").unwrap().contains("Device 2"));
    assert!(report(&household.path(), "--serial 2").unwrap().contains("Device 2"), "{said}");
}
