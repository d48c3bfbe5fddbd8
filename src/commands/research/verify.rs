//! `energi-gateway research verify`: the custom decoders of a configuration against a capture.

use std::path::PathBuf;

use anstyle::AnsiColor;
use energi_sinks::settings::Period;

use super::input::Captures;
use super::output::{self, Cell, Column, Format, NONE};
use super::selected;
use crate::commands::amount;
use crate::commands::line::{BOLD, DIM, in_colour};
use crate::platform::exit::{Exit, Failure};
use crate::research::metrics::Metrics;
use crate::research::series::Gathered;
use crate::research::verify::{self, DecoderCheck, FieldCheck};

/// Arguments of `research verify`.
///
/// The exit code is 0 without warnings, otherwise 65. Warnings: a decoder that never matched, a
/// field that never changes, values outside the range, a different scale.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    captures: Captures,
    /// The configuration with the custom decoders to check
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Longest time between a metric and a field that follows it
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = amount::<Period>)]
    max_lag: Period,
    /// The format of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let custom = super::super::configuration(Some(&args.config))?.decoders.custom;
    if custom.is_empty() {
        let message = format!(
            "{}: `decoders.custom` is empty: there is nothing to verify",
            args.config.display()
        );
        return Err(Failure::message(Exit::Config, message));
    }
    let mut metrics = Metrics::default();
    let mut gathered: Vec<_> =
        custom.iter().map(|decoder| Gathered::new(verify::selection(decoder))).collect();
    let ended = args.captures.read(|frame, time| {
        for record in frame.records() {
            metrics.add(&record, time, frame.source());
            for gathered in &mut gathered {
                gathered.add(&record, time, frame.source());
            }
        }
    })?;
    let mut checks = Vec::new();
    let mut warnings = 0;
    for (decoder, gathered) in custom.iter().zip(gathered) {
        // The configuration has been checked with them.
        let Ok(layout) = decoder.layout() else { continue };
        let most = gathered.most();
        let series = most.as_ref().map(|(series, _)| series);
        let records =
            most.iter().flat_map(|(series, others)| std::iter::once(series).chain(others));
        let records = records.map(|series| series.count).sum();
        let device = series.and_then(|series| metrics.device_at(series.key.source));
        let known = device.map(|device| metrics.of(device)).unwrap_or_default();
        let max_lag = selected::microseconds(args.max_lag);
        let check = verify::check(
            &layout,
            decoder.length,
            series,
            records,
            metrics.devices(),
            &known,
            max_lag,
        );
        warnings += check.warnings();
        checks.push(check);
    }
    let text = match args.format {
        Format::Table => checks.iter().map(text).collect::<Vec<_>>().join("\n"),
        Format::Json => output::json(&checks)?,
    };
    super::super::print(text.as_bytes())?;
    ended?;
    match warnings {
        0 => Ok(()),
        1 => Err(Failure::message(Exit::Data, "1 warning")),
        _ => Err(Failure::message(Exit::Data, format!("{warnings} warnings"))),
    }
}

fn text(check: &DecoderCheck) -> String {
    const COLUMNS: &[Column] = &[
        Column::text("Field"),
        Column::numbers("Min"),
        Column::numbers("Mean").spare(2),
        Column::numbers("Max"),
        Column::text("Unit"),
        Column::numbers("Outside"),
        Column::text("Samples").spare(1),
        Column::text("Follows"),
    ];
    let mut text = format!("{} ({}): {} records\n", check.name, check.length, check.records);
    if !check.fields.is_empty() {
        text.push('\n');
        text += &output::table(COLUMNS, check.fields.iter().map(cells));
    }
    let own = check.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    let fields = check.fields.iter().flat_map(|field| {
        field.warnings.iter().map(|warning| format!("warning: {}: {warning}\n", field.key))
    });
    let warnings: String = own.chain(fields).collect();
    if warnings.is_empty() { text } else { format!("{text}\n{warnings}") }
}

fn cells(check: &FieldCheck) -> Vec<Cell> {
    let number = |value: &f64| format!("{}", (value * 100.0).round() / 100.0 + 0.0);
    let follows = check.follows.as_ref().map(|follows| {
        let line = follows.factor.zip(follows.add).map(|(factor, add)| {
            let sign = if add < -0.005 { '−' } else { '+' };
            format!(" = {factor:.3} × this {sign} {:.2}", add.abs())
        });
        let explained = follows.explained * 100.0;
        format!("{}{} ({explained:.1} %)", follows.key, line.unwrap_or_default())
    });
    let outside = if check.outside > verify::OUTSIDE { AnsiColor::Red } else { AnsiColor::Green };
    vec![
        Cell::styled(BOLD, &check.key),
        number(&check.min).into(),
        number(&check.mean).into(),
        number(&check.max).into(),
        if check.unit.is_empty() { NONE } else { &check.unit }.into(),
        Cell::styled(in_colour(outside), format!("{:.1} %", check.outside * 100.0)),
        Cell::styled(DIM, check.samples.iter().map(number).collect::<Vec<_>>().join(" ")),
        follows.unwrap_or_else(|| NONE.to_owned()).into(),
    ]
}
