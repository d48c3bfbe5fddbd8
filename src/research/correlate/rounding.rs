//! The numbers that engineers choose, where a fit leaves the choice.

use std::ops::RangeInclusive;

/// Divisors that protocols use, the likeliest first. Their inverses are as likely.
const DIVISORS: &[f64] = &[
    1.0, 10.0, 100.0, 1000.0, 10_000.0, 2.0, 60.0, 3600.0, 4.0, 5.0, 8.0, 16.0, 20.0, 50.0, 256.0,
    32.0, 64.0, 128.0, 512.0, 1024.0, 200.0, 500.0, 3.0, 6.0, 12.0, 24.0, 25.0, 30.0, 40.0, 120.0,
    250.0, 255.0, 65_536.0,
];

/// A fit this loose supports no number in particular.
const LOOSEST: f64 = 1.25;

/// The simplest divisor of a size within `bounds`, with `fitted`'s sign; `fitted` itself, to the
/// digits that the bounds give, where there is none.
pub(super) fn divide(fitted: f64, bounds: RangeInclusive<f64>) -> f64 {
    // Firmer than one part in a thousand no capture makes it: clocks and sensors differ.
    let (low, high) = (bounds.start() * 0.999, bounds.end() * 1.001);
    let firm = high / low < LOOSEST;
    let inverses = DIVISORS.iter().map(|divisor| divisor.recip());
    let sizes =
        DIVISORS.iter().copied().zip(inverses).flat_map(|(divisor, inverse)| [divisor, inverse]);
    let simple = sizes.into_iter().find(|size| firm && (low..=high).contains(size));
    simple.unwrap_or_else(|| coarsest(fitted.abs(), (high - low) / 10.0)).copysign(fitted)
}

/// The simplest summand within `tolerance` of `fitted`.
pub(super) fn add(fitted: f64, tolerance: f64) -> f64 {
    if fitted.abs() <= tolerance { 0.0 } else { coarsest(fitted, tolerance / 3.0) }
}

/// Returns how many digits a number is written with, zeros at its ends left out.
pub(super) fn digits(number: f64) -> u8 {
    let text = format!("{}", number.abs());
    let digits = text.replace('.', "");
    u8::try_from(digits.trim_matches('0').len()).unwrap_or(u8::MAX)
}

/// The number with the fewest digits within `tolerance`: multiples of 10, 5, 1, 0.5, 0.1 and so on.
fn coarsest(number: f64, tolerance: f64) -> f64 {
    for power in (-9..=6).rev() {
        for half in [1.0, 0.5] {
            // Dividing by a whole number gives the shortest decimal; multiplying would not.
            let (step, inverse) = (half * 10_f64.powi(power), 10_f64.powi(-power) / half);
            let steps = (number / step).round();
            let rounded = if power < 0 { steps / inverse } else { steps * step };
            if steps != 0.0 && (rounded - number).abs() <= tolerance {
                return rounded;
            }
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp)]
    fn the_simplest_number_that_the_fit_supports_is_taken() {
        for (fitted, bounds, expected) in [
            (9.98, 9.9..=10.1, 10.0),
            (-59.7, 59.0..=60.5, -60.0),
            (0.016_671, 0.016_60..=0.016_75, 1.0 / 60.0),
            (0.1, 0.1..=0.1, 0.1),
            (7.3731, 7.36..=7.386, 7.37),
            // Anything could be it.
            (12.0, 6.0..=30.0, 10.0),
        ] {
            assert_eq!(divide(fitted, bounds), expected, "{fitted}");
        }
        for (fitted, tolerance, expected) in [
            (0.3, 0.5, 0.0),
            (-39.9, 0.5, -40.0),
            (273.2, 0.2, 273.2),
            (20.01, 0.05, 20.0),
            (0.123_456, 0.001, 0.1235),
        ] {
            assert_eq!(add(fitted, tolerance), expected, "{fitted}");
        }
        let numbers = [(0.0, 0), (-40.0, 1), (48.64, 4), (0.05, 1), (1_000_500.0, 5)];
        for (number, expected) in numbers {
            assert_eq!(digits(number), expected, "{number}");
        }
    }
}
