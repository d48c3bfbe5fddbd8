//! `energi-gateway research bits`: which bits go with a state that somebody noted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anstyle::AnsiColor;
use energi_decoders::Raw;
use energi_sinks::settings::Period;
use serde::Serialize;

use super::input::Captures;
use super::number::{chance, percent};
use super::output::{self, Cell, Column, Format, NONE};
use super::selected::{self, Records, Selected};
use crate::commands::amount;
use crate::commands::line::{BOLD, DIM, in_colour};
use crate::platform::exit::{Exit, Failure};
use crate::research::correlate::{self, Finding};
use crate::research::series::RecordSeries;
use crate::research::states;

/// Arguments of `research bits`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    captures: Captures,
    #[command(flatten)]
    records: Records,
    /// The state over time: CSV with the heading `time,name,value`, or a JSON array of such objects.
    /// Each value holds until the next one
    #[arg(long, value_name = "FILE")]
    series: PathBuf,
    /// The name of the series, if the file has several
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Longest time between the noted moment and a record that shows the state
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = amount::<Period>)]
    max_lag: Period,
    /// The format of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut all = super::outside::series(&args.series)?;
    if let Some(name) = &args.name {
        all.retain(|series| series.name == *name);
    }
    let [state] = all.as_slice() else {
        let message = format!(
            "{}: {} series; --name chooses one",
            args.series.display(),
            if all.is_empty() { "no such" } else { "several" }
        );
        return Err(Failure::message(Exit::Usage, message));
    };
    let Selected { series, ended, .. } =
        selected::gather(&args.captures, args.records.selection())?;
    let flags = states::flags(&series, &state.points);
    if flags.is_empty() {
        let message = format!(
            "{}: a state needs 2 to {} different values",
            args.series.display(),
            states::MOST_VALUES
        );
        return Err(Failure::message(Exit::Data, message));
    }
    let outcome = states::search(&series, &flags, selected::microseconds(args.max_lag));
    let rows: Vec<_> = outcome
        .findings
        .iter()
        .map(|finding| BitRow::new(finding, &series, &state.points))
        .collect();
    let answer = match args.format {
        Format::Json => output::json(&rows)?,
        Format::Table if rows.is_empty() => {
            let rest = outcome.runner_up.map_or_else(String::new, |rest| {
                let expected = chance(rest.chance);
                format!(" The best, {} with {}: {expected} as good by chance.", rest.view, rest.key)
            });
            format!("No bit follows the state.{rest} Change the state more often, and note when.\n")
        }
        Format::Table => table(&rows),
    };
    super::super::print(answer.as_bytes())?;
    ended
}

/// A bit that goes with the state, as JSON gives it.
#[derive(Debug, Serialize)]
struct BitRow {
    offset: String,
    bit: u8,
    /// Values of the state in which it is set.
    set_for: String,
    lag: f64,
    /// Number of bits as good that are expected by chance.
    chance: f64,
    states: BTreeMap<String, StateRow>,
    fields: Vec<&'static str>,
}

/// A value of the state, as JSON gives it.
#[derive(Debug, Serialize)]
struct StateRow {
    /// Records in which the bit is set.
    ones: u64,
    /// Records in which it is not.
    zeros: u64,
}

impl BitRow {
    fn new(finding: &Finding<'_>, series: &RecordSeries, state: &[(i64, String)]) -> Self {
        let bit = if let Raw::Bit(bit) = finding.view.raw { bit } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "a minute or so")]
        let lag = (finding.lag * 1e6) as i64;
        let states = states::table(series, finding.view, state, lag);
        let not = if finding.inverted { "all but " } else { "" };
        Self {
            offset: format!("0x{:02X}", finding.view.offset),
            bit,
            set_for: format!("{not}{}", finding.known.metric.key),
            lag: (finding.lag * 1000.0).round() / 1000.0 + 0.0,
            chance: finding.chance,
            states: states
                .into_iter()
                .map(|(value, [ones, zeros])| (value, StateRow { ones, zeros }))
                .collect(),
            fields: finding.named.clone(),
        }
    }
}

fn table(rows: &[BitRow]) -> String {
    const COLUMNS: &[Column] = &[
        Column::text("Offset"),
        Column::numbers("Bit"),
        Column::text("Set for"),
        Column::text("State"),
        Column::numbers("Set"),
        Column::numbers("Records").spare(2),
        Column::numbers("Lag").spare(3),
        Column::numbers("Chance"),
        Column::text("Field").spare(1),
    ];
    let found = in_colour(AnsiColor::Green);
    let lines = rows.iter().flat_map(|row| {
        row.states.iter().enumerate().map(move |(number, (state, counts))| {
            let first = |text: String| if number == 0 { text } else { String::new() };
            let records = counts.ones + counts.zeros;
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            let share = counts.ones as f64 / records.max(1) as f64;
            let fields = if row.fields.is_empty() { NONE.into() } else { row.fields.join(", ") };
            vec![
                Cell::styled(BOLD, first(row.offset.clone())),
                Cell::styled(BOLD, first(row.bit.to_string())),
                Cell::styled(found, first(row.set_for.clone())),
                state.clone().into(),
                percent(share).into(),
                records.to_string().into(),
                first(format!("{:+.1} s", row.lag)).into(),
                first(chance(row.chance)).into(),
                Cell::styled(DIM, first(fields)),
            ]
        })
    });
    let text = output::table(COLUMNS, lines);
    let limit = correlate::SIGNIFICANT;
    format!(
        "{text}\nChance: how many bits as good are expected by chance; below {limit} it is shown.\n"
    )
}
