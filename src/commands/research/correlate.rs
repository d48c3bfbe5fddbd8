//! `energi-gateway research correlate`: which bytes follow a known metric.

use std::fmt::Write;
use std::path::PathBuf;

use anstyle::AnsiColor;
use energi_decoders::custom::CustomDecoder;
use energi_sinks::settings::Period;
use serde::Serialize;

use super::input::Captures;
use super::number::{chance, percent, short, with_error};
use super::output::{self, Cell, Column, Format, NONE};
use super::outside;
use super::selected::{self, Records, Selected};
use crate::commands::amount;
use crate::commands::line::{BOLD, DIM, in_colour};
use crate::platform::exit::{Exit, Failure};
use crate::research::correlate::{self, Finding, Fit, SearchOutcome};
use crate::research::declare;
use crate::research::exact::{self, ExactMatch};
use crate::research::metrics::{KnownMetric, Metrics};

/// Arguments of `research correlate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    captures: Captures,
    #[command(flatten)]
    records: Records,
    #[command(flatten)]
    known: KnownArgs,
    /// Find words that equal the series of a file after a scale and a shift, in 95 % of the points
    /// at which the series changes
    #[arg(long, conflicts_with = "with")]
    exact: bool,
    /// The factors that --exact tries for a raw number [default: 1, 60, 1/60, and powers of ten from
    /// 1000 to 0.001]
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', requires = "exact")]
    scale: Vec<f64>,
    /// The serial number of the metric's device [default: the device that sends the records]
    #[arg(long, value_name = "N")]
    serial: Option<u32>,
    /// Longest time between a metric and a record that is compared with it
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = amount::<Period>)]
    max_lag: Period,
    /// The format of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Metrics that records are compared with.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct KnownArgs {
    /// The confirmed metric to look for, such as `divert_pwr`, or `all`
    #[arg(long, value_name = "KEY")]
    with: Option<String>,
    /// Other time series: CSV with the heading `time,name,value`, or a JSON array of such objects
    #[arg(long, value_name = "FILE")]
    series: Option<PathBuf>,
    /// The cloud's minute history, as its public clients save it: JSON, UTC
    #[arg(long, value_name = "FILE")]
    cloud: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let outside = match (&args.known.series, &args.known.cloud) {
        (Some(path), _) => outside::numbers(path)?,
        (None, Some(path)) => outside::cloud(path)?,
        (None, None) => Vec::new(),
    };
    let keys = Metrics::keys();
    let with = args.known.with.as_deref().unwrap_or("all");
    if with != "all" && !keys.contains(with) {
        let keys: Vec<_> = keys.into_iter().collect();
        let message =
            format!("--with {with}: write `all` or a confirmed metric: {}", keys.join(", "));
        return Err(Failure::message(Exit::Usage, message));
    }
    let selected = selected::gather(&args.captures, args.records.selection())?;
    if args.exact {
        return equal(args, selected, &outside);
    }
    let mut known = if outside.is_empty() { selected.known(args.serial)? } else { outside };
    known.retain(|known| args.known.with.is_none() || with == "all" || with == known.metric.key);
    if known.is_empty() {
        let message = format!("the capture does not contain `{with}`");
        return Err(Failure::message(Exit::Data, message));
    }
    let outcome = correlate::search(&selected.series, &known, selected::microseconds(args.max_lag));
    let answer = Answer::new(&selected, &known, &outcome);
    let text = match args.format {
        Format::Table => answer.text(),
        Format::Json => output::json(&answer)?,
    };
    super::super::print(text.as_bytes())?;
    selected.ended
}

/// Finds the words that equal a series from outside.
fn equal(args: &Args, selected: Selected, outside: &[KnownMetric]) -> Result<(), Failure> {
    let scales = if args.scale.is_empty() { &exact::SCALES[..] } else { &args.scale };
    let series = &selected.series;
    let matches = exact::search(series, outside, scales);
    let text = match args.format {
        Format::Json => output::json(&matches)?,
        Format::Table if matches.is_empty() => "No word equals any of the series.\n".to_owned(),
        Format::Table => {
            const COLUMNS: &[Column] = &[
                Column::text("Offset"),
                Column::text("Type"),
                Column::text("Equals"),
                Column::numbers("Times"),
                Column::numbers("Shift"),
                Column::numbers("Equal"),
                Column::numbers("Points").spare(2),
                Column::text("Field").spare(1),
            ];
            let rows = matches.iter().map(equal_cells);
            let serial = declare::serial_offset(series, selected.metrics.devices());
            let cloud = args.known.cloud.is_some();
            let decoder = declare::exact(series, &matches, serial, selected.other_types, cloud);
            format!(
                "{}\nTo see it in every output, put this into the configuration:\n\n{}",
                output::table(COLUMNS, rows),
                declare::yaml(&decoder)
            )
        }
    };
    super::super::print(text.as_bytes())?;
    selected.ended
}

fn equal_cells(found: &ExactMatch) -> Vec<Cell> {
    let fields = if found.named.is_empty() { NONE.into() } else { found.named.join(", ") };
    vec![
        Cell::styled(BOLD, format!("0x{:02X}", found.view.offset)),
        found.view.raw.name().into_owned().into(),
        Cell::styled(in_colour(AnsiColor::Green), &found.name),
        Cell::styled(BOLD, short(found.scale)),
        format!("{:+}", found.shift).into(),
        percent(found.share).into(),
        found.points.to_string().into(),
        Cell::styled(DIM, fields),
    ]
}

/// The answer, as JSON gives it.
#[derive(Debug, Serialize)]
struct Answer {
    length: String,
    record_type: String,
    source: Option<String>,
    records: u64,
    device: Option<u32>,
    /// Combinations of reading, metric and lag.
    tries: u64,
    /// Below this, a chance is significant.
    significant: f64,
    findings: Vec<Row>,
    best_of_the_rest: Option<Rest>,
    #[serde(skip)]
    blocks: usize,
    /// Offset of the device's serial number.
    serial: Option<String>,
    decoder: Option<CustomDecoder>,
}

/// The best candidate that is not significant.
#[derive(Debug, Serialize)]
struct Rest {
    offset: String,
    r#type: String,
    key: String,
    chance: f64,
}

/// A finding, as JSON gives it.
#[derive(Debug, Serialize)]
struct Row {
    offset: String,
    r#type: String,
    key: String,
    lag: f64,
    explained: f64,
    chance: f64,
    fit: Option<Fit>,
    inverted: bool,
    /// Other readings of the same bytes.
    others: Vec<String>,
    /// The types that read the same numbers from the same byte on.
    same: Vec<String>,
    fields: Vec<&'static str>,
}

impl Row {
    fn new(finding: &Finding<'_>) -> Self {
        Self {
            offset: format!("0x{:02X}", finding.view.offset),
            r#type: finding.view.raw.name().into_owned(),
            key: finding.known.metric.key.to_string(),
            lag: (finding.lag * 1000.0).round() / 1000.0 + 0.0,
            explained: finding.explained,
            chance: finding.chance,
            fit: finding.fit,
            inverted: finding.inverted,
            others: finding.others.iter().map(ToString::to_string).collect(),
            same: finding.same.iter().map(|view| view.raw.name().into_owned()).collect(),
            fields: finding.named.clone(),
        }
    }

    fn cells(&self) -> Vec<Cell> {
        let fit = self.fit.as_ref();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        let raw = fit.map(|fit| {
            let (divide, divide_error) = with_error(fit.fitted_divide, fit.divide_error);
            let (add, add_error) = with_error(fit.fitted_add.abs(), fit.add_error);
            let sign = if fit.fitted_add < 0.0 { '−' } else { '+' };
            format!("/ {divide} ± {divide_error} {sign} {add} ± {add_error}")
        });
        let inverted = self.inverted.then(|| "inverted".to_owned());
        let found = in_colour(AnsiColor::Green);
        vec![
            Cell::styled(BOLD, &self.offset),
            self.r#type.clone().into(),
            Cell::styled(found, &self.key),
            format!("{:+.1} s", self.lag).into(),
            percent(self.explained).into(),
            chance(self.chance).into(),
            Cell::styled(BOLD, or_none(fit.map(|fit| short(fit.divide)))),
            Cell::styled(BOLD, or_none(fit.map(|fit| short(fit.add)))),
            Cell::styled(DIM, or_none(raw.or(inverted))),
            if self.fields.is_empty() { NONE.to_owned() } else { self.fields.join(", ") }.into(),
        ]
    }
}

impl Answer {
    fn new(selected: &Selected, known: &[KnownMetric], outcome: &SearchOutcome<'_>) -> Self {
        let series = &selected.series;
        let serial = declare::serial_offset(series, selected.metrics.devices());
        Self {
            length: format!("0x{:02X}", series.key.length),
            record_type: format!("0x{:04X}", series.key.record_type),
            source: series.key.source.map(|source| source.to_string()),
            records: series.count,
            device: known.first().map(|known| known.serial),
            tries: outcome.tries,
            significant: correlate::SIGNIFICANT,
            findings: outcome.findings.iter().map(Row::new).collect(),
            best_of_the_rest: outcome.runner_up.as_ref().map(|rest| Rest {
                offset: format!("0x{:02X}", rest.view.offset),
                r#type: rest.view.raw.name().into_owned(),
                key: rest.key.clone(),
                chance: rest.chance,
            }),
            blocks: outcome.blocks,
            serial: serial.map(|offset| format!("0x{offset:02X}")),
            decoder: declare::decoder(series, &outcome.findings, serial, selected.other_types),
        }
    }

    fn text(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::text("Offset"),
            Column::text("Type"),
            Column::text("Follows"),
            Column::numbers("Lag").spare(3),
            Column::numbers("Explains"),
            Column::numbers("Chance"),
            Column::numbers("Divide"),
            Column::numbers("Add"),
            Column::text("As fitted").spare(1),
            Column::text("Field").spare(2),
        ];
        let mut text = format!(
            "{} records {} of type {}{}, {} tries.\n\n",
            self.records,
            self.length,
            self.record_type,
            self.source.as_ref().map_or_else(String::new, |source| format!(" from {source}")),
            self.tries
        );
        if self.findings.is_empty() {
            text += "Nothing is significant.";
            if let Some(rest) = &self.best_of_the_rest {
                let Rest { r#type, offset, key, .. } = rest;
                let chance = chance(rest.chance);
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    " The best, {type} at {offset} with {key}, is no better than {chance} others would \
                     be by chance."
                );
            }
            text.push('\n');
            if self.blocks < FEW_BLOCKS {
                text += "The capture is short: record a few hours in which the metric moves.\n";
            }
        } else {
            text += &output::table(COLUMNS, self.findings.iter().map(Row::cells));
            text += "\nChance: how many as good are expected by chance among all tries.\n";
            for Row { offset, r#type, same, .. } in &self.findings {
                if !same.is_empty() {
                    let same = same.join(", ");
                    // Writing to a string cannot fail.
                    let _ =
                        writeln!(text, "{offset}: {same} read the same numbers as {type} so far.");
                }
            }
        }
        let Some(decoder) = &self.decoder else { return text };
        text += "\nTo see it in every output, put this into the configuration:\n\n";
        if self.serial.is_none() {
            text += "# No known serial number was found in the record; check `serial`.\n";
        }
        if self.findings.first().is_some_and(|finding| finding.inverted) {
            text += "# The flag is inverted: 1 means off.\n";
        }
        text + &declare::yaml(decoder)
    }
}

/// Fewer blocks than these can hardly be significant.
const FEW_BLOCKS: usize = 60;
