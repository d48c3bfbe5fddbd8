mod reader;

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::sync::Arc;

use energi_sinks::SinkError;
use energi_sinks::backfill::Backfill;
use energi_sinks::energy::EnergyDay;
use energi_sinks::registry::AnyConfig;
use energi_sinks::runner::{Backoff, Dispatcher};
use energi_sinks::sqlite::{DaySelection, StoredReadings};
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

/// Days of a request.
const DAYS: usize = 5_000;

/// Selection of what is sent.
#[derive(Debug, Clone, Default)]
pub struct SendSelection {
    /// The devices and the local dates.
    pub days: DaySelection,
    /// Time from the first of these dates to the last, without its end; `None` for all.
    pub time: Option<Range<Timestamp>>,
}

/// Result of a history that was sent.
#[derive(Debug)]
pub struct SendReport {
    /// The first local date and the last.
    pub dates: RangeInclusive<Date>,
    /// What the server accepted.
    pub accepted: Accepted,
    /// Number of readings that the server rejected.
    pub refused: u64,
    /// Number of readings that have no place at the server.
    pub left_out: u64,
    /// Reason why they have none.
    pub left_out_because: &'static str,
}

/// Amount that a server accepted.
#[derive(Debug)]
pub struct Accepted {
    /// Number of readings.
    pub readings: u64,
    /// Name of the readings at this server.
    pub items: &'static str,
    /// Number of days of energy, each of a device.
    pub days: usize,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.readings, self.items)?;
        match self.days {
            0 => Ok(()),
            1 => write!(f, " and 1 row of daily energy"),
            days => write!(f, " and {days} rows of daily energy"),
        }
    }
}

/// Sends what the history at `db` holds to the sink called `name`, as that sink sends it itself;
/// `None` where there is nothing to send. The memory it takes does not depend on the number of
/// readings.
///
/// # Errors
/// [`Failure`] where the history cannot be read, where there is no such sink, where its server does
/// not take readings, and after a signal; it says from which date to go on.
pub fn send(
    db: &Path,
    wanted: &SendSelection,
    config: &Config,
    name: &str,
) -> Result<Option<SendReport>, Failure> {
    let history = Source { db, wanted, config, name };
    let context = config.context(name);
    let sink = config.sinks.iter().find(|sink| sink.name == name);
    runtime::create()?.block_on(async {
        match sink.map(|sink| &sink.config) {
            #[cfg(feature = "influxdb")]
            Some(AnyConfig::Influxdb(sink)) => history.send_to(sink.backfill(&context).await).await,
            #[cfg(feature = "postgres")]
            Some(AnyConfig::Postgres(sink)) => history.send_to(sink.backfill(&context)).await,
            other => Err(not_served(config, name, other).into()),
        }
    })
}

/// Explains that a sink is not one that a history can be sent to.
fn not_served(config: &Config, name: &str, sink: Option<&AnyConfig>) -> HistoryError {
    let why = match sink.map(AnyConfig::type_name) {
        Some("nats") => " a nats sink takes frames, which a history does not hold;",
        _ => "",
    };
    let served = ["influxdb", "postgres"];
    let sinks = config.sinks.iter().filter(|sink| served.contains(&sink.config.type_name()));
    let names: Vec<_> = sinks.map(|sink| sink.name.as_str()).collect();
    let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    HistoryError::Usage(format!(
        "--sink {name}:{why} give the name of an {} sink, of which the configuration has: {has}",
        served.join(" or ")
    ))
}

/// A history to be sent.
struct Source<'a> {
    db: &'a Path,
    wanted: &'a SendSelection,
    config: &'a Config,
    name: &'a str,
}

impl Source<'_> {
    async fn send_to<C: Backfill>(
        &self,
        backfill: Dispatcher<C>,
    ) -> Result<Option<SendReport>, Failure> {
        let Self { db, wanted, config, name } = *self;
        let unread = |error| HistoryError::read(db, error);
        let days = if C::TAKES_DAYS {
            super::open(db)?.days(&wanted.days).map_err(unread)?
        } else {
            Vec::new()
        };
        let reader = Reader {
            history: StoredReadings::open(db).map_err(unread)?.of(&wanted.days.serials),
            time: wanted.time.clone().unwrap_or(Timestamp::MIN..Timestamp::MAX),
            timezone: config.timezone.clone(),
        };
        let readings = reader.dates().map_err(unread)?;
        let ends = readings.iter().flat_map(|dates| [*dates.start(), *dates.end()]);
        let dates = ends.chain(days.iter().map(|day| day.date));
        let (Some(first), Some(last)) = (dates.clone().min(), dates.max()) else {
            return Ok(None);
        };
        let mut signals = Signals::listen()?;
        let accepted = Accepted { readings: 0, items: backfill.items(), days: 0 };
        let backfill = Arc::new(backfill);
        let batches =
            reader.start(Arc::clone(&backfill)).map_err(|error| Failure::new(Exit::Io, error))?;
        let mut sending = Sending {
            db,
            name,
            backfill,
            status: StatusLine::new(),
            readings: readings.unwrap_or(first..=last),
            report: SendReport {
                dates: first..=last,
                accepted,
                refused: 0,
                left_out: 0,
                left_out_because: C::LEFT_OUT,
            },
            date: first,
        };
        let result = tokio::select! {
            biased;
            () = signals.next() => Err(Failure::message(Exit::Unavailable, "stopped by a signal")),
            result = sending.all(&days, batches) => result,
        };
        result.map_err(|failure| sending.not_all(&failure)).map(|()| Some(sending.report))
    }
}

/// A history on its way.
struct Sending<'a, C> {
    db: &'a Path,
    name: &'a str,
    backfill: Arc<Dispatcher<C>>,
    status: Option<StatusLine>,
    /// The local dates of the first reading and of the last.
    readings: RangeInclusive<Date>,
    report: SendReport,
    /// The date whose readings are being sent.
    date: Date,
}

impl<C: Backfill> Sending<'_, C> {
    /// Sends the days, then the readings: a command that goes on from a later date has all days of
    /// before.
    async fn all(
        &mut self,
        days: &[EnergyDay],
        mut batches: mpsc::Receiver<reader::Item>,
    ) -> Result<(), Failure> {
        let unsent = |error| Failure::new(Exit::Unavailable, error);
        for days in days.chunks(DAYS) {
            let encoder = self.backfill.encoder();
            let sent = self.patiently(async || Ok(encoder.send_days(days).await?)).await;
            sent.map_err(unsent)?;
            self.report.accepted.days += days.len();
        }
        while let Some(batch) = batches.recv().await {
            let Batch { date, payload, left_out } =
                batch.map_err(|error| HistoryError::read(self.db, error))?;
            self.date = date;
            self.show();
            self.report.left_out += left_out as u64;
            if payload.is_empty() {
                continue;
            }
            let sent = self.patiently(async || self.backfill.deliver(payload.clone()).await).await;
            let sent = sent.map_err(unsent)?;
            self.report.refused += (sent.dead_letters.len() + sent.rejected) as u64;
            self.report.accepted.readings += sent.delivered as u64;
        }
        Ok(())
    }

    /// Tries to send something, and again while the trouble may pass by itself.
    async fn patiently<T>(
        &self,
        attempt: impl AsyncFn() -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        let mut backoff = Backoff::default();
        loop {
            match attempt().await {
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

    fn show(&self) {
        let Some(status) = &self.status else { return };
        let (first, last) = (*self.readings.start(), *self.readings.end());
        let days = |since: Date| since.duration_until(last).as_hours() / 24 + 1;
        let done = 100 - 100 * days(self.date) / days(first).max(1);
        let Accepted { readings, items, .. } = self.report.accepted;
        status.show(format!("{}, {done} %: {} {items}", self.date, HumanCount(readings)));
    }

    /// The failure with how far it came.
    fn not_all(&self, failure: &Failure) -> Failure {
        let (accepted, date) = (&self.report.accepted, self.date);
        Failure::message(
            failure.exit,
            format_args!("{failure}; {accepted} were sent; continue with --from {date}"),
        )
    }
}
