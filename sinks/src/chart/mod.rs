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
