//! Numbers for people: as long as they mean something.

/// An expected number, in the digits that matter.
pub(super) fn chance(chance: f64) -> String {
    match chance {
        _ if chance < 1e-12 => "< 1e-12".to_owned(),
        _ if chance < 0.001 => format!("{chance:.0e}"),
        _ if chance < 1.0 => format!("{chance:.3}"),
        _ => format!("{chance:.0}"),
    }
}

/// A share; close to all of it the nines count.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 99.0 && percent < 99.995 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// A number in four digits at most, unless it is whole.
pub(super) fn short(number: f64) -> String {
    if number.fract() == 0.0 || number.abs() >= 1000.0 {
        return format!("{number:.0}");
    }
    let text = format!("{number:.*}", decimals(number.abs() / 1000.0));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number and its standard error, both to the error's second digit.
pub(super) fn with_error(number: f64, error: f64) -> (String, String) {
    let decimals = decimals((error / 10.0).max(number.abs() * 1e-6).max(1e-9));
    (format!("{number:.decimals$}"), format!("{error:.decimals$}"))
}

/// The decimals that show a number of this size.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 9")]
fn decimals(size: f64) -> usize {
    (-size.log10().floor()).clamp(0.0, 9.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_mean_something() {
        assert_eq!(short(1.0 / 60.0), "0.01667");
        assert_eq!(
            (short(100.0), short(7.3731), short(-0.5)),
            ("100".into(), "7.373".into(), "-0.5".into())
        );
        assert_eq!(with_error(60.0213, 0.0471), ("60.021".into(), "0.047".into()));
        assert_eq!(
            (chance(3e-20), chance(4.2e-5), chance(0.02), chance(133.7)),
            ("< 1e-12".into(), "4e-5".into(), "0.020".into(), "134".into())
        );
        assert_eq!(
            (percent(0.9998), percent(0.63), percent(1.0)),
            ("99.98 %".into(), "63 %".into(), "100 %".into())
        );
    }
}
