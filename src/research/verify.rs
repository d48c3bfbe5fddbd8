//! Declared decoders held against a capture.

use std::collections::BTreeSet;

use energi_decoders::custom::{CustomDecoder, Hex};
use energi_decoders::{Field, Layout, Raw};
use serde::Serialize;

use super::View;
use super::correlate::{self, Finding};
use super::metrics::KnownMetric;
use super::series::{RecordSelection, RecordSeries};

/// Values shown of a field, evenly spread.
const SAMPLES: usize = 5;

/// A larger share of values outside the range than this is worth a warning.
pub const OUTSIDE: f64 = 0.01;

/// A scale that differs more than this from the metric's is worth a warning.
const SCALE: f64 = 0.02;

/// The records that a declared decoder would read.
#[must_use]
pub fn selection(decoder: &CustomDecoder) -> RecordSelection {
    RecordSelection {
        length: decoder.length.0,
        record_type: decoder.record_type.map(|record_type| record_type.0),
        source: None,
    }
}

/// Check of a declared field against a capture.
#[derive(Debug, Clone, Serialize)]
pub struct FieldCheck {
    /// The field's key.
    pub key: String,
    /// Place and type of the field.
    #[serde(flatten)]
    pub view: View,
    /// The unit.
    pub unit: String,
    /// The least value.
    pub min: f64,
    /// The mean value.
    pub mean: f64,
    /// The greatest value.
    pub max: f64,
    /// Some values, evenly spread over the capture.
    pub samples: Vec<f64>,
    /// The share of values outside the declared range.
    pub outside: f64,
    /// The confirmed metric that it follows best, beyond chance.
    pub follows: Option<Follows>,
    /// Warnings about the field.
    pub warnings: Vec<String>,
}

/// The metric that a field follows.
#[derive(Debug, Clone, Serialize)]
pub struct Follows {
    /// The metric's key.
    pub key: String,
    /// Delay after the metric, in s.
    pub lag: f64,
    /// The share of the metric's variance that the field explains.
    pub explained: f64,
    /// Number of fields as good as this that are expected by chance.
    pub chance: f64,
    /// The metric is the field times this …
    pub factor: Option<f64>,
    /// … plus this.
    pub add: Option<f64>,
}

/// Check of a declared decoder against a capture.
#[derive(Debug, Clone, Serialize)]
pub struct DecoderCheck {
    /// The name.
    pub name: String,
    /// The length byte that it reads.
    pub length: Hex<u8>,
    /// Records that it reads.
    pub records: u64,
    /// The fields.
    pub fields: Vec<FieldCheck>,
    /// Warnings about the decoder as a whole.
    pub warnings: Vec<String>,
}

impl DecoderCheck {
    /// Returns how many things are strange.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.warnings.len() + self.fields.iter().map(|field| field.warnings.len()).sum::<usize>()
    }
}

/// Holds a decoder against its records: those of the kind that has most, of `records` in all.
#[must_use]
pub fn check(
    layout: &Layout,
    length: Hex<u8>,
    series: Option<&RecordSeries>,
    records: u64,
    devices: &BTreeSet<u32>,
    metrics: &[KnownMetric],
    max_lag: i64,
) -> DecoderCheck {
    let mut check = DecoderCheck {
        name: layout.name.to_string(),
        length,
        records,
        fields: Vec::new(),
        warnings: Vec::new(),
    };
    let Some(series) = series else {
        check.warnings.push("never matched: the capture has no such record".to_owned());
        return check;
    };
    let serial = View { offset: layout.serial, raw: Raw::U32 };
    let read = serial.reader();
    let known = series.records().filter(|(_, record)| {
        u32::try_from(read(record)).is_ok_and(|serial| devices.contains(&serial))
    });
    if !devices.is_empty() && known.count() * 2 < series.records().len() {
        check.warnings.push(format!(
            "the serial number at 0x{:02X} is no device's that confirmed packets name",
            layout.serial
        ));
    }
    check.fields = layout
        .fields
        .iter()
        .map(|field| check_field(layout, field, series, metrics, max_lag))
        .collect();
    check
}

#[expect(clippy::cast_precision_loss, reason = "records are few")]
fn check_field(
    layout: &Layout,
    field: &Field,
    series: &RecordSeries,
    metrics: &[KnownMetric],
    max_lag: i64,
) -> FieldCheck {
    let values: Vec<f64> = series
        .records()
        .filter_map(|(_, record)| Some(layout.value(field, &record)?.as_f64()))
        .collect();
    let count = values.len().max(1) as f64;
    let view = View { offset: field.offset, raw: field.raw };
    let (least, greatest) = field.metric.range;
    let outside = values.iter().filter(|value| !(least..=greatest).contains(*value)).count();
    let mut check = FieldCheck {
        key: field.key().to_owned(),
        view,
        unit: field.metric.unit.to_string(),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        mean: values.iter().sum::<f64>() / count,
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        samples: values.iter().step_by(values.len().div_ceil(SAMPLES).max(1)).copied().collect(),
        outside: outside as f64 / count,
        follows: None,
        warnings: Vec::new(),
    };
    if values.is_empty() {
        check.warnings.push("no record has its entry".to_owned());
        return check;
    }
    if check.min >= check.max {
        check.warnings.push("never changes".to_owned());
        return check;
    }
    if check.outside > OUTSIDE {
        let share = check.outside * 100.0;
        check.warnings.push(format!("{share:.1} % of its values are outside its range"));
    }
    if field.entry.is_some() {
        // Where it stands differs from record to record.
        return check;
    }
    let outcome = correlate::among(series, std::iter::once(view), metrics, max_lag);
    let Some(Finding { known, lag, explained, chance, fit, .. }) = outcome.findings.first() else {
        return check;
    };
    let key = &known.metric.key;
    let factor = fit.map(|fit| field.divide / fit.fitted_divide);
    if let Some((fit, factor)) = fit.zip(factor)
        && known.metric.unit == field.metric.unit
        && *explained > 1.0 - SCALE
        && (factor - 1.0).abs() > SCALE
    {
        check.warnings.push(format!(
            "{key} is {factor:.3} times this: divide by {} and add {} instead",
            fit.divide, fit.add
        ));
    }
    check.follows = Some(Follows {
        key: key.to_string(),
        lag: *lag,
        explained: *explained,
        chance: *chance,
        factor,
        add: fit.zip(factor).map(|(fit, factor)| fit.fitted_add - field.add * factor),
    });
    check
}
