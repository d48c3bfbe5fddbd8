//! The past: the last day as lines, and energy by day, month or year.

use jiff::civil::Date;
use jiff::{SignedDuration, Span};
use maud::{Markup, html};

use super::{PageQuery, figure, name_of};
use crate::chart::{ChartOptions, PowerSeries, energy_chart, power_chart};
use crate::energy::{PeriodTotal, totals};
use crate::sqlite::DaySelection;
use crate::web::api::Step;
use crate::web::format;
use crate::web::guard::Base;
use crate::web::state::Shared;

/// Keys of the lines, their names, and the classes that colour them.
const LINES: [(&str, &str, &str); 3] = [
    ("gen_pwr", "Sun", "generation-line"),
    ("grid_pwr", "Grid", "grid-line"),
    ("divert_pwr", "Heater", "diverted-line"),
];

fn options(shared: &Shared, width: u32) -> ChartOptions {
    let names = shared.context.device_names.as_ref().clone();
    ChartOptions { width, standalone: false, names, ..ChartOptions::default() }
}

/// The last 24 hours of a device, or why they cannot be drawn.
pub(super) async fn day(shared: &Shared, serial: u32) -> Markup {
    let Some(history) = &shared.history else {
        return html! { p .notice { "Set " code { "history" } " of the web sink to the file of a sqlite sink to see the past." } };
    };
    let now = shared.live().now;
    let start = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(now);
    let keys = LINES.map(|(key, ..)| key.to_owned()).to_vec();
    let means = match history.minutes(serial, keys, (start, now), 24 * 60 + 1).await {
        Ok(means) => means,
        Err(problem) => return html! { p .notice role="alert" { (problem.detail()) "." } },
    };
    let series: Vec<PowerSeries> = LINES
        .iter()
        .zip(means)
        .filter(|(_, points)| !points.is_empty())
        .map(|((_, name, class), points)| PowerSeries { class, name: (*name).to_owned(), points })
        .collect();
    if series.is_empty() {
        return html! { p { "No power was received in the last 24 hours." } };
    }
    let title = format!("Power of {}", name_of(shared, serial));
    let timezone = &shared.context.timezone;
    figure("day", |width| {
        power_chart(&title, &series, start..now, timezone, &options(shared, width))
    })
}

/// Returns which dates a page of the past shows, the one before it and the one after.
fn span(step: Step, to: Date) -> (Date, Span) {
    let back = match step {
        Step::Day => Span::new().days(30),
        Step::Month => Span::new().months(23),
        Step::Year => Span::new().years(9),
    };
    let from = to.saturating_sub(back);
    match step {
        Step::Day => (from, Span::new().days(31)),
        Step::Month => (from.first_of_month(), Span::new().months(24)),
        Step::Year => (from.first_of_year(), Span::new().years(10)),
    }
}

/// Energy of a device by day, month or year.
pub(super) async fn energy(shared: &Shared, base: &Base, query: PageQuery, serial: u32) -> Markup {
    let Some(history) = &shared.history else { return html! {} };
    let today = shared.context.timezone.to_datetime(shared.live().now).date();
    let to = query.to.unwrap_or(today);
    let (from, page) = span(query.show, to);
    let tabs = html! {
        nav .tabs aria-label="Period" {
            @for (step, name) in [(Step::Day, "Days"), (Step::Month, "Months"), (Step::Year, "Years")] {
                @let link = PageQuery { show: step, ..query }.link(base);
                a href={ (link) "#past" } aria-current=[(step == query.show).then_some("page")] { (name) }
            }
        }
        nav .pages aria-label="Time" {
            a href={ (PageQuery { to: Some(to.saturating_sub(page)), ..query }.link(base)) "#past" } rel="prev" { "← Earlier" }
            @if to < today {
                @let later = to.saturating_add(page).min(today);
                @let later = (later < today).then_some(later);
                a href={ (PageQuery { to: later, ..query }.link(base)) "#past" } rel="next" { "Later →" }
            }
        }
    };
    let selection = DaySelection { from: Some(from), to: Some(to), serials: vec![serial] };
    let (tariff, timezone) = (shared.context.tariff.clone(), shared.context.timezone.clone());
    let past = history.savings(selection, tariff.clone(), timezone).await;
    html! {
        section #past .card aria-labelledby="past-title" {
            h2 #past-title { "Energy" }
            (tabs)
            @match past {
                Err(problem) => p .notice role="alert" { (problem.detail()) "." },
                Ok((days, savings)) => {
                    figure { (figure("energy", |width| {
                        let savings = savings.clone();
                        let options = ChartOptions { savings, tariff: tariff.clone(), ..options(shared, width) };
                        energy_chart(&days, query.show.into(), &options)
                    })) }
                    (table(&totals(&days, query.show.into())))
                }
            }
        }
    }
}

/// The numbers of the chart.
fn table(totals: &[PeriodTotal]) -> Markup {
    html! {
        details {
            summary { "Numbers" }
            table #energy-table {
                caption .hidden { "Energy by period in kWh" }
                thead { tr {
                    @for head in ["Period", "Diverted", "Generated", "Imported", "Exported"] {
                        th scope="col" { (head) }
                    }
                } }
                tbody {
                    @for total in totals.iter().rev() {
                        tr {
                            th scope="row" {
                                (total.period.to_string())
                                @if total.is_incomplete() { " " abbr title="The device was not received all the time" { "(incomplete)" } }
                            }
                            @for kwh in [total.energy.diverted, total.energy.generation, total.energy.import, total.energy.export] {
                                td { (format::kwh(kwh)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
