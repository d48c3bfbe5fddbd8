//! Promises of the `postgres` sink, at a real server.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use energi_sinks::postgres::PostgresConfig;
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, Context, Sink, SinkConfig, SinkError};
use jiff::SignedDuration;
use serde_json::json;
use support::authority::Authority;
use support::postgres::Postgres;
use support::readings::Device;
use tokio::time::{Instant, sleep};

/// Longest wait of a test for anything that has to happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything that is stored, a line a value.
const ALL: &str = "SELECT serial, to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), \
                   packet, key, value, text, site FROM reading";

struct Setup {
    folder: tempfile::TempDir,
    config: PostgresConfig,
    context: Context,
}

impl Setup {
    /// A sink for a role whose password is its name.
    fn new(url: &str, role: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = folder.path().join("postgres.queue.db");
        let config =
            json!({"url": url, "password": role, "timeout": "2s", "queue": {"path": queue}});
        let context = Context {
            name: "postgres".to_owned(),
            site: Some("mill\tlane \\ 4".to_owned()),
            timezone: jiff::tz::TimeZone::UTC,
            device_names: Arc::default(),
            only_devices: None,
            layouts: Arc::default(),
            live: false,
            backpressure: Backpressure::Wait,
            status: StatusHandle::default(),
            tariff: None,
        };
        Self { folder, config: serde_json::from_value(config).unwrap(), context }
    }

    fn of(server: &Postgres) -> Self {
        Self::new(&server.url("owner"), "owner")
    }

    async fn open(&self) -> Box<dyn Sink> {
        // One that was dropped lets go of its queue when its thread ends.
        let begun = Instant::now();
        loop {
            match self.config.open(&self.context).await {
                Ok(sink) => return sink,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn probe(&self) -> Result<String, String> {
        self.config.probe(&self.context).await.map_err(|error| error.to_string())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Closes a sink as a recording's end does: again and again.
async fn close(sink: &mut dyn Sink) {
    let begun = Instant::now();
    while let Err(error) = sink.close().await {
        assert!(matches!(error, SinkError::Transient { .. }), "{error:?}");
        assert!(begun.elapsed() < PATIENCE, "{error}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Returns what a sink says that has to keep readings.
async fn refusal(setup: &Setup) -> String {
    let mut sink = setup.open().await;
    sink.write(&readings(3)).await.unwrap();
    let error = sink.close().await.unwrap_err().to_string();
    assert!(error.contains("readings wait in"), "{error}");
    error
}

fn readings(count: usize) -> Vec<Arc<Reading>> {
    let start = "2026-01-20T10:00:00.123456Z".parse().unwrap();
    let mut readings = Device::default().life(start, SignedDuration::from_hours(4));
    readings.truncate(count);
    assert_eq!(readings.len(), count);
    readings
}

/// The lines that readings should be stored as.
fn expected(readings: &[Arc<Reading>]) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for reading in readings {
        let time = reading.time.unwrap().strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string();
        for (field, value) in reading.fields() {
            let (serial, packet, key) = (reading.serial, reading.packet(), field.key());
            let value = value.as_f64();
            lines.insert(format!("{serial}|{time}|0x{packet:02X}|{key}|{value}||mill\tlane \\ 4"));
        }
    }
    lines
}

fn stored(server: &Postgres) -> BTreeSet<String> {
    let text = server.ask(ALL);
    let lines: BTreeSet<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), text.lines().count(), "a value is there twice");
    lines
}

#[tokio::test]
async fn each_value_is_stored_once_however_often_it_is_sent() {
    let Some(server) = Postgres::start() else { return };
    let setup = Setup::of(&server);
    assert!(setup.probe().await.unwrap().contains("created"));
    assert_eq!(server.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
    let readings = readings(2_000);
    // Two gateways that begin at the same moment make the tables once.
    let mut other = Setup::of(&server);
    other.context.name = "other".to_owned();
    let (mut sink, mut second) = tokio::join!(setup.open(), other.open());
    for batch in readings.chunks(500) {
        let (one, two) = tokio::join!(sink.write(batch), second.write(batch));
        assert_eq!((one.unwrap().skipped, two.unwrap().skipped), (0, 0));
    }
    close(&mut *sink).await;
    close(&mut *second).await;
    assert_eq!(stored(&server), expected(&readings));
    assert!(setup.probe().await.unwrap().contains("may add readings"));
    assert_eq!(server.ask("SELECT version FROM energi_schema"), "1");
}

#[tokio::test]
async fn an_outage_neither_loses_nor_doubles_a_reading() {
    let Some(mut server) = Postgres::start() else { return };
    let setup = Setup::of(&server);
    let readings = readings(3_000);
    let batches: Vec<_> = readings.chunks(500).collect();
    let mut sink = setup.open().await;
    sink.write(batches[0]).await.unwrap();
    server.kill();
    sink.write(batches[1]).await.unwrap();
    assert_eq!(sink.queue_stats().waiting, 500);
    // What waits is not in memory alone.
    drop(sink);
    let mut sink = setup.open().await;
    sink.write(batches[2]).await.unwrap();
    server.run(&[]);
    sink.write(batches[3]).await.unwrap();
    close(&mut *sink).await;
    let mut sink = setup.open().await;
    sink.write(batches[4]).await.unwrap();
    server.freeze(true);
    sink.write(batches[5]).await.unwrap();
    assert_eq!(sink.queue_stats().waiting, 500);
    server.freeze(false);
    close(&mut *sink).await;
    assert_eq!(stored(&server), expected(&readings));
}

#[tokio::test]
async fn readings_wait_for_a_slow_or_full_server() {
    let Some(server) = Postgres::start() else { return };
    let setup = Setup::of(&server);
    let readings = readings(1_500);
    let batches: Vec<_> = readings.chunks(500).collect();
    let mut sink = setup.open().await;
    sink.write(batches[0]).await.unwrap();
    // Later than a batch waits for it, and earlier than `timeout`.
    server.ask(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN PERFORM pg_sleep(1.3); RETURN NULL; END$$;
         CREATE TRIGGER slow BEFORE INSERT ON reading EXECUTE FUNCTION slow()",
    );
    sink.write(batches[1]).await.unwrap();
    assert_eq!(sink.queue_stats().waiting, 500);
    close(&mut *sink).await;
    assert_eq!(stored(&server), expected(&readings[..1_000]));

    server.ask("DROP TRIGGER slow ON reading");
    let Some(disk) = server.disk("8m") else { return };
    server.ask(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display()));
    server.ask("ALTER TABLE reading SET TABLESPACE small");
    disk.fill();
    let mut sink = setup.open().await;
    sink.write(batches[2]).await.unwrap();
    assert_eq!(sink.queue_stats().waiting, 500);
    let said = sink.close().await.unwrap_err().to_string();
    assert!(said.contains("disk is full"), "{said}");
    assert!(disk.remount("size=16m"));
    close(&mut *sink).await;
    assert_eq!(stored(&server), expected(&readings));
    server.ask("ALTER TABLE reading SET TABLESPACE pg_default");
}

#[tokio::test]
async fn the_primary_is_found_among_several_hosts() {
    let Some(mut standby) = Postgres::start() else { return };
    let Some(primary) = Postgres::start() else { return };
    standby.kill();
    standby.run(&["default_transaction_read_only=on"]);
    let url = format!(
        "postgresql://owner@127.0.0.1:1,127.0.0.1:{},127.0.0.1:{}/energy",
        standby.port, primary.port
    );
    let setup = Setup::new(&url, "owner");
    let readings = readings(100);
    let mut sink = setup.open().await;
    sink.write(&readings).await.unwrap();
    close(&mut *sink).await;
    assert_eq!(stored(&primary), expected(&readings));
}

#[tokio::test]
async fn what_has_to_be_changed_is_named() {
    let Some(server) = Postgres::start() else { return };
    let mut setup = Setup::of(&server);
    let file = setup.file("password");
    std::fs::write(&file, "wrong\n").unwrap();
    (setup.config.password, setup.config.password_file) = (None, Some(file.clone()));
    let said = refusal(&setup).await;
    assert!(said.contains("refuses this role") && !said.contains("wrong"), "{said}");
    std::fs::write(&file, "\u{feff}owner\r\n").unwrap();
    let mut sink = setup.open().await;
    close(&mut *sink).await;
    assert_eq!(stored(&server), expected(&readings(3)));

    let partitioned = "ALTER TABLE reading RENAME TO whole;
        CREATE TABLE reading (LIKE whole INCLUDING ALL) PARTITION BY RANGE (time)";
    for (sql, word) in [
        (partitioned, "no partition"),
        ("UPDATE energi_schema SET version = 2", "update energi-gateway"),
        ("UPDATE energi_schema SET version = 1; DROP TABLE reading", "tables are not"),
    ] {
        server.ask(sql);
        let said = refusal(&setup).await;
        assert!(said.contains(word), "{said}");
    }
    let nowhere = Setup::new(&server.url("owner").replace("/energy", "/attic"), "owner");
    assert!(refusal(&nowhere).await.contains("no such database"));
}

#[tokio::test]
async fn readings_wait_while_the_server_refuses_connections() {
    let Some(server) = Postgres::start() else { return };
    let setup = Setup::of(&server);
    let allow = |allowed: bool| {
        let sql = format!("ALTER DATABASE energy ALLOW_CONNECTIONS {allowed}");
        server.query("owner", "owner", "postgres", &sql).unwrap();
    };
    allow(false);
    assert!(refusal(&setup).await.contains("not currently accepting"));
    assert!(setup.probe().await.is_err());
    allow(true);
    let mut sink = setup.open().await;
    close(&mut *sink).await;
    assert_eq!(stored(&server), expected(&readings(3)));
}

#[tokio::test]
async fn readings_of_a_site_wait_while_the_tables_are_older() {
    let Some(server) = Postgres::start() else { return };
    let owner = Setup::of(&server);
    let mut sink = owner.open().await;
    sink.write(&readings(1)).await.unwrap();
    close(&mut *sink).await;
    server.ask(SITE_ROLE);
    server.ask("UPDATE energi_schema SET version = 0");
    let mut setup = Setup::new(&server.url("site"), "site");
    setup.context.site = Some("site".to_owned());
    assert!(setup.probe().await.unwrap_err().contains("older"));
    assert!(refusal(&setup).await.contains("lacks a privilege"));
    // Their owner brings them up to date.
    server.ask("UPDATE energi_schema SET version = 1");
    let mut sink = setup.open().await;
    close(&mut *sink).await;
    let values = server.ask("SELECT count(*) FROM reading WHERE site = 'site'");
    let sent = expected(&readings(3)).len() - expected(&readings(1)).len();
    assert_eq!(values.parse::<usize>().unwrap(), sent);
}

/// A role for one site, as the documents make it.
const SITE_ROLE: &str = "
    CREATE ROLE site LOGIN PASSWORD 'site';
    GRANT SELECT ON energi_schema TO site;
    GRANT INSERT ON reading TO site;
    GRANT SELECT, INSERT, UPDATE ON daily_energy TO site;
    ALTER TABLE reading ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON reading TO site WITH CHECK (site = current_user);
    ALTER TABLE daily_energy ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON daily_energy TO site USING (site = current_user)";

#[tokio::test]
async fn the_documented_role_of_a_site_is_enough() {
    let Some(server) = Postgres::start() else { return };
    server.ask("CREATE ROLE stranger LOGIN PASSWORD 'stranger'");
    let stranger = Setup::new(&server.url("stranger"), "stranger");
    let said = stranger.probe().await.unwrap_err();
    assert!(said.contains("may not create"), "{said}");
    assert!(refusal(&stranger).await.contains("lacks a privilege"));
    let owner = Setup::of(&server);
    let mut sink = owner.open().await;
    sink.write(&readings(1)).await.unwrap();
    close(&mut *sink).await;
    server.ask(SITE_ROLE);
    server.ask("GRANT SELECT ON energi_schema TO stranger");
    assert!(stranger.probe().await.unwrap_err().contains("may not add"));

    let mut setup = Setup::new(&server.url("site"), "site");
    setup.context.site = Some("site".to_owned());
    let history = setup.file("energi.db");
    rusqlite::Connection::open(&history)
        .unwrap()
        .execute_batch(
            "CREATE TABLE daily_energy (serial, date, diverted_kwh, import_kwh, export_kwh,
                 generation_kwh, complete);
             INSERT INTO daily_energy VALUES (7, '2026-01-19', 5.21, NULL, 1.5, 0, 1)",
        )
        .unwrap();
    setup.config.history = Some(history.clone());
    let readings = readings(600);
    for _ in 0..2 {
        let mut sink = setup.open().await;
        for batch in readings.chunks(200) {
            sink.write(batch).await.unwrap();
        }
        close(&mut *sink).await;
        let values = server.ask("SELECT count(*) FROM reading WHERE site = 'site'");
        // Another site has sent the first reading already.
        let first = expected(&readings[..1]).len();
        assert_eq!(values.parse::<usize>().unwrap(), expected(&readings).len() - first);
        let change = "UPDATE daily_energy SET diverted_kwh = 6";
        rusqlite::Connection::open(&history).unwrap().execute_batch(change).unwrap();
    }
    let days = server.ask("SELECT * FROM daily_energy");
    assert_eq!(days, "7|2026-01-19|6||1.5|0|t|site");

    setup.context.site = Some("another".to_owned());
    assert!(refusal(&setup).await.contains("lacks a privilege"));
}

#[tokio::test]
async fn only_the_authority_of_the_file_is_trusted() {
    let Some(mut server) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(&folder.path().join("ours"));
    let other = Authority::new(&folder.path().join("other"));
    let identity = ours.vouch_for(Some("127.0.0.1"));
    let certificate = server.give("server.crt", &identity.certificate);
    let key = server.give("server.key", &identity.key);
    server.kill();
    let option = |name: &str, path: &std::path::Path| format!("{name}={}", path.display());
    let (certificate, key) = (option("ssl_cert_file", &certificate), option("ssl_key_file", &key));
    server.run(&["ssl=on", &certificate, &key]);
    let mut setup = Setup::of(&server);
    for ca_file in [other.certificate(), setup.file("missing.crt")] {
        setup.config.ca_file = Some(ca_file);
        let said = refusal(&setup).await;
        assert!(said.contains("ca_file"), "{said}");
    }
    setup.config.ca_file = Some(ours.certificate());
    let mut sink = setup.open().await;
    close(&mut *sink).await;
    assert_eq!(stored(&server), expected(&readings(3)));
    server.kill();
    server.run(&["ssl=off"]);
    let said = refusal(&setup).await;
    assert!(said.contains("encrypt") || said.contains("TLS"), "never in the clear: {said}");
}
