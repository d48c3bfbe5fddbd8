//! Energy of the day, published beside the decoded values.

use energi_decoders::Value;

use crate::energy::FlowKwh;

/// Keys of today's energy: taken from the grid, given to the grid, generated.
pub(super) const KEYS: [&str; 3] = ["import_kWh", "export_kWh", "generation_kWh"];

/// Names of today's energy.
pub(super) const LABELS: [&str; 3] = ["Imported today", "Exported today", "Generated today"];

/// Returns the values that are known, by their keys, in whole Wh.
pub(super) fn values(energy: FlowKwh) -> impl Iterator<Item = (&'static str, Value)> {
    let FlowKwh { import, export, generation } = energy;
    let values = KEYS.into_iter().zip([import, export, generation]);
    values.filter_map(|(key, kwh)| Some((key, Value::Float((kwh? * 1000.0).round() / 1000.0))))
}
