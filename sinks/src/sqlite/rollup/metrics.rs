//! The confirmed metrics, whose minute means stay forever.
//!
//! Values are kept as the whole numbers that the devices send, so that sums are exact: a value is
//! its raw number divided by [`MetricSlot::divide`].

/// Column of the minute sums of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sqlite) struct MetricSlot {
    /// The key in every output.
    pub(in crate::sqlite) key: &'static str,
    /// The value is the raw number divided by this.
    pub(in crate::sqlite) divide: i32,
}

const fn slot(key: &'static str, divide: i32) -> MetricSlot {
    MetricSlot { key, divide }
}

/// Number of confirmed metrics.
pub(in crate::sqlite) const SLOTS: usize = 12;

/// The slot of `grid_pwr`.
pub(in crate::sqlite) const GRID: usize = 0;

/// The slot of `gen_pwr`.
pub(in crate::sqlite) const GENERATION: usize = 1;

/// Every confirmed metric. The order is that of the columns of `minute_sum` and `tally`: a new
/// confirmed metric is added at the end, with a migration.
pub(in crate::sqlite) const METRICS: [MetricSlot; SLOTS] = [
    slot("grid_pwr", 1),
    slot("gen_pwr", 1),
    slot("divert_pwr", 1),
    slot("frequency", 100),
    slot("voltage", 10),
    slot("diverted_kWh", 100),
    slot("max_power", 1),
    slot("divert_cur", 100),
    slot("stopped", 1),
    slot("boost", 1),
    slot("heater1", 1),
    slot("heater2", 1),
];

/// The slot of `key`; `None` for an experimental metric.
pub(in crate::sqlite) fn slot_of(key: &str) -> Option<usize> {
    METRICS.iter().position(|metric| metric.key == key)
}

/// Keys of the metrics that have minute means.
#[cfg(feature = "web")]
pub(crate) fn minute_keys() -> impl Iterator<Item = &'static str> {
    METRICS.iter().map(|metric| metric.key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use energi_decoders::DecoderTable;

    use super::*;

    #[test]
    fn every_confirmed_metric_has_a_minute_mean() {
        let table = DecoderTable::confirmed();
        let fields = table.iter().flat_map(|decoder| decoder.layout().fields.iter());
        let confirmed: BTreeMap<_, _> =
            fields.map(|field| (field.key().to_owned(), field.divide)).collect();
        let kept: BTreeMap<_, _> =
            METRICS.iter().map(|m| (m.key.to_owned(), f64::from(m.divide))).collect();
        assert_eq!(confirmed, kept, "a new confirmed metric needs a slot and a migration");
        assert_eq!((slot_of("grid_pwr"), slot_of("gen_pwr")), (Some(GRID), Some(GENERATION)));
    }
}
