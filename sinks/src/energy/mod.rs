//! Energy from powers and by period: pure functions that the history, the reports and live outputs
//! share. Nothing here reads a clock, a file or a channel.

mod flow;
mod period;
mod today;

pub use flow::{Flows, HOLD, held, milliwatt_hours};
pub use period::{
    CalendarPeriod, Energy, EnergyDay, PeriodLength, PeriodTotal, totals, without_energy,
};
#[cfg(feature = "sqlite")]
pub(crate) use today::midnights;
pub use today::{FlowKwh, TodaysFlows};

/// Writes a number with separators of thousands: `12,345.67`.
#[must_use]
pub fn grouped(value: f64, decimals: usize) -> String {
    // Adding zero makes a negative zero positive.
    let mut text = format!("{:.decimals$}", value + 0.0);
    let sign = usize::from(text.starts_with('-'));
    let mut group = text.find('.').unwrap_or(text.len());
    while group > sign + 3 {
        group -= 3;
        text.insert(group, ',');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        let texts = [(0.0, 2), (-0.0, 1), (999.5, 1), (1_234.5, 2), (-1_234_567.0, 0)]
            .map(|(value, decimals)| super::grouped(value, decimals));
        assert_eq!(texts, ["0.00", "0.0", "999.5", "1,234.50", "-1,234,567"]);
    }
}
