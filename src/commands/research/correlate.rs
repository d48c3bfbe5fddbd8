//! `energi-gateway research correlate`: which bytes follow a known metric.

use std::fmt::Write;

use energi_decoders::custom::CustomDecoder;
use energi_sinks::settings::Period;
use serde::Serialize;

use super::input::Captures;
use super::output::{self, Format, NONE};
use super::selected::{self, Records, Selected};
use crate::exit::{Exit, Failure};
use crate::research::correlate::{self, Finding, Fit, Outcome};
use crate::research::declare;
use crate::research::metrics::{Known, Metrics};

/// Arguments of `research correlate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    captures: Captures,
    #[command(flatten)]
    records: Records,
    /// The confirmed metric to look for, such as `divert_pwr`, or `all`
    #[arg(long, value_name = "KEY")]
    with: String,
    /// The device whose metric it is [default: that which sends the records]
    #[arg(long, value_name = "N")]
    serial: Option<u32>,
    /// How much earlier or later than the metric the record may be
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = selected::period)]
    max_lag: Period,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let keys = Metrics::keys();
    if args.with != "all" && !keys.contains(&args.with) {
        let keys: Vec<_> = keys.into_iter().collect();
        let message =
            format!("--with {}: write `all` or a confirmed metric: {}", args.with, keys.join(", "));
        return Err(Failure::message(Exit::Usage, message));
    }
    let selected = selected::gather(&args.captures, args.records.selection())?;
    let mut known = selected.known(args.serial)?;
    known.retain(|known| args.with == "all" || args.with == known.metric.key);
    if known.is_empty() {
        let message = format!("the capture does not say `{}`", args.with);
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
    /// Where the device's serial number stands.
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

    fn cells(&self) -> Vec<String> {
        let fit = self.fit.as_ref();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        let raw = fit.map(|fit| {
            let (divide, divide_error) = with_error(fit.fitted_divide, fit.divide_error);
            let (add, add_error) = with_error(fit.fitted_add.abs(), fit.add_error);
            let sign = if fit.fitted_add < 0.0 { '−' } else { '+' };
            format!("/ {divide} ± {divide_error} {sign} {add} ± {add_error}")
        });
        let inverted = self.inverted.then(|| "inverted".to_owned());
        vec![
            self.offset.clone(),
            self.r#type.clone(),
            self.key.clone(),
            format!("{:+.1} s", self.lag),
            percent(self.explained),
            chance(self.chance),
            or_none(fit.map(|fit| short(fit.divide))),
            or_none(fit.map(|fit| short(fit.add))),
            or_none(raw.or(inverted)),
            if self.fields.is_empty() { NONE.to_owned() } else { self.fields.join(", ") },
        ]
    }
}

impl Answer {
    fn new(selected: &Selected, known: &[Known], outcome: &Outcome<'_>) -> Self {
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
        const HEADINGS: &[&str] = &[
            "<Offset",
            "<Type",
            "<Follows",
            "Lag",
            "Explains",
            "Chance",
            "Divide",
            "Add",
            "<As fitted",
            "<Field",
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
            text += &output::table(HEADINGS, self.findings.iter().map(Row::cells));
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

/// An expected number, in the digits that matter.
fn chance(chance: f64) -> String {
    match chance {
        _ if chance < 1e-12 => "< 1e-12".to_owned(),
        _ if chance < 0.001 => format!("{chance:.0e}"),
        _ if chance < 1.0 => format!("{chance:.3}"),
        _ => format!("{chance:.0}"),
    }
}

/// A share; close to all of it the nines count.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 99.0 && percent < 99.995 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// A number in four digits at most, unless it is whole.
fn short(number: f64) -> String {
    if number.fract() == 0.0 || number.abs() >= 1000.0 {
        return format!("{number:.0}");
    }
    let text = format!("{number:.*}", decimals(number.abs() / 1000.0));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number and its standard error, both to the error's second digit.
fn with_error(number: f64, error: f64) -> (String, String) {
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
