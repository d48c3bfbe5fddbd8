//! Energy by day, as the public table has it.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use rusqlite::Row;
use rusqlite::types::Value;

use super::history::{DAILY_ENERGY, History};
use crate::database::ReadError;
use crate::energy::{Energy, EnergyDay, midnights};

/// Selection of days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DaySelection {
    /// The first date.
    pub from: Option<Date>,
    /// The last date, itself included.
    pub to: Option<Date>,
    /// The devices; none means all.
    pub serials: Vec<u32>,
}

impl History {
    /// Reads the selected days, ordered by serial number and date.
    ///
    /// # Errors
    /// [`ReadError`] where the history cannot be read or is damaged.
    pub fn days(&self, selection: &DaySelection) -> Result<Vec<EnergyDay>, ReadError> {
        let (sql, parameters) = query(selection);
        let mut statement = self.connection().prepare(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        let mut days = Vec::new();
        while let Some(row) = rows.next()? {
            days.push(read(row)?);
        }
        Ok(days)
    }

    /// Returns the share of the diverted energy of `date` that each part of it has: local times and
    /// weights, from the counter's points. Empty where the counter did not rise.
    ///
    /// # Errors
    /// [`ReadError`] where the history cannot be read.
    pub fn diverted_by_time(
        &self,
        serial: u32,
        date: Date,
        timezone: &TimeZone,
    ) -> Result<Vec<(Time, f64)>, ReadError> {
        let [begin, end] = midnights(date, timezone).map(Timestamp::as_microsecond);
        let mut select = self.connection().prepare_cached(
            "SELECT time, energy FROM energy_point WHERE time >= ?2 AND time < ?3 AND device =
                 (SELECT id FROM device WHERE serial = ?1) ORDER BY time",
        )?;
        let mut rows = select.query((serial, begin, end))?;
        let mut rises = Vec::new();
        let mut before: Option<f64> = None;
        while let Some(row) = rows.next()? {
            let (time, energy): (i64, f64) = (row.get(0)?, row.get(1)?);
            // A fall is a reset, and a leap a gap: neither says when energy flowed.
            let rise = before.map_or(0.0, |before| energy - before);
            if (1.0..=400.0).contains(&rise) {
                let time = Timestamp::from_microsecond(time).unwrap_or(Timestamp::MAX);
                rises.push((timezone.to_datetime(time).time(), rise));
            }
            before = Some(energy);
        }
        Ok(rises)
    }
}

fn query(selection: &DaySelection) -> (String, Vec<Value>) {
    let columns = DAILY_ENERGY.columns.join(", ");
    let name = DAILY_ENERGY.name;
    let mut sql = format!("SELECT {columns} FROM {name} WHERE date BETWEEN ? AND ?");
    let mut parameters = vec![
        selection.from.unwrap_or(Date::ZERO).to_string().into(),
        selection.to.unwrap_or(Date::MAX).to_string().into(),
    ];
    if !selection.serials.is_empty() {
        let places = vec!["?"; selection.serials.len()].join(", ");
        sql.push_str(" AND serial IN (");
        sql.push_str(&places);
        sql.push(')');
        parameters.extend(selection.serials.iter().map(|serial| i64::from(*serial).into()));
    }
    sql.push_str(" ORDER BY serial, date");
    (sql, parameters)
}

fn read(row: &Row<'_>) -> Result<EnergyDay, ReadError> {
    let date: String = row.get(1)?;
    let date = date.parse().map_err(|_| {
        ReadError::Data(format!("daily_energy has a date {date:?}; use the latest backup"))
    })?;
    let kwh = |column| {
        let value: Option<f64> = row.get(column)?;
        Ok::<_, rusqlite::Error>(value.filter(|value| value.is_finite()))
    };
    Ok(EnergyDay {
        serial: row.get(0)?,
        date,
        energy: Energy { diverted: kwh(2)?, import: kwh(3)?, export: kwh(4)?, generation: kwh(5)? },
        complete: row.get::<_, Option<bool>>(6)?.unwrap_or(false),
    })
}
