//! The past: the last day as lines, and energy by day, month or year.

use std::collections::BTreeMap;

use energi_decoders::Product;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{RoundMode, SignedDuration, Span, Timestamp, Unit, ZonedRound};
use maud::{Markup, html};

use super::{PageQuery, figure, name_of};
use crate::chart::{ChartOptions, PowerSeries, energy_chart, power_chart};
use crate::energy::{Energy, PeriodTotal, totals};
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

fn options(shared: &Shared, serial: u32, width: u32) -> ChartOptions {
    let mut names = shared.context.device_names.as_ref().clone();
    let product = shared.product(serial);
    if product != Product::Unknown {
        names.entry(serial).or_insert_with(|| product.name().to_owned());
    }
    ChartOptions { width, standalone: false, names, ..ChartOptions::default() }
}

/// The last 24 hours of a device, or why they cannot be drawn.
pub(super) async fn day(shared: &Shared, serial: u32) -> Markup {
    let Some(history) = &shared.history else {
        return html! { p .notice data-part="day" { "Set " code { "history" } " of the web sink to the file of a sqlite sink to see the past." } };
    };
    let now = shared.live().now;
    let start = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(now);
    let keys = LINES.map(|(key, ..)| key.to_owned()).to_vec();
    let means = match history.minutes(serial, keys, (start, now), 24 * 60 + 1).await {
        Ok(means) => means,
        Err(problem) => {
            return html! { p .notice role="alert" data-part="day" { (problem.detail()) "." } };
        }
    };
    let series: Vec<PowerSeries> = LINES
        .iter()
        .zip(means)
        .filter(|(_, points)| !points.is_empty())
        .map(|((_, name, class), points)| PowerSeries { class, name: (*name).to_owned(), points })
        .collect();
    if series.is_empty() {
        return html! { p data-part="day" { "The history has no power of this device in the last 24 hours." } };
    }
    let title = format!("Power of {}", name_of(shared, serial, shared.product(serial)));
    let timezone = &shared.context.timezone;
    let chart = figure("day", |width| {
        power_chart(&title, &series, start..now, timezone, &options(shared, serial, width))
    });
    html! {
        div data-part="day" { (chart) }
        details {
            summary { "Numbers" }
            table {
                caption .hidden { "Mean power of each hour; power to the grid is negative" }
                thead { tr {
                    th scope="col" { "Hour" }
                    @for (_, name, _) in LINES { th scope="col" { (name) } }
                } }
                tbody data-part="hours" {
                    @for (hour, watts) in hours(&series, timezone).iter().rev() {
                        tr {
                            th scope="row" { (hour.to_zoned(timezone.clone()).strftime("%a %H:%M")) }
                            @for watts in watts { td { (watts.map_or_else(|| "–".to_owned(), format::watts)) } }
                        }
                    }
                }
            }
        }
    }
}

/// Mean power of each hour, in the order of [`LINES`].
fn hours(series: &[PowerSeries], timezone: &TimeZone) -> BTreeMap<Timestamp, [Option<f64>; 3]> {
    let mut sums = BTreeMap::<Timestamp, [(f64, u32); 3]>::new();
    for (index, (.., class)) in LINES.iter().enumerate() {
        for (time, watts) in series.iter().filter(|it| it.class == *class).flat_map(|it| &it.points)
        {
            let hour = ZonedRound::new().smallest(Unit::Hour).mode(RoundMode::Floor);
            let hour = time.to_zoned(timezone.clone()).round(hour);
            let sum =
                &mut sums.entry(hour.map_or(*time, |hour| hour.timestamp())).or_default()[index];
            *sum = (sum.0 + watts, sum.1 + 1);
        }
    }
    let mean = |(sum, count): (f64, u32)| (count > 0).then(|| sum / f64::from(count));
    sums.into_iter().map(|(hour, sums)| (hour, sums.map(mean))).collect()
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
                Ok((days, _)) if days.iter().all(|day| day.energy == Energy::default()) => p {
                    "The history has no energy of this device in this period."
                },
                Ok((days, savings)) => {
                    figure { (figure("energy", |width| {
                        let savings = savings.clone();
                        let options = ChartOptions { savings, tariff: tariff.clone(), ..options(shared, serial, width) };
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
