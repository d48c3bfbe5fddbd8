//! Charts as SVG text, for reports and for pages.
//!
//! A chart carries classes. One that stands alone brings its own `<style>`, which follows the
//! reader's light or dark scheme; a page that has [`STYLE`] in its stylesheet colours charts itself.

mod calendar;
mod energy;
mod power;
mod svg;

use std::collections::BTreeMap;

pub use energy::energy_chart;
pub use power::{PowerSeries, power_chart};

use crate::settings::Tariff;

/// Colours of the classes: they stay apart for every kind of colour vision, by lightness too (after
/// Okabe and Ito), on light paper and on dark.
pub const STYLE: &str = include_str!("style.css");

/// Options of a chart.
#[derive(Debug, Clone)]
pub struct ChartOptions {
    /// Width in pixels; at least 280.
    pub width: u32,
    /// True if the chart brings its own style.
    pub standalone: bool,
    /// Names of devices, by serial number.
    pub names: BTreeMap<u32, String>,
    /// Savings by diverting, by serial number, in the tariff's currency.
    pub savings: BTreeMap<u32, f64>,
    /// The prices that the savings come from.
    pub tariff: Option<Tariff>,
}

impl Default for ChartOptions {
    fn default() -> Self {
        Self {
            width: 960,
            standalone: true,
            names: BTreeMap::new(),
            savings: BTreeMap::new(),
            tariff: None,
        }
    }
}

impl ChartOptions {
    /// Heading of a device.
    fn device(&self, serial: u32) -> String {
        match self.names.get(&serial) {
            Some(name) => format!("{name} ({serial})"),
            None => format!("Device {serial}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::energy::{Energy, EnergyDay, PeriodLength};

    /// Checks that the labels of each vertical axis, which `unit` ends, are 0 and multiples of the
    /// first above.
    #[track_caller]
    fn are_even(chart: &str, unit: &str, axes: usize) {
        let labels = chart.lines().filter(|line| line.contains("text-anchor=\"end\""));
        let labels: Vec<&str> = labels.map(|line| line.split(['<', '>']).nth(2).unwrap()).collect();
        let (last, panels) = labels.split_last().unwrap();
        assert_eq!(*last, unit);
        let panels: Vec<_> = panels.split(|label| *label == unit).collect();
        assert_eq!(panels.len(), axes);
        for panel in panels {
            let values = panel.iter().map(|label| label.parse().unwrap());
            let values: Vec<f64> = values.collect();
            assert!(values.len() >= 2 && values[1] > 0.0, "{panel:?}");
            for (value, tick) in values.iter().zip(0_u32..) {
                assert!((value - f64::from(tick) * values[1]).abs() < 1e-9, "{panel:?}");
            }
        }
    }

    #[test]
    fn labels_of_energy_are_even() {
        for kwh in [0.1, 0.5, 1.9, 2.0, 2.5, 2.9, 5.0, 8.0] {
            let energy = Energy {
                diverted: Some(kwh / 2.0),
                import: Some(kwh),
                export: Some(0.0),
                generation: Some(kwh),
            };
            let date = "2026-06-20".parse().unwrap();
            let day = EnergyDay { serial: 1, date, energy, complete: true };
            let chart = energy_chart(&[day], PeriodLength::Day, &ChartOptions::default());
            are_even(&chart, "kWh", 2);
        }
    }

    #[test]
    fn labels_of_power_are_even() {
        let start: Timestamp = "2026-06-20T00:00:00Z".parse().unwrap();
        let end = start + SignedDuration::from_hours(24);
        for watts in [0.0, 100.0, 150.0, 230.0, 1_300.0, 20_000.0] {
            let name = "Grid".to_owned();
            let series = PowerSeries { class: "grid-line", name, points: vec![(start, watts)] };
            let options = ChartOptions::default();
            let chart = power_chart("Today", &[series], start..end, &TimeZone::UTC, &options);
            are_even(&chart, "kW", 1);
        }
    }
}
