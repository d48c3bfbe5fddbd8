//! The readings that a history holds, as the gateway took them: to the microsecond, record by
//! record. The view `sample` rounds times down; what is sent elsewhere later must be the same as
//! what was sent live.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use energi_decoders::Value;
use jiff::Timestamp;
use rusqlite::{Connection, Row};

use super::super::schema::{PACKETS_SINCE, SCHEMA, packet_of};
use super::super::values;
use crate::database::{Identity, ReadError, Refusal, open_for_reading};

/// A reading of a history.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredReading {
    /// Time of the capture, to the microsecond.
    pub time: Timestamp,
    /// The device's serial number.
    pub serial: u32,
    /// The packet-length byte; `None` where an older release stored the reading without it.
    pub packet: Option<u8>,
    keys: Arc<[String]>,
    values: Vec<Option<Value>>,
}

impl StoredReading {
    /// The keys and their values in the order of the record, those withheld left out.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Value)> {
        let keys = self.keys.iter().map(String::as_str);
        keys.zip(&self.values).filter_map(|(key, value)| Some((key, (*value)?)))
    }
}

/// A history opened for its readings.
#[derive(Debug)]
pub struct StoredReadings {
    connection: Connection,
    devices: Vec<StoredDevice>,
    /// True if the history keeps packets.
    packets: bool,
    shapes: HashMap<i64, StoredShape>,
}

/// Meaning of the values of a row.
#[derive(Debug, Clone)]
struct StoredShape {
    packet: Option<u8>,
    keys: Arc<[String]>,
}

#[derive(Debug, Clone, Copy)]
struct StoredDevice {
    id: i64,
    serial: u32,
}

/// End of a page: the rest of the primary key, after the device.
#[derive(Debug)]
struct PageEnd {
    time: i64,
    us: i64,
    shape: i64,
    vals: String,
}

/// The readings of a span of time, page by page: those of a device in the order of time, device
/// after device.
#[derive(Debug)]
pub struct ReadingPages {
    time: Range<Timestamp>,
    devices: std::vec::IntoIter<StoredDevice>,
    device: Option<StoredDevice>,
    after: PageEnd,
}

impl StoredReadings {
    /// Opens the history at `path`, which a gateway may be writing to.
    ///
    /// # Errors
    /// [`ReadError`] where there is none, where it may not be read, and where another release
    /// wrote it that this one does not know.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let connection = open_for_reading(path)?;
        let packets = match SCHEMA.identify(&connection)? {
            Identity::Empty => return Err(ReadError::Data(Refusal::OtherProgram.to_string())),
            Identity::Ours(version) => version >= PACKETS_SINCE,
        };
        let devices = connection
            .prepare("SELECT id, serial FROM device ORDER BY serial")?
            .query_map([], |row| Ok(StoredDevice { id: row.get(0)?, serial: row.get(1)? }))?
            .collect::<Result<_, _>>()?;
        Ok(Self { connection, devices, packets, shapes: HashMap::new() })
    }

    /// Keeps to these devices; all of them where none is given.
    #[must_use]
    pub fn of(mut self, serials: &[u32]) -> Self {
        self.devices.retain(|device| serials.is_empty() || serials.contains(&device.serial));
        self
    }

    /// The time of the first reading from `time` on.
    ///
    /// # Errors
    /// [`ReadError`] where the history cannot be read.
    pub fn first_from(&self, time: Timestamp) -> Result<Option<Timestamp>, ReadError> {
        self.extreme("SELECT min(time) FROM reading WHERE device = ?1 AND time >= ?2", time)
            .map(|times| times.into_iter().min())
    }

    /// The time of the last reading before `time`, to the millisecond.
    ///
    /// # Errors
    /// [`ReadError`] where the history cannot be read.
    pub fn last_before(&self, time: Timestamp) -> Result<Option<Timestamp>, ReadError> {
        self.extreme("SELECT max(time) FROM reading WHERE device = ?1 AND time < ?2", time)
            .map(|times| times.into_iter().max())
    }

    fn extreme(&self, sql: &str, time: Timestamp) -> Result<Vec<Timestamp>, ReadError> {
        let mut select = self.connection.prepare_cached(sql)?;
        let mut times = Vec::new();
        for device in &self.devices {
            let ms: Option<i64> =
                select.query_row((device.id, time.as_millisecond()), |row| row.get(0))?;
            times.extend(ms.map(|ms| timestamp(ms, 0)).transpose()?);
        }
        Ok(times)
    }

    /// The readings from the start of `time` up to but without its end, both in whole
    /// milliseconds.
    #[must_use]
    pub fn pages(&self, time: Range<Timestamp>) -> ReadingPages {
        let mut devices = self.devices.clone().into_iter();
        let device = devices.next();
        let after = PageEnd::before(time.start);
        ReadingPages { time, devices, device, after }
    }

    /// The next readings of `pages`, at most `limit`; none once all were read. Each page is a read
    /// of its own: a reader that stays would keep the gateway's log from being taken in.
    ///
    /// # Errors
    /// [`ReadError`] where the history cannot be read or is damaged.
    pub fn next(
        &mut self,
        pages: &mut ReadingPages,
        limit: usize,
    ) -> Result<Vec<StoredReading>, ReadError> {
        let mut page = Vec::with_capacity(limit);
        while let Some(device) = pages.device {
            self.fill(device, pages, &mut page, limit)?;
            if page.len() >= limit {
                break;
            }
            pages.device = pages.devices.next();
            pages.after = PageEnd::before(pages.time.start);
        }
        Ok(page)
    }

    fn fill(
        &mut self,
        device: StoredDevice,
        pages: &mut ReadingPages,
        page: &mut Vec<StoredReading>,
        limit: usize,
    ) -> Result<(), ReadError> {
        let mut select = self.connection.prepare_cached(
            "SELECT time, us, shape, vals FROM reading WHERE device = ?1 AND time < ?2
                 AND (time, us, shape, vals) > (?3, ?4, ?5, ?6)
             ORDER BY time, us, shape, vals LIMIT ?7",
        )?;
        let (end, after) = (pages.time.end.as_millisecond(), &pages.after);
        let room = limit.saturating_sub(page.len());
        let mut rows = select.query((
            device.id,
            end,
            after.time,
            after.us,
            after.shape,
            &after.vals,
            i64::try_from(room).unwrap_or(i64::MAX),
        ))?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            let place = PageEnd::of(row)?;
            let shape = if let Some(shape) = self.shapes.get(&place.shape) {
                shape.clone()
            } else {
                // A gateway may add one at any time.
                let shape = shape(&self.connection, place.shape, self.packets)?;
                self.shapes.insert(place.shape, shape.clone());
                shape
            };
            page.push(StoredReading {
                time: timestamp(place.time, place.us)?,
                serial: device.serial,
                packet: shape.packet,
                keys: shape.keys,
                values: values::read(&place.vals).map_err(|error| damaged(&error))?,
            });
            last = Some(place);
        }
        if let Some(last) = last {
            pages.after = last;
        }
        Ok(())
    }
}

impl PageEnd {
    /// Cursor before every reading from `time` on.
    fn before(time: Timestamp) -> Self {
        Self { time: time.as_millisecond(), us: -1, shape: 0, vals: String::new() }
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { time: row.get(0)?, us: row.get(1)?, shape: row.get(2)?, vals: row.get(3)? })
    }
}

fn shape(connection: &Connection, id: i64, packets: bool) -> Result<StoredShape, ReadError> {
    let packet = if packets { "packet" } else { "NULL" };
    let (text, packet): (String, Option<u8>) = connection.query_row(
        &format!("SELECT keys, {packet} FROM shape WHERE id = ?1"),
        [id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let keys: Vec<String> = serde_json::from_str(&text).map_err(|error| damaged(&error))?;
    Ok(StoredShape { packet: packet.or_else(|| packet_of(&text)), keys: keys.into() })
}

fn timestamp(ms: i64, us: i64) -> Result<Timestamp, ReadError> {
    let micros = ms.checked_mul(1000).and_then(|ms| ms.checked_add(us));
    let time = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    time.ok_or_else(|| ReadError::Data(format!("damaged: a reading at {ms} ms, out of range")))
}

fn damaged(error: &dyn std::error::Error) -> ReadError {
    ReadError::Data(format!("damaged: a reading's values: {error}; use the latest backup"))
}
