//! Reports for programs.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use crate::history::io_error;
use energi_sinks::energy::{CalendarPeriod, Energy, EnergyDay, PeriodLength, PeriodTotal, totals};
use energi_sinks::sqlite::DAILY_ENERGY;

/// A row of the history's public table, its columns in its order.
#[derive(Serialize)]
struct DayRecord {
    serial: u32,
    #[serde(serialize_with = "text")]
    date: CalendarPeriod,
    diverted_kwh: Option<f64>,
    import_kwh: Option<f64>,
    export_kwh: Option<f64>,
    generation_kwh: Option<f64>,
    complete: u8,
}

impl From<&EnergyDay> for DayRecord {
    fn from(day: &EnergyDay) -> Self {
        let Energy { diverted, import, export, generation } = day.energy;
        Self {
            serial: day.serial,
            date: CalendarPeriod::of(day.date, PeriodLength::Day),
            diverted_kwh: meaningful(diverted),
            import_kwh: meaningful(import),
            export_kwh: meaningful(export),
            generation_kwh: meaningful(generation),
            complete: day.complete.into(),
        }
    }
}

#[derive(Serialize)]
struct TotalRecord {
    serial: u32,
    #[serde(serialize_with = "text")]
    period: CalendarPeriod,
    diverted_kwh: Option<f64>,
    import_kwh: Option<f64>,
    export_kwh: Option<f64>,
    generation_kwh: Option<f64>,
    days: u32,
    complete_days: u32,
}

const TOTAL_COLUMNS: [&str; 8] = [
    "serial",
    "period",
    "diverted_kwh",
    "import_kwh",
    "export_kwh",
    "generation_kwh",
    "days",
    "complete_days",
];

impl From<&PeriodTotal> for TotalRecord {
    fn from(total: &PeriodTotal) -> Self {
        let Energy { diverted, import, export, generation } = total.energy;
        Self {
            serial: total.serial,
            period: total.period,
            diverted_kwh: meaningful(diverted),
            import_kwh: meaningful(import),
            export_kwh: meaningful(export),
            generation_kwh: meaningful(generation),
            days: total.days,
            complete_days: total.complete_days,
        }
    }
}

/// Rounds to the watt-hour: what lies below is noise of the sums.
fn meaningful(kwh: Option<f64>) -> Option<f64> {
    // Adding zero makes a negative zero positive.
    kwh.map(|kwh| (kwh * 1000.0).round() / 1000.0 + 0.0)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn text<S: Serializer>(period: &CalendarPeriod, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(period)
}

pub(super) fn write_csv(
    days: &[EnergyDay],
    step: PeriodLength,
    out: &mut dyn Write,
) -> io::Result<()> {
    match step {
        PeriodLength::Day => csv(DAILY_ENERGY.columns, days.iter().map(DayRecord::from), out),
        _ => csv(&TOTAL_COLUMNS, totals(days, step).iter().map(TotalRecord::from), out),
    }
}

fn csv(
    columns: &[&str],
    records: impl Iterator<Item = impl Serialize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    // The header stands where there are no records too.
    let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(out);
    csv.write_record(columns).map_err(io_error)?;
    for record in records {
        csv.serialize(record).map_err(io_error)?;
    }
    csv.flush()
}

pub(super) fn write_json(
    days: &[EnergyDay],
    step: PeriodLength,
    out: &mut dyn Write,
) -> io::Result<()> {
    match step {
        PeriodLength::Day => json(days.iter().map(DayRecord::from), out),
        _ => json(totals(days, step).iter().map(TotalRecord::from), out),
    }
}

/// One array, an object a line.
fn json(records: impl Iterator<Item = impl Serialize>, out: &mut dyn Write) -> io::Result<()> {
    let mut separator = "[";
    for record in records {
        writeln!(out, "{separator}")?;
        serde_json::to_writer(&mut *out, &record)?;
        separator = ",";
    }
    // Without a record the bracket is still to be opened.
    out.write_all(if separator == "[" { b"[]\n" } else { b"\n]\n" })
}

#[cfg(test)]
mod tests {
    use super::meaningful;

    #[test]
    fn sums_carry_no_noise_of_floating_point() {
        assert_eq!(meaningful(Some(0.1 + 0.2)), Some(0.3));
        assert_eq!(meaningful(Some(1.234_567)), Some(1.235));
        assert!(meaningful(Some(-0.000_1)).is_some_and(f64::is_sign_positive));
        assert_eq!(meaningful(None), None);
    }
}
