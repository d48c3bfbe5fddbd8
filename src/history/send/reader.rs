//! Reads ahead of the server, on a thread of its own.

use std::io;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::thread;

use energi_sinks::backfill::Backfill;
use energi_sinks::queue::Payload;
use energi_sinks::runner::Dispatcher;
use energi_sinks::sqlite::{ReadError, StoredReadings};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

/// Readings of a request: what `InfluxData` finds best.
const READINGS: usize = 5_000;

/// Number of batches that are read ahead.
const AHEAD: usize = 2;

/// Readings of one local date.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) date: Date,
    pub(super) payload: Payload,
    /// Number of readings that have no place at the server.
    pub(super) left_out: usize,
}

/// Batch from the thread: after an error, nothing.
pub(super) type Item = Result<Batch, ReadError>;

/// A history that is read.
pub(super) struct Reader {
    pub(super) history: StoredReadings,
    pub(super) time: Range<Timestamp>,
    pub(super) timezone: TimeZone,
}

impl Reader {
    /// The local dates of the first sample and of the last; `None` where there is none.
    pub(super) fn dates(&self) -> Result<Option<RangeInclusive<Date>>, ReadError> {
        let first = self.history.first_from(self.time.start)?;
        let last = self.history.last_before(self.time.end)?;
        let date = |time| self.timezone.to_datetime(time).date();
        Ok(match (first, last) {
            (Some(first), Some(last)) if first <= last => Some(date(first)..=date(last)),
            _ => None,
        })
    }

    /// Begins to read, oldest date first. Dropping the receiver ends it.
    pub(super) fn start<C: Backfill>(
        self,
        backfill: Arc<Dispatcher<C>>,
    ) -> io::Result<mpsc::Receiver<Item>> {
        let (batches, receiver) = mpsc::channel(AHEAD);
        thread::Builder::new().name("history".to_owned()).spawn(move || {
            if let Err(error) = self.read(backfill.encoder(), &batches) {
                // Nobody minds once the receiver has gone.
                let _ = batches.blocking_send(Err(error));
            }
        })?;
        Ok(receiver)
    }

    fn read(
        mut self,
        encoder: &impl Backfill,
        batches: &mpsc::Sender<Item>,
    ) -> Result<(), ReadError> {
        let mut from = self.time.start;
        while let Some(first) = self.history.first_from(from)? {
            let (date, midnight) = self.day(first);
            let end = midnight.min(self.time.end);
            if first >= end {
                break;
            }
            let mut pages = self.history.pages(first..end);
            loop {
                let page = self.history.next(&mut pages, READINGS)?;
                if page.is_empty() {
                    break;
                }
                let payload = encoder.encode_stored(&page);
                let left_out = page.len() - payload.items;
                if batches.blocking_send(Ok(Batch { date, payload, left_out })).is_err() {
                    return Ok(());
                }
            }
            from = end;
        }
        Ok(())
    }

    /// The local date of a time, and when the next one begins.
    fn day(&self, time: Timestamp) -> (Date, Timestamp) {
        let date = self.timezone.to_datetime(time).date();
        let next = date.tomorrow().and_then(|next| next.to_zoned(self.timezone.clone()));
        let midnight = next.map_or(Timestamp::MAX, |next| next.timestamp());
        // A clock that is put back over midnight begins the next date twice.
        let past = time.checked_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX);
        (date, if midnight > time { midnight } else { past })
    }
}
