//! Promises of the `web` sink to browsers and programs, and to nobody else.
#![cfg(feature = "web")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::{DecoderTable, Frame, Product, Reading};
use energi_sinks::sqlite::SqliteConfig;
use energi_sinks::status::StatusHandle;
use energi_sinks::web::WebConfig;
use energi_sinks::{Backpressure, Context, Sink, SinkConfig};
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::{Value, json};
use support::process::free_port;
use support::readings::{Device, SERIAL};

mod access;

fn context(name: &str, live: bool) -> Context {
    Context {
        name: name.to_owned(),
        site: Some("home".to_owned()),
        timezone: jiff::tz::TimeZone::UTC,
        device_names: Arc::new([(SERIAL, "Hot <water>".to_owned())].into()),
        only_devices: None,
        layouts: Arc::default(),
        live,
        backpressure: Backpressure::DropOldest,
        tariff: None,
        status: StatusHandle::default(),
    }
}

/// A sink that is open, and where.
struct Site {
    sink: Box<dyn Sink>,
    address: SocketAddr,
}

impl Site {
    async fn open(options: Value) -> Self {
        Self::open_as(options, true).await
    }

    async fn open_as(options: Value, live: bool) -> Self {
        Self::open_in(options, &context("web", live)).await
    }

    async fn open_in(mut options: Value, context: &Context) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        options["listen"] = json!(address);
        let config: WebConfig = serde_json::from_value(options).unwrap();
        assert_eq!(config.validate(), []);
        Self { sink: config.open(context).await.unwrap(), address }
    }

    /// Gives it an hour of a household that ends now, and returns the times of its first and last
    /// reading.
    async fn lives(&mut self) -> (Timestamp, Timestamp) {
        let end = Timestamp::now().round(Unit::Second).unwrap();
        let start = end - SignedDuration::from_mins(60);
        let readings = Device::default().life(start, SignedDuration::from_mins(60));
        self.sink.write(&readings).await.unwrap();
        (start, readings.last().unwrap().time.unwrap())
    }

    /// Asks by raw text; the answer's status, head and body.
    async fn ask(&self, request: impl Into<Vec<u8>>) -> Answer {
        let (address, request) = (self.address, request.into());
        tokio::task::spawn_blocking(move || Answer::of(address, &request)).await.unwrap()
    }

    async fn get(&self, target: &str) -> Answer {
        self.get_with(target, "").await
    }

    async fn get_with(&self, target: &str, headers: &str) -> Answer {
        let host = self.address;
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        self.ask(request).await
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn of(address: SocketAddr, request: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // The server may have refused what it has not read.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            body.split("\r\n").filter(|line| usize::from_str_radix(line, 16).is_err()).collect()
        } else {
            body.to_owned()
        };
        Self { status, head: head.to_ascii_lowercase(), body }
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it is a clear refusal with this status, and returns what it says.
    #[track_caller]
    fn refusal(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("application/problem+json"), "{self:?}");
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

/// A history of an hour that ended at `end`.
async fn history(path: &Path, end: Timestamp) {
    let config = SqliteConfig { path: path.to_owned(), ..SqliteConfig::default() };
    let mut sink = config.open(&context("sqlite", false)).await.unwrap();
    let hour = SignedDuration::from_mins(60);
    sink.write(&Device::default().life(end - hour, hour)).await.unwrap();
    sink.close().await.unwrap();
}

#[tokio::test]
async fn the_api_shows_the_present() {
    let mut site = Site::open(json!({})).await;
    assert_eq!(site.get("/api/v1/devices").await.json(), json!([]));
    let (_, last) = site.lives().await;

    let device = site.get(&format!("/api/v1/devices/{SERIAL}")).await.json();
    assert_eq!(device["name"], "Hot <water>");
    assert_eq!(device["last_frame"].as_str().unwrap().parse::<Timestamp>().unwrap(), last);
    for key in ["grid_pwr", "gen_pwr", "divert_pwr", "voltage", "frequency", "diverted_kWh"] {
        assert!(device["values"][key]["value"].is_number(), "{key}: {device}");
    }
    assert!(device["today"]["import_kwh"].is_number(), "{device}");
    assert_eq!(site.get("/api/v1/devices").await.json(), json!([device]));
    assert!(site.get("/api/v1/devices/1").await.refusal(404).contains("no device 1"));
}

#[tokio::test]
async fn the_history_is_served_in_each_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("energi.db");
    let end: Timestamp = "2026-06-20T12:00:00Z".parse().unwrap();
    history(&path, end).await;
    let site = Site::open(json!({"history": path})).await;

    let june = "from=2026-06-01&to=2026-06-30";
    let days = site.get(&format!("/api/v1/energy?{june}")).await.json();
    assert_eq!((&days[0]["serial"], &days[0]["period"]), (&json!(SERIAL), &json!("2026-06-20")));
    let month = site.get(&format!("/api/v1/energy?step=month&{june}")).await.json();
    assert_eq!((&month[0]["period"], &month[0]["days"]), (&json!("2026-06"), &json!(1)));
    assert_eq!(month[0]["generation_kwh"], days[0]["generation_kwh"]);
    let csv = site.get(&format!("/api/v1/energy?format=csv&{june}")).await;
    let row = format!("{SERIAL},2026-06-20,");
    assert!(csv.head.contains("text/csv") && csv.body.lines().nth(1).unwrap().starts_with(&row));

    let noon = "from=2026-06-20T11:00:00Z&to=2026-06-20T12:00:00Z";
    let target = format!("/api/v1/minutes?serial={SERIAL}&key=gen_pwr&{noon}");
    let minutes = site.get(&target).await.json();
    assert_eq!(minutes.as_array().unwrap().len(), 60);
    assert!(minutes[0]["mean"].as_f64().unwrap() > 0.0);
    let csv = site.get(&format!("{target}&format=csv")).await;
    assert_eq!(csv.body.lines().count(), 61, "{csv:?}");

    let page = site.get("/?to=2026-06-30").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<svg") && page.body.contains("2026-06-20"), "{}", page.body);
}

#[tokio::test]
async fn a_restart_goes_on_with_the_energy_of_today() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("energi.db");
    let now = Timestamp::now();
    history(&path, now).await;
    let mut site = Site::open(json!({"history": path})).await;
    site.sink.write(&[Device::default().powers(now, 100, 0, 0)]).await.unwrap();
    let date = now.strftime("%F");
    let days = site.get(&format!("/api/v1/energy?from={date}&to={date}")).await.json();
    let today = &days[0];
    let device = site.get(&format!("/api/v1/devices/{SERIAL}")).await.json();
    for flow in ["import_kwh", "export_kwh", "generation_kwh"] {
        assert!(today[flow].is_number(), "{flow}: {days}");
        assert_eq!(device["today"][flow], today[flow], "{flow}");
    }
}

#[tokio::test]
async fn what_cannot_be_meant_gets_a_clear_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("energi.db");
    history(&path, "2026-06-20T12:00:00Z".parse().unwrap()).await;
    let site = Site::open(json!({"history": path})).await;
    for (target, status, keyword) in [
        ("/api/v1/energy?step=decade", 400, "step"),
        ("/api/v1/energy?from=2026-07-01&to=2026-06-01", 404, "after"),
        ("/api/v1/energy?from=yesterday", 400, "from"),
        ("/api/v1/energy?serial=1", 404, "1"),
        ("/api/v1/energy?steps=day", 400, "steps"),
        ("/api/v1/minutes?serial=1", 400, "key"),
        ("/api/v1/minutes?serial=1&key=grid_pwr", 404, "1"),
        ("/api/v1/minutes?serial=1&key=zappi/mode", 404, "grid_pwr"),
        (
            "/api/v1/minutes?serial=1&key=grid_pwr&from=2026-07-01T00:00:00Z&to=2026-06-01T00:00:00Z",
            404,
            "after",
        ),
        ("/api/v1/devices/eddi", 404, "eddi"),
        ("/api/v1/devices/99999999999", 404, "99999999999"),
        ("/api/v2/devices", 404, "/api/v2/devices"),
        ("/../../etc/passwd", 404, "etc/passwd"),
        ("/assets/..%2f..%2fetc%2fpasswd", 404, "passwd"),
    ] {
        let said = site.get(target).await.refusal(status);
        assert!(said.contains(keyword), "{target}: {said}");
    }
    for target in ["/?show=decade", "/?to=tomorrow", "/?device=eddi", "/?device=1"] {
        let page = site.get(target).await;
        assert!(matches!(page.status, 400 | 404) && page.body.contains("<h2>"), "{page:?}");
    }
}

#[tokio::test]
async fn many_minutes_come_in_answers_of_a_week() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("energi.db");
    for end in ["2016-06-20T12:00:00Z", "2026-06-20T12:00:00Z"] {
        history(&path, end.parse().unwrap()).await;
    }
    let site = Site::open(json!({"history": path})).await;
    let ten_years = "from=2016-01-01T00:00:00Z&to=2027-01-01T00:00:00Z";
    for format in ["", "&format=csv"] {
        let address = format!("?serial={SERIAL}&key=grid_pwr&{ten_years}{format}");
        let first = site.get(&format!("/api/v1/minutes{address}")).await;
        let (_, rest) = first.head.split_once("link: <").unwrap();
        let (next, relation) = rest.split_once('>').unwrap();
        assert!(relation.starts_with("; rel=\"next\""), "{relation}");
        // Heads are in lower case here; a date is read either way.
        assert!(next.contains("from=2026-06-20t11:00:00z"), "what lies between is empty: {next}");
        let last = site.get(&format!("/api/v1/minutes{next}")).await;
        let rows = if format.is_empty() {
            last.json().as_array().unwrap().len()
        } else {
            last.body.lines().count() - 1
        };
        assert_eq!(rows, 60);
        assert!(!last.head.contains("link:"), "{}", last.head);
    }
}

/// A record of a zappi or a harvi, as the experimental decoders read it.
fn other(record_type: u16, class: u8, body: &[(usize, &[u8])]) -> Arc<Reading> {
    let length: u8 = if record_type == 0x3601 { 0x23 } else { 0x20 };
    let mut payload = vec![0; 0x18 + usize::from(length)];
    payload[..4].copy_from_slice(&[0xCB, 0xDA, 0xE9, 0xF8]);
    payload[0x18] = length;
    payload[0x1A..0x1C].copy_from_slice(&record_type.to_le_bytes());
    payload[0x1C] = class << 3;
    for (at, bytes) in body {
        payload[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    let frame = Frame::parse_payload(&payload).unwrap();
    let table = DecoderTable::built_in();
    let record = frame.records().next().unwrap();
    // Decoders of other products refuse the record.
    let mut readings = table.decode(&record).filter_map(Result::ok);
    let mut reading = readings.find(|reading| reading.product != Product::Unknown).unwrap();
    reading.time = Some(Timestamp::now());
    Arc::new(reading)
}

#[tokio::test]
async fn a_tile_shows_only_what_is_known() {
    const ZAPPI: u32 = 16_042_300;
    const HARVI: u32 = 10_645_200;
    let mut site = Site::open(json!({})).await;
    let (zappi, harvi) = (ZAPPI.to_le_bytes(), HARVI.to_le_bytes());
    // Mode eco+ and boosting, 3.21 kWh, and the CT of the grid alone.
    let ct = [0x08, 0x21, 2, 1, 0xF4, 0x01, 0xD2, 0x00];
    let status: [(usize, &[u8]); 4] =
        [(0x1E, &zappi), (0x2C, &[0x41, 0x01]), (0x2E, &[0x10, 0x03]), (0x30, &ct)];
    site.sink.write(&[other(0x3510, 2, &status)]).await.unwrap();
    let tile = |page: &str, serial: u32| -> String {
        let (_, rest) = page.split_once(&format!("data-tile=\"{serial}\"")).unwrap();
        rest.split_once("</article>").unwrap().0.to_owned()
    };
    let page = site.get("/").await.body;
    let shown = tile(&page, ZAPPI);
    for part in ["zappi 16042300", "Mode: eco+", "Boosting", "3.21 kWh"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("<svg"), "no power is known: {shown}");

    // The summary: 500 W to the grid, 8 kW from the sun, 7.36 kW into the car.
    let [grid, sun, car] = [-500_i32, 8_000, 7_360].map(i32::to_le_bytes);
    let summary: [(usize, &[u8]); 4] =
        [(0x1E, &grid), (0x22, &sun[..2]), (0x2D, &zappi), (0x31, &car[..2])];
    let relayed: [(usize, &[u8]); 3] =
        [(0x1E, &zappi), (0x22, &harvi), (0x2A, &[0x7C, 0x25, 0xB9, 0x0F])];
    let others = [other(0x3601, 2, &summary), other(0x3730, 0, &relayed)];
    site.sink.write(&others).await.unwrap();
    site.lives().await;
    let page = site.get("/").await.body;
    let flow = "Now: Sun 8.00 kW, Export 500 W, Car 7.36 kW, House 140 W";
    assert!(tile(&page, ZAPPI).contains(flow), "{page}");
    let shown = tile(&page, HARVI);
    for part in ["CT 1", "<dd>9.60 kW</dd><dd>40.3 A</dd>", "Relayed by</dt><dd>zappi 16042300"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("<svg") && !shown.contains("Diverted"), "{shown}");
    let place = |serial| page.find(&format!("data-tile=\"{serial}\"")).unwrap();
    assert!(place(SERIAL) < place(ZAPPI) && place(ZAPPI) < place(HARVI));
}

#[tokio::test]
async fn a_missing_history_leaves_the_present_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("energi.db");
    let mut site = Site::open(json!({"history": path})).await;
    site.lives().await;
    let ask = || site.get("/api/v1/energy");
    assert!(ask().await.refusal(503).contains("no history"));

    // Made, locked, of a newer release, damaged, and moved aside.
    history(&path, Timestamp::now()).await;
    assert_eq!(ask().await.status, 200);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let locked = ask().await;
    assert!(matches!(locked.status, 200 | 503), "{locked:?}");
    drop(other);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA user_version = 99; DROP TABLE daily_energy").unwrap();
    drop(other);
    assert!(ask().await.refusal(503).contains("energi.db"));
    std::fs::write(&path, "no database at all, but long enough to be read as one").unwrap();
    assert!(ask().await.refusal(503).contains("energi.db"));
    std::fs::rename(&path, folder.path().join("aside")).unwrap();
    assert!(ask().await.refusal(503).contains("no history"));

    let page = site.get("/").await;
    assert!(page.status == 200 && page.body.contains("no history"), "{}", page.body);
    assert_eq!(site.get("/api/v1/devices").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_device_that_falls_silent_disappears() {
    let mut site = Site::open(json!({"device_timeout": "60s"})).await;
    let hour = SignedDuration::from_mins(60);
    let old = Timestamp::now() - hour * 2;
    site.sink.write(&Device::default().life(old, hour)).await.unwrap();
    assert_eq!(site.get("/api/v1/devices").await.json(), json!([]));
    assert!(!site.get("/metrics").await.body.contains("energi_power_watts"));

    // A recording is as old as it is.
    let mut recording = Site::open_as(json!({}), false).await;
    recording.sink.write(&Device::default().life(old, hour)).await.unwrap();
    assert!(recording.get("/metrics").await.body.contains("energi_power_watts"));
}
