//! A sink with a queue in a directory of its own, and readings for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use energi_sinks::influxdb::line_protocol::LineEncoder;
use energi_sinks::influxdb::{InfluxdbConfig, ProxyConfig};
use energi_sinks::queue::{self, Payload, QueueStatus};
use energi_sinks::settings::{Period, QueueConfig, Size};
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, Context, Sink, SinkConfig, SinkError};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep};

use support::fake_server::FakeServer;
use support::readings::Device;

/// Longest wait of a test for anything that has to happen.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) config: InfluxdbConfig,
    pub(crate) backpressure: Backpressure,
    pub(crate) live: bool,
}

impl Place {
    pub(crate) fn new(url: String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = InfluxdbConfig {
            url,
            org: "home".to_owned(),
            bucket: "energy".to_owned(),
            token: None,
            token_file: None,
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            proxy: ProxyConfig::default(),
            gzip: true,
            batch_size: 500,
            flush_interval: Period::from_secs(10),
            timeout: Period::from_secs(1),
            queue: QueueConfig {
                path: directory.path().join("influxdb.queue.db"),
                max_bytes: Size::from_mib(16),
            },
        };
        Self { directory, config, backpressure: Backpressure::Wait, live: false }
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            name: "influxdb".to_owned(),
            site: Some("home".to_owned()),
            timezone: TimeZone::UTC,
            device_names: Arc::new(BTreeMap::new()),
            only_devices: None,
            layouts: Vec::new().into(),
            live: self.live,
            backpressure: self.backpressure,
            tariff: None,
            status: StatusHandle::default(),
        }
    }

    pub(crate) async fn open(&self) -> Box<dyn Sink> {
        // One that was dropped lets go of its file when its thread ends.
        let begun = Instant::now();
        loop {
            match self.config.open(&self.context()).await {
                Ok(sink) => return sink,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Closes a sink as a recording's end does: again and again.
    pub(crate) async fn close(sink: &mut dyn Sink) {
        let begun = Instant::now();
        while let Err(error) = sink.close().await {
            assert!(matches!(error, SinkError::Transient { .. }), "{error:?}");
            assert!(begun.elapsed() < PATIENCE, "{error}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn status(&self) -> QueueStatus {
        queue::status(&self.config.queue.path).unwrap().unwrap()
    }

    /// The lines that readings should arrive as.
    pub(crate) fn lines(&self, readings: &[Arc<Reading>]) -> BTreeSet<String> {
        let context = self.context();
        let encoder = LineEncoder::new(context.site.as_deref(), &context.device_names);
        let mut lines = Payload::default();
        for reading in readings {
            assert!(encoder.reading(reading, &mut lines));
        }
        lines.text().lines().map(str::to_owned).collect()
    }
}

/// Makes so many readings of a household.
pub(crate) fn readings(count: usize) -> Vec<Arc<Reading>> {
    let start = "2026-01-20T10:00:00Z".parse().unwrap();
    let mut readings = Device::default().life(start, SignedDuration::from_hours(4));
    readings.truncate(count);
    assert_eq!(readings.len(), count);
    readings
}

pub(crate) fn set(lines: Vec<String>) -> BTreeSet<String> {
    lines.into_iter().collect()
}

/// Waits until the server has so many points.
pub(crate) async fn arrives(server: &FakeServer, points: usize) {
    let begun = Instant::now();
    while server.taken().len() < points {
        assert!(begun.elapsed() < PATIENCE, "{} are there", server.taken().len());
        sleep(Duration::from_millis(10)).await;
    }
}
