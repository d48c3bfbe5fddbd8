//! Numbers and times for people.

use energi_decoders::Value;
use jiff::SignedDuration;

use crate::energy::grouped;

/// A power: whole watts below a kilowatt.
pub(super) fn watts(watts: f64) -> String {
    if watts.abs() < 1_000.0 {
        format!("{:.0} W", watts.round() + 0.0)
    } else {
        format!("{:.2} kW", watts / 1_000.0)
    }
}

/// A current.
pub(super) fn amperes(amperes: f64) -> String {
    format!("{:.1} A", (amperes * 10.0).round() / 10.0 + 0.0)
}

/// An energy, or a dash while it is unknown.
pub(super) fn kwh(kwh: Option<f64>) -> String {
    kwh.map_or_else(|| "–".to_owned(), |kwh| format!("{} kWh", grouped(kwh, 2)))
}

/// A value with its unit.
pub(super) fn value(value: Value, unit: &str) -> String {
    match value {
        Value::Flag(true) => "on".to_owned(),
        Value::Flag(false) => "off".to_owned(),
        value if unit.is_empty() => value.to_string(),
        value => format!("{value} {unit}"),
    }
}

/// Returns how long ago something was, in its largest unit.
pub(super) fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    match seconds {
        0..=59 => format!("{seconds} s ago"),
        60..=3_599 => format!("{} min ago", seconds / 60),
        3_600..=86_399 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_short() {
        let texts = [0.0, -0.2, -12.0, 999.0, 1_000.0, -3_456.0].map(watts);
        assert_eq!(texts, ["0 W", "0 W", "-12 W", "999 W", "1.00 kW", "-3.46 kW"]);
    }

    #[test]
    fn ages_are_in_their_largest_unit() {
        let texts = [-1, 59, 60, 7_300, 200_000].map(|s| age(SignedDuration::from_secs(s)));
        assert_eq!(texts, ["0 s ago", "59 s ago", "1 min ago", "2 h ago", "2 d ago"]);
    }
}
