mod reader;

use std::ops::{Range, RangeInclusive};
use std::path::Path;

use energi_sinks::SinkError;
use energi_sinks::influxdb::{InfluxdbClient, InfluxdbConfig};
use energi_sinks::queue::Payload;
use energi_sinks::registry::AnyConfig;
use energi_sinks::runner::{Backoff, DeliveryReport, Dispatcher};
use energi_sinks::sqlite::StoredReadings;
use indicatif::HumanCount;
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::mpsc;
use tracing::warn;

use super::HistoryError;
use crate::config::Config;
use crate::platform::exit::{Exit, Failure};
use crate::platform::runtime;
use crate::platform::signals::Signals;
use crate::terminal::progress::StatusLine;
use reader::{Batch, Reader};

/// Attempts to send a batch before a command that somebody waits for gives up: about 40 s.
const TRIES: u64 = 8;

/// Selection of samples to send.
#[derive(Debug, Clone, Default)]
pub struct SendSelection {
    /// Range of times, without its end; `None` for all.
    pub time: Option<Range<Timestamp>>,
    /// The devices; all where none is named.
    pub serials: Vec<u32>,
}

/// Points that were sent.
#[derive(Debug)]
pub struct SendReport {
    /// The local dates of the first sample and of the last.
    pub dates: RangeInclusive<Date>,
    /// Number of points that the server accepted.
    pub points: u64,
    /// Number of points that the server rejected.
    pub refused: u64,
}

/// Sends the samples of the history at `db` to the `influxdb` sink called `name`, as that sink
/// sends them itself; `None` where there is none to send. The memory it takes does not depend on
/// their number.
///
/// # Errors
/// [`Failure`] where the history cannot be read, where there is no such sink, where its server does
/// not take points, and after a signal; it says from which date to go on.
pub fn send(
    db: &Path,
    wanted: SendSelection,
    config: &Config,
    name: &str,
) -> Result<Option<SendReport>, Failure> {
    let target = target(config, name)?;
    let context = config.context(name);
    let unread = |error| HistoryError::read(db, error);
    let reader = Reader {
        history: StoredReadings::open(db).map_err(unread)?.of(&wanted.serials),
        time: wanted.time.unwrap_or(Timestamp::MIN..Timestamp::MAX),
        timezone: config.timezone.clone(),
    };
    let Some(dates) = reader.dates().map_err(unread)? else { return Ok(None) };
    let runtime = runtime::create()?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let backfill = target.backfill(&context).await;
        let encoder = backfill.encoder().encoder().clone();
        let batches = reader.start(encoder).map_err(|error| Failure::new(Exit::Io, error))?;
        let status = StatusLine::new();
        let sent = SendReport { dates, points: 0, refused: 0 };
        let mut sending = Sending { db, name, backfill, status, sent, date: None };
        let result = tokio::select! {
            biased;
            () = signals.next() => Err(Failure::message(Exit::Unavailable, "stopped by a signal")),
            result = sending.all(batches) => result,
        };
        result.map_err(|failure| sending.not_all(&failure)).map(|()| Some(sending.sent))
    })
}

/// The sink called `name`.
fn target<'c>(config: &'c Config, name: &str) -> Result<&'c InfluxdbConfig, HistoryError> {
    let mut influxdb = Vec::new();
    for sink in &config.sinks {
        match &sink.config {
            AnyConfig::Influxdb(config) if sink.name == name => return Ok(config),
            AnyConfig::Influxdb(_) => influxdb.push(sink.name.as_str()),
            _ => {}
        }
    }
    let has = match &influxdb[..] {
        [] => "has none".to_owned(),
        names => format!("has: {}", names.join(", ")),
    };
    Err(HistoryError::Usage(format!(
        "--sink {name}: give the name of an influxdb sink; the configuration {has}"
    )))
}

/// Points on their way.
struct Sending<'a> {
    db: &'a Path,
    name: &'a str,
    backfill: Dispatcher<InfluxdbClient>,
    status: Option<StatusLine>,
    sent: SendReport,
    /// The date whose points are being sent.
    date: Option<Date>,
}

impl Sending<'_> {
    async fn all(&mut self, mut batches: mpsc::Receiver<reader::Item>) -> Result<(), Failure> {
        while let Some(batch) = batches.recv().await {
            let Batch { date, points } =
                batch.map_err(|error| HistoryError::read(self.db, error))?;
            self.date = Some(date);
            self.show(date);
            let report = self.deliver(points).await;
            let report = report.map_err(|error| Failure::new(Exit::Unavailable, error))?;
            self.sent.refused += (report.dead_letters.len() + report.rejected) as u64;
            self.sent.points += report.delivered as u64;
        }
        Ok(())
    }

    /// Sends a batch, and again while the trouble may pass by itself.
    async fn deliver(&mut self, points: Payload) -> Result<DeliveryReport, SinkError> {
        let mut backoff = Backoff::default();
        loop {
            match self.backfill.deliver(points.clone()).await {
                Err(SinkError::Transient { message: trouble, .. })
                    if backoff.tries() + 1 < TRIES =>
                {
                    if backoff.tries() == 0 {
                        warn!(sink = self.name, "{trouble}; trying again");
                    }
                    tokio::time::sleep(backoff.next_wait()).await;
                }
                other => return other,
            }
        }
    }

    fn show(&self, date: Date) {
        let Some(status) = &self.status else { return };
        let (first, last) = (*self.sent.dates.start(), *self.sent.dates.end());
        let days = |since: Date| since.duration_until(last).as_hours() / 24 + 1;
        let done = 100 - 100 * days(date) / days(first).max(1);
        status.show(format!("{date}, {done} %: {} points", HumanCount(self.sent.points)));
    }

    /// The failure with how far it came.
    fn not_all(&self, failure: &Failure) -> Failure {
        let points = self.sent.points;
        let go_on = match self.date {
            Some(date) => format!("{points} points were sent; continue with --from {date}"),
            None => "nothing was sent".to_owned(),
        };
        Failure::message(failure.exit, format_args!("{failure}; {go_on}"))
    }
}
