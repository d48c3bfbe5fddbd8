use std::iter::Sum;
use std::ops::Add;

use jiff::civil::Date;
use rusqlite::Row;
use rusqlite::types::Value;

use crate::history::{DAILY_ENERGY, History, HistoryError};

/// Energy in kWh, each kind `None` while it is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Energy {
    /// What the eddi sent to its heaters.
    pub diverted: Option<f64>,
    /// What came from the grid.
    pub import: Option<f64>,
    /// What went to the grid.
    pub export: Option<f64>,
    /// What was generated.
    pub generation: Option<f64>,
}

/// Adds what is known: a sum is unknown only where all its terms are.
impl Add for Energy {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let add = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a + b),
            (known, None) | (None, known) => known,
        };
        Self {
            diverted: add(self.diverted, other.diverted),
            import: add(self.import, other.import),
            export: add(self.export, other.export),
            generation: add(self.generation, other.generation),
        }
    }
}

impl Sum for Energy {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Self::default(), Self::add)
    }
}

/// What the history says of a device's local date.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnergyDay {
    /// The device.
    pub serial: u32,
    /// The local date.
    pub date: Date,
    /// Its energy.
    pub energy: Energy,
    /// Whether the device was heard all day long.
    pub complete: bool,
}

/// Which days are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DaySelection {
    /// The first date.
    pub from: Option<Date>,
    /// The last date, itself included.
    pub to: Option<Date>,
    /// The devices; none means all.
    pub serials: Vec<u32>,
}

/// Reads the selected days, ordered by serial number and date.
///
/// # Errors
/// [`HistoryError`] where the history cannot be read or holds what cannot be.
pub fn days(history: &History, selection: &DaySelection) -> Result<Vec<EnergyDay>, HistoryError> {
    let failed = |error: &rusqlite::Error| history.error(error);
    let (sql, parameters) = query(selection);
    let mut statement = history.connection().prepare(&sql).map_err(|error| failed(&error))?;
    let mut rows =
        statement.query(rusqlite::params_from_iter(parameters)).map_err(|error| failed(&error))?;
    let mut days = Vec::new();
    while let Some(row) = rows.next().map_err(|error| failed(&error))? {
        days.push(read(history, row)?);
    }
    Ok(days)
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

fn read(history: &History, row: &Row<'_>) -> Result<EnergyDay, HistoryError> {
    let failed = |error: rusqlite::Error| history.error(&error);
    let date: String = row.get(1).map_err(failed)?;
    let date = date.parse().map_err(|_| HistoryError::Data {
        path: history.path().to_owned(),
        why: format!("daily_energy has a date {date:?}; use the latest backup"),
    })?;
    let kwh = |column| {
        let value: Option<f64> = row.get(column).map_err(failed)?;
        Ok(value.filter(|value| value.is_finite()))
    };
    Ok(EnergyDay {
        serial: row.get(0).map_err(failed)?,
        date,
        energy: Energy { diverted: kwh(2)?, import: kwh(3)?, export: kwh(4)?, generation: kwh(5)? },
        complete: row.get::<_, Option<bool>>(6).map_err(failed)?.unwrap_or(false),
    })
}
