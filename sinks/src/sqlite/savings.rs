//! Savings by diverting: the diverted energy times import price less export price.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time, time};
use jiff::tz::TimeZone;

use super::History;
use crate::database::ReadError;
use crate::energy::{CalendarPeriod, EnergyDay};
use crate::settings::Tariff;

/// Savings by device and date, in the tariff's currency.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Savings(BTreeMap<(u32, Date), f64>);

/// Computes what the diverted energy of `days` has saved. Where the price changes during the day,
/// the history says when the energy was diverted; a day without points takes the mean price.
///
/// # Errors
/// [`ReadError`] where the history cannot be read.
pub fn savings(
    history: &History,
    days: &[EnergyDay],
    tariff: &Tariff,
    timezone: &TimeZone,
) -> Result<Savings, ReadError> {
    let mut all = BTreeMap::new();
    for day in days {
        let Some(diverted) = day.energy.diverted else { continue };
        let price = if let Some(price) = tariff.flat_saving() {
            price
        } else {
            price_of(&history.diverted_by_time(day.serial, day.date, timezone)?, tariff)
        };
        all.insert((day.serial, day.date), diverted * price);
    }
    Ok(Savings(all))
}

/// The mean of what a kWh saves, weighted by when it was diverted; over all half hours of a day where
/// that is unknown.
fn price_of(rises: &[(Time, f64)], tariff: &Tariff) -> f64 {
    let halves = (0..48_i8).map(|half| (time(half / 2, half % 2 * 30, 0, 0), 1.0));
    let halves: Vec<_> = halves.collect();
    let rises = if rises.is_empty() { &halves } else { rises };
    let weight: f64 = rises.iter().map(|(_, weight)| weight).sum();
    rises.iter().map(|(time, weight)| tariff.saving_at(*time) * weight).sum::<f64>() / weight
}

impl Savings {
    /// Returns what a device has saved in a period; `None` where nothing is known.
    #[must_use]
    pub fn of(&self, serial: u32, period: CalendarPeriod) -> Option<f64> {
        let dates = (serial, period.start)..=(serial, period.end());
        self.0.range(dates).map(|(_, saved)| *saved).reduce(|sum, saved| sum + saved)
    }

    /// Returns what each device has saved.
    #[must_use]
    pub fn by_device(&self) -> BTreeMap<u32, f64> {
        let mut all = BTreeMap::new();
        for ((serial, _), saved) in &self.0 {
            *all.entry(*serial).or_default() += saved;
        }
        all
    }
}
