//! The daily energy of the history, beside what really happened.

use energi_gateway::capture::simulator::truth::{DayTruth, Joules};
use rusqlite::Connection;

use crate::feed::Feed;

/// Largest difference of a day's energy from the truth, in kWh: the last digit of the device's own
/// counter, and where in a second a power was measured.
const ROUNDING: f64 = 0.02;

/// Holds every date to the truth.
pub(crate) fn is_true(history: &Connection, feed: &Feed, log: &str) {
    assert!(!log.contains("panicked") && !log.contains("damaged"), "{log}");
    let check: String = history.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let truth = feed.truth();
    assert!(!truth.is_empty());
    for day in truth {
        let DayTruth { serial, date, diverted, import, export, generation } = day;
        let query = "SELECT diverted_kwh, import_kwh, export_kwh, generation_kwh, complete
             FROM daily_energy WHERE serial = ? AND date = ?";
        let found = history.query_row(query, (serial, date.to_string()), |row| {
            Ok(([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?], row.get::<_, i64>(4)?))
        });
        let (energies, complete): ([f64; 4], _) = found.unwrap();
        assert_eq!(complete, 1, "{date} is complete");
        for (found, truth) in energies.into_iter().zip([diverted, import, export, generation]) {
            let truth = kwh(truth);
            assert!((found - truth).abs() <= ROUNDING, "{date}: {found} of {truth} kWh");
        }
    }
}

fn kwh(energy: Joules) -> f64 {
    f64::from(u32::try_from(energy.watt_hours()).unwrap()) / 1000.0
}
