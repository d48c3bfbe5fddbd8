//! Small numbers in the place of what repeats in every row: devices, shapes of records, tallies.

use std::collections::HashMap;

use energi_decoders::{Field, Reading, Value};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::rollup::compute::{Counts, Sample};
use super::rollup::metrics::{GENERATION, GRID, METRICS, SLOTS, slot_of};

/// The shapes, each with the one of an older release that may have the same readings.
const SHAPES: &str = "SELECT s.id, s.packet, s.keys, o.id FROM shape s LEFT JOIN shape o
    ON o.keys = s.keys AND o.packet IS NULL AND s.packet IS NOT NULL";

/// More tallies than this are looked up in the database again.
const MOST_TALLIES: usize = 10_000;

/// The numbers that the database gave, remembered.
#[derive(Debug, Default)]
pub(super) struct Ids {
    devices: HashMap<u32, i64>,
    shapes: Vec<Shape>,
    tallies: HashMap<Counts, i64>,
}

/// Meaning of the values of a row.
#[derive(Debug)]
pub(super) struct Shape {
    /// The number in the database.
    pub(super) id: i64,
    /// The number under which an older release, which kept no packet, stored the same readings.
    pub(super) older: Option<i64>,
    /// The packet-length byte; `None` for such readings.
    packet: Option<u8>,
    keys: Vec<String>,
    /// The confirmed metric that each value is of.
    slots: Vec<Option<usize>>,
}

impl Shape {
    /// Reads a row of [`SHAPES`].
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let keys: String = row.get(2)?;
        let keys: Vec<String> = serde_json::from_str(&keys).unwrap_or_default();
        let slots = keys.iter().map(|key| slot_of(key)).collect();
        Ok(Self { id: row.get(0)?, older: row.get(3)?, packet: row.get(1)?, keys, slots })
    }

    fn is_of(&self, reading: &Reading) -> bool {
        let keys = || reading.layout().fields.iter().map(Field::key);
        self.packet == Some(reading.packet()) && self.keys.iter().map(String::as_str).eq(keys())
    }

    /// Returns whether any of its values is of a confirmed metric.
    pub(super) fn is_confirmed(&self) -> bool {
        self.slots.iter().any(Option::is_some)
    }

    /// Returns whether a grid or generation power is among its values.
    pub(super) fn has_power(&self) -> bool {
        self.slots.iter().flatten().any(|slot| [GRID, GENERATION].contains(slot))
    }

    /// The sample that a stored row is.
    pub(super) fn sample(&self, time: i64, values: &[Option<Value>]) -> Sample {
        let mut raw = [None; SLOTS];
        for (slot, value) in self.slots.iter().zip(values) {
            if let (Some(slot), Some(value)) = (*slot, *value) {
                #[expect(clippy::cast_possible_truncation, reason = "16 bits, or saturated")]
                let number = (value.as_f64() * f64::from(METRICS[slot].divide)).round() as i32;
                raw[slot] = Some(number);
            }
        }
        Sample { time, raw }
    }
}

impl Ids {
    /// Reads the shapes that the database has.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut select = connection.prepare(SHAPES)?;
        let shapes = select.query_map([], Shape::read)?.collect::<Result<_, _>>()?;
        Ok(Self { shapes, ..Self::default() })
    }

    /// The number of a device.
    pub(super) fn device(&mut self, connection: &Connection, serial: u32) -> rusqlite::Result<i64> {
        if let Some(id) = self.devices.get(&serial) {
            return Ok(*id);
        }
        connection
            .prepare_cached("INSERT INTO device (serial) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([serial])?;
        let id = connection
            .prepare_cached("SELECT id FROM device WHERE serial = ?1")?
            .query_row([serial], |row| row.get(0))?;
        self.devices.insert(serial, id);
        Ok(id)
    }

    /// The shape of a reading.
    pub(super) fn shape(
        &mut self,
        connection: &Connection,
        reading: &Reading,
    ) -> rusqlite::Result<&Shape> {
        let known = self.shapes.iter().position(|shape| shape.is_of(reading));
        let index = if let Some(index) = known {
            index
        } else {
            self.shapes.push(add_shape(connection, reading)?);
            self.shapes.len() - 1
        };
        Ok(&self.shapes[index])
    }

    /// The shape that has a number.
    pub(super) fn shape_of(&self, id: i64) -> Option<&Shape> {
        self.shapes.iter().find(|shape| shape.id == id)
    }

    /// The number of a tally: how many values a minute has of each metric.
    pub(super) fn tally(
        &mut self,
        connection: &Connection,
        counts: &Counts,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.tallies.get(counts) {
            return Ok(*id);
        }
        let columns = (0..SLOTS).map(|slot| format!("n{slot}")).collect::<Vec<_>>().join(", ");
        let holes = ["?"; SLOTS].join(", ");
        let select = format!("SELECT id FROM tally WHERE ({columns}) = ({holes})");
        let found = connection
            .prepare_cached(&select)?
            .query_row(params_from_iter(counts), |row| row.get(0))
            .optional()?;
        let id = if let Some(id) = found {
            id
        } else {
            let total: u32 = counts.iter().sum();
            let insert = format!("INSERT INTO tally ({columns}, total) VALUES ({holes}, {total})");
            connection.prepare(&insert)?.insert(params_from_iter(counts))?
        };
        if self.tallies.len() >= MOST_TALLIES {
            self.tallies.clear();
        }
        self.tallies.insert(*counts, id);
        Ok(id)
    }
}

fn add_shape(connection: &Connection, reading: &Reading) -> rusqlite::Result<Shape> {
    let keys: Vec<&str> = reading.layout().fields.iter().map(Field::key).collect();
    let text = serde_json::Value::from(keys.clone()).to_string();
    let id = connection
        .prepare("INSERT INTO shape (keys, packet) VALUES (?1, ?2)")?
        .insert((text, reading.packet()))?;
    let mut insert =
        connection.prepare("INSERT INTO field (shape, key, path) VALUES (?1, ?2, ?3)")?;
    for (index, key) in keys.iter().enumerate() {
        insert.execute((id, key, format!("$[{index}]")))?;
    }
    connection.query_row(&format!("{SHAPES} WHERE s.id = ?1"), [id], Shape::read)
}
