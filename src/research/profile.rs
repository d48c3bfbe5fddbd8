//! Behaviour of each byte of a record.

use std::borrow::Cow;

use energi_decoders::Raw;
use energi_decoders::custom::Hex;
use serde::Serialize;

use super::series::RecordSeries;
use super::{View, correlate};

/// Changes that it takes to call something a counter.
const FEWEST_CHANGES: usize = 8;

/// Values that a flag-like byte takes at most.
const FEW_VALUES: usize = 4;

/// The mean step of a number that is one, as a share of its range, at most. That of noise is a
/// third.
const SMOOTH: f64 = 0.15;

/// Behaviour of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ByteClass {
    /// The byte never changes.
    Constant,
    /// The byte moves in one direction, in small steps.
    Counter,
    /// The byte has few values, or few of its bits change.
    FlagLike,
    /// Anything else.
    Changing,
}

impl ByteClass {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Counter => "counter",
            Self::FlagLike => "flag-like",
            Self::Changing => "changing",
        }
    }
}

/// A wider number that may begin at a byte.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WideNumber {
    /// Name of the type.
    pub r#type: Cow<'static, str>,
    /// The least number.
    pub min: i64,
    /// The greatest number.
    pub max: i64,
    /// True if it behaves as one number would: its steps are small, and its lower half carries
    /// into its upper one.
    pub plausible: bool,
}

/// One byte over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByteProfile {
    /// The protocol offset.
    pub offset: Hex<u8>,
    /// Behaviour of the byte.
    pub class: ByteClass,
    /// The least value.
    pub min: i64,
    /// The greatest value.
    pub max: i64,
    /// Number of different values.
    pub distinct: usize,
    /// The bits that change.
    pub bits: Hex<u8>,
    /// Shannon's entropy of its values, in bits to the thousandth: 0 for a constant, 8 for noise.
    pub entropy: f64,
    /// Number of changes from one record to the next.
    pub changes: usize,
    /// The wider numbers that begin with it, where they fit the record.
    pub wide: Vec<WideNumber>,
    /// The built-in fields that it belongs to.
    #[serde(rename = "fields")]
    pub named: Vec<&'static str>,
}

/// Every byte of a series from the device number on.
#[must_use]
pub fn bytes(series: &RecordSeries) -> Vec<ByteProfile> {
    let length = series.key.length;
    let places = View::numbers(length).filter(|view| view.raw == Raw::U8);
    places.map(|view| byte(series, view)).collect()
}

fn byte(series: &RecordSeries, view: View) -> ByteProfile {
    let column = series.column(view);
    let mut counts = [0_u32; 256];
    for value in &column {
        if let Some(count) = usize::try_from(*value).ok().and_then(|value| counts.get_mut(value)) {
            *count += 1;
        }
    }
    let steps: Vec<i64> =
        column.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step != 0).collect();
    let first = column.first().copied().unwrap_or(0);
    let bits = column.iter().fold(0, |bits, value| bits | (value ^ first));
    let distinct = counts.iter().filter(|count| **count > 0).count();
    let bits = u8::try_from(bits).unwrap_or(u8::MAX);
    let types = [Raw::U16, Raw::I16, Raw::U32, Raw::I32];
    let wide = types.into_iter().map(|raw| View { offset: view.offset, raw });
    ByteProfile {
        offset: Hex(view.offset),
        class: class(&steps, distinct, bits),
        min: column.iter().copied().min().unwrap_or(0),
        max: column.iter().copied().max().unwrap_or(0),
        distinct,
        bits: Hex(bits),
        entropy: (entropy(&counts, column.len()) * 1000.0).round() / 1000.0,
        changes: steps.len(),
        wide: wide.filter_map(|view| wider(series, view)).collect(),
        named: correlate::named(&series.key, view),
    }
}

fn class(steps: &[i64], distinct: usize, bits: u8) -> ByteClass {
    // A byte that wraps has made a small step the other way.
    let small = |step: &i64| match step {
        -255..=-129 => step + 256,
        129..=255 => step - 256,
        _ => *step,
    };
    let up = steps.iter().map(small).filter(|step| (1..=32).contains(step)).count();
    let down = steps.iter().map(small).filter(|step| (-32..=-1).contains(step)).count();
    let one_way = up.max(down) * 20 >= steps.len() * 19;
    if distinct <= 1 {
        ByteClass::Constant
    } else if steps.len() >= FEWEST_CHANGES && distinct > FEW_VALUES && one_way {
        ByteClass::Counter
    } else if distinct <= FEW_VALUES || bits.count_ones() <= 2 {
        ByteClass::FlagLike
    } else {
        ByteClass::Changing
    }
}

fn entropy(counts: &[u32; 256], rows: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "records are few")]
    let rows = rows.max(1) as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / rows);
    // Adding zero makes a negative zero positive.
    -shares.map(|share| share * share.log2()).sum::<f64>() + 0.0
}

/// A wider number, where it lies inside the record.
fn wider(series: &RecordSeries, view: View) -> Option<WideNumber> {
    View::numbers(series.key.length).find(|other| *other == view)?;
    let column = series.column(view);
    let (min, max) = (column.iter().copied().min()?, column.iter().copied().max()?);
    let half = i64::from(view.raw.size()) * 4;
    let (upper, lower) = (|v: &i64| v >> half, |v: &i64| v & ((1 << half) - 1));
    let moves =
        |part: &dyn Fn(&i64) -> i64| column.windows(2).any(|pair| part(&pair[0]) != part(&pair[1]));
    let (mut wraps, mut carried, mut total) = (0_u32, 0_u32, 0.0);
    for pair in column.windows(2) {
        let low = lower(&pair[1]) - lower(&pair[0]);
        let high = upper(&pair[1]) - upper(&pair[0]);
        if low.abs() > 1 << (half - 1) {
            wraps += 1;
            carried += u32::from(high.signum() == -low.signum());
        }
        #[expect(clippy::cast_precision_loss, reason = "32 bits")]
        let step = (pair[1] - pair[0]).abs() as f64;
        total += step;
    }
    #[expect(clippy::cast_precision_loss, reason = "32 bits, and records are few")]
    let smooth = total / (column.len().max(2) - 1) as f64 <= SMOOTH * (max - min) as f64;
    let one_number = wraps > 0 && 2 * carried > wraps;
    let plausible = smooth && one_number && moves(&upper) && moves(&lower);
    // An unsigned reading of a number that crosses zero jumps from end to end.
    Some(WideNumber { r#type: view.raw.name(), min, max, plausible })
}
