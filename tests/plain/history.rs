//! `history`: a consistent copy, a smaller file, samples as CSV.
#![cfg(feature = "sqlite")]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::history_file::Household;
use clap::Parser;
use energi_gateway::commands::history::{HistoryArgs, run};
use energi_gateway::platform::exit::{Exit, Failure};
use energi_sinks::sqlite::WriterLock;
use rusqlite::Connection;
use support::closed::Closed;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: HistoryArgs,
}

fn history<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<String, Failure> {
    let program = ["history".into()].into_iter();
    let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
    let command = Command::parse_from(program.chain(arguments));
    let mut out = Vec::new();
    run(&command.args, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn backup(db: &Path, to: &Path) -> Result<String, Failure> {
    history([OsStr::new("backup"), "--db".as_ref(), db.as_ref(), "--output".as_ref(), to.as_ref()])
}

fn backup_by_force(db: &Path, to: &Path) -> Result<String, Failure> {
    let arguments = [OsStr::new("backup"), "--db".as_ref(), db.as_ref(), "--output".as_ref()];
    history(arguments.into_iter().chain([to.as_ref(), OsStr::new("--force")]))
}

fn export(db: &Path, options: &str) -> Result<String, Failure> {
    let options = options.split_whitespace().map(OsStr::new);
    history([OsStr::new("export"), "--db".as_ref(), db.as_ref()].into_iter().chain(options))
}

fn vacuum(db: &Path) -> Result<String, Failure> {
    history([OsStr::new("vacuum"), "--db".as_ref(), db.as_ref()])
}

fn days_in(db: &Path) -> (i64, i64) {
    let connection = Connection::open(db).unwrap();
    let check: String = connection.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!(check, "ok");
    connection
        .query_row("SELECT count(*), count(DISTINCT date) FROM daily_energy", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap()
}

#[test]
fn a_backup_is_of_one_moment() {
    let household = Household::new();
    household.live(1, jiff::civil::date(2020, 1, 1), 1000);
    let (db, copy) = (household.path(), household.directory().join("copy.db"));
    let (stop, written) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // Two devices get each date in one transaction: a copy with one of them is torn.
            let mut connection = Connection::open(&db).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let transaction = connection.transaction().unwrap();
                for serial in [2, 3] {
                    let date = format!("date {}", written.load(Ordering::Relaxed));
                    transaction
                        .execute(
                            "INSERT INTO daily_energy VALUES (?, ?, 1, 1, 1, 1, 1)",
                            (serial, date),
                        )
                        .unwrap();
                }
                transaction.commit().unwrap();
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut backups = 0;
        let gets_on = || written.load(Ordering::Relaxed) > 20;
        while backups < 20 || (!gets_on() && Instant::now() < deadline) {
            backups += 1;
            let said = backup_by_force(&db, &copy).unwrap();
            assert!(said.contains("copy.db: 0."), "{said}");
            let (rows, dates) = days_in(&copy);
            assert_eq!((rows - 997) / 2, dates - 997, "a torn transaction");
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        assert!(gets_on(), "the writer had to wait for the backup");
    });
    let left: Vec<_> = fs::read_dir(household.directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_backup_replaces_nothing_unless_forced() {
    let household = Household::new();
    let (db, copy) = (household.path(), household.directory().join("copy.db"));
    fs::write(&copy, "precious").unwrap();

    let error = backup(&db, &copy).unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    assert!(error.to_string().contains("--force"), "{error}");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "precious");

    backup_by_force(&db, &copy).unwrap();
    assert_eq!(days_in(&copy), (0, 0));
}

#[test]
fn a_backup_never_replaces_a_database_in_use() {
    let household = Household::new();
    household.live(1, jiff::civil::date(2020, 1, 1), 3);
    let db = household.path();
    let error = backup_by_force(&db, &db).unwrap_err();
    assert!(error.to_string().contains("the history itself"), "{error}");

    let other = Household::new();
    other.live(2, jiff::civil::date(2020, 1, 1), 3);
    let error = backup_by_force(&db, &other.path()).unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    assert!(error.to_string().contains("in use"), "{error}");

    // What is left of a database that was deleted would end up in the copy.
    let gone = household.directory().join("gone.db");
    fs::write(household.directory().join("gone.db-wal"), "its last transactions").unwrap();
    let error = backup(&db, &gone).unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    assert!(error.to_string().contains("gone.db-wal beside it"), "{error}");
    assert!(!gone.exists());

    let error = backup(&db, &household.directory().join("none/copy.db")).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
}

#[test]
fn a_backup_is_read_from_read_only_media() {
    let household = Household::new();
    household.live(1, jiff::civil::date(2020, 1, 1), 3);
    let media = household.directory().join("media");
    fs::create_dir(&media).unwrap();
    let copy = media.join("copy.db");
    backup(&household.path(), &copy).unwrap();
    let reader = Connection::open(&copy).unwrap();
    let days: i64 =
        reader.query_row("SELECT count(*) FROM daily_energy", [], |row| row.get(0)).unwrap();
    assert_eq!(days, 3);
    let files = fs::read_dir(&media).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(files.collect::<Vec<_>>(), ["copy.db"], "a reader needs no file beside it");
    drop(reader);
}

#[test]
fn vacuum_says_how_much_space_it_frees() {
    let household = Household::new();
    household.live(1, jiff::civil::date(1970, 1, 1), 20_000);
    household.connection.execute("DELETE FROM daily_energy WHERE date > '1971'", []).unwrap();
    let db = household.path();
    let directory = household.close();

    let said = vacuum(&db).unwrap();
    let size = fs::metadata(&db).unwrap().len();
    assert!(size < 100_000, "{size}");
    assert!(said.contains("MiB before, 0.0"), "{said}");
    assert_eq!(days_in(&db).0, 362);
    drop(directory);
}

#[test]
fn vacuum_refuses_a_history_in_use() {
    let household = Household::new();
    household.live(1, jiff::civil::date(2020, 1, 1), 3);
    let error = vacuum(&household.path()).unwrap_err();
    assert_eq!(error.exit, Exit::Unavailable);
    assert!(error.to_string().contains("running gateway"), "{error}");
    household.live(2, jiff::civil::date(2020, 1, 1), 3);
}

#[test]
fn vacuum_leaves_the_history_of_a_later_release_alone() {
    let household = Household::new();
    household.live(1, jiff::civil::date(2020, 1, 1), 3);
    household.connection.pragma_update(None, "user_version", 99).unwrap();
    let db = household.path();
    let directory = household.close();
    let error = vacuum(&db).unwrap_err();
    assert_eq!(error.exit, Exit::Data);
    assert!(error.to_string().contains("a newer release"), "{error}");
    drop(directory);
}

#[test]
fn vacuum_names_the_gateway_that_writes() {
    let household = Household::new();
    household.live(1, jiff::civil::date(2020, 1, 1), 3);
    let db = household.path();
    let directory = household.close();
    let gateway = WriterLock::take(&db).unwrap();
    let error = vacuum(&db).unwrap_err();
    assert_eq!(error.exit, Exit::Unavailable);
    assert!(error.to_string().contains("writes to it"), "{error}");
    drop(gateway);
    vacuum(&db).unwrap();
    drop(directory);
}

fn samples() -> Household {
    let household = Household::new();
    household.sample("2026-06-19T22:59:59.999Z", 17_589_669, "grid_pwr", "-12");
    household.sample("2026-06-19T23:00:00Z", 17_589_669, "frequency", "50.0");
    household.sample("2026-06-20T11:02:03.123Z", 17_589_669, "frequency", "50.01");
    household.sample("2026-06-20T11:02:03.123Z", 17_589_669, "boost", "true");
    household.sample("2026-06-20T23:00:00Z", 17_589_669, "grid_pwr", "3");
    household.sample("2026-06-20T12:00:00Z", 20_000_001, "grid_pwr", "4");
    household
}

#[test]
fn exported_samples_read_as_in_every_output() {
    let household = samples();
    assert_eq!(
        export(&household.path(), "").unwrap(),
        "time,serial,key,value\n\
         2026-06-19T22:59:59.999Z,17589669,grid_pwr,-12\n\
         2026-06-19T23:00:00.000Z,17589669,frequency,50.0\n\
         2026-06-20T11:02:03.123Z,17589669,frequency,50.01\n\
         2026-06-20T11:02:03.123Z,17589669,boost,1\n\
         2026-06-20T23:00:00.000Z,17589669,grid_pwr,3\n\
         2026-06-20T12:00:00.000Z,20000001,grid_pwr,4\n"
    );
}

#[test]
fn an_export_can_be_limited() {
    let household = samples();
    let lines = |options: &str| {
        let csv = export(&household.path(), options).unwrap();
        csv.lines().skip(1).map(|line| line[5..24].to_owned()).collect::<Vec<_>>()
    };
    let london = "--from 2026-06-20 --to 2026-06-20 --timezone Europe/London";
    assert_eq!(lines(london).len(), 4, "from 23:00 UTC to before 23:00 UTC");
    assert_eq!(
        lines(&format!("{london} --serial 17589669 --key boost --key grid_pwr")),
        ["06-20T11:02:03.123Z"]
    );
    assert_eq!(lines("--from 2026-06-20 --timezone UTC").len(), 4);
    assert_eq!(lines("--to 2026-06-19 --timezone UTC").len(), 2);
    assert_eq!(lines("--to 9999-12-31 --from 0001-01-01 --timezone UTC").len(), 6);
    assert_eq!(lines("--serial 5"), [""; 0]);
}

#[test]
fn a_closed_pipe_ends_an_export_quietly() {
    let household = samples();
    let db = household.path();
    let arguments = [OsStr::new("history"), "export".as_ref(), "--db".as_ref(), db.as_ref()];
    let command = Command::parse_from(arguments);
    run(&command.args, &mut Closed).unwrap();
    // More than is buffered on the way.
    for second in 0..1_000 {
        let time = format!("2026-06-21T12:{:02}:{:02}Z", second / 60, second % 60);
        household.sample(&time, 17_589_669, "grid_pwr", &second.to_string());
    }
    run(&command.args, &mut Closed).unwrap();
}

#[test]
fn wrong_input_is_named() {
    let household = Household::new();
    let missing = household.directory().join("missing.db");
    for error in [
        export(&missing, "").unwrap_err(),
        vacuum(&missing).unwrap_err(),
        backup(&missing, &household.directory().join("copy.db")).unwrap_err(),
    ] {
        assert_eq!(error.exit, Exit::NoInput, "{error}");
        assert!(error.to_string().contains("missing.db"), "{error}");
    }
    assert!(!missing.exists());

    household.connection.execute_batch("DROP TABLE daily_energy").unwrap();
    let error = export(&household.path(), "").unwrap_err();
    assert_eq!(error.exit, Exit::Data);
    assert!(error.to_string().contains("daily_energy"), "{error}");
    let household = Household::new();
    let error = export(&household.path(), "--from 2026-06-20 --to 2026-06-19").unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
}

#[test]
fn an_export_goes_to_a_file() {
    let household = samples();
    let file = household.directory().join("samples.csv");
    let said = export(&household.path(), &format!("--output {}", file.display())).unwrap();
    assert_eq!(said, "");
    assert_eq!(fs::read_to_string(&file).unwrap(), export(&household.path(), "").unwrap());
}

fn forget(db: &Path, options: &str) -> Result<String, Failure> {
    let options = options.split_whitespace().map(OsStr::new);
    history([OsStr::new("forget"), "--db".as_ref(), db.as_ref()].into_iter().chain(options))
}

#[test]
fn only_the_chosen_device_is_forgotten() {
    let household = samples();
    household.live(17_589_669, jiff::civil::date(2026, 6, 1), 30);
    household.live(20_000_001, jiff::civil::date(2026, 6, 1), 30);
    let db = household.path();
    let directory = household.close();

    let error = forget(&db, "--serial 17589669").unwrap_err();
    assert!(error.to_string().contains("--yes"), "nobody can be asked here: {error}");
    let error = forget(&db, "--serial 5 --yes").unwrap_err();
    assert!(error.to_string().contains("17589669, 20000001"), "{error}");
    let gateway = WriterLock::take(&db).unwrap();
    assert_eq!(forget(&db, "--serial 17589669 --yes").unwrap_err().exit, Exit::Unavailable);
    drop(gateway);
    assert_eq!(days_in(&db).0, 54);

    let second =
        |day| jiff::civil::date(2026, 6, day).in_tz("UTC").unwrap().timestamp().as_second();
    let open = || Connection::open(&db).unwrap();
    let received = "INSERT INTO coverage SELECT id, ?1 * 1000000, ?2 * 1000000 FROM device";
    open().execute(received, (second(1), second(30))).unwrap();
    let said = forget(&db, "--serial 17589669 --before 2026-06-20 --yes").unwrap();
    let since = "SELECT start / 1000000 FROM coverage JOIN device ON id = device
        WHERE serial = 17589669";
    let since: i64 = open().query_row(since, [], |row| row.get(0)).unwrap();
    assert!(since >= second(17), "a day could be made again");
    assert!(said.contains("19 days") && said.contains("1 readings"), "{said}");
    assert_eq!(export(&db, "--serial 17589669").unwrap().lines().count(), 1 + 4);
    forget(&db, "--serial 17589669 --yes").unwrap();
    assert_eq!(days_in(&db).0, 27);
    assert_eq!(export(&db, "").unwrap().lines().count(), 1 + 1);
    drop(directory);
}

#[test]
fn the_history_is_found_through_the_configuration() {
    let household = samples();
    let file = household.directory().join("config.yaml");
    let write = |sinks: &str| {
        fs::write(&file, format!("capture: {{type: simulator}}\nsinks: {sinks}\n")).unwrap();
    };
    let export = || history([OsStr::new("export"), "-c".as_ref(), file.as_ref()]);
    write(&format!("[{{type: stdout}}, {{type: sqlite, path: {}}}]", household.path().display()));
    assert_eq!(export().unwrap().lines().count(), 1 + 6);

    write("[{type: stdout}]");
    let error = export().unwrap_err();
    assert!(error.to_string().contains("--db"), "{error}");
    write("[{type: sqlite, path: nowhere.db}]");
    let error = export().unwrap_err();
    assert_eq!(error.exit, Exit::NoInput);
    assert!(error.to_string().contains("nowhere.db"), "{error}");
    assert!(error.to_string().contains("/var/lib/energi-gateway"), "{error}");
    assert!(!Path::new("nowhere.db").exists());
}
