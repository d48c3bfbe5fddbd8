//! The page: the present, the last day and the past, drawn on the server.

mod devices;
mod past;

use std::sync::{Arc, LazyLock};

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use energi_decoders::Product;
use jiff::civil::Date;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

use super::api::Step;
use super::guard::Base;
use super::problem::Problem;
use super::state::Shared;
use crate::chart;

pub(super) use devices::present;

/// The page's stylesheet, with the colours of its charts.
pub(super) static STYLE: LazyLock<String> =
    LazyLock::new(|| format!("{}\n{}", include_str!("style.css"), chart::STYLE));

/// The page's script: without it the page is the same, but shows the moment that it was loaded.
pub(super) const SCRIPT: &str = include_str!("script.js");

/// The page's icon.
pub(super) const ICON: &str = include_str!("icon.svg");

/// Widths that each chart is drawn in, one for phones; the stylesheet shows one of them.
const WIDTHS: [(&str, u32); 2] = [("wide", 960), ("narrow", 340)];

/// Query parameters of the page.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct PageQuery {
    /// The device whose past is shown; the first by default.
    device: Option<u32>,
    /// The length of the past's periods.
    #[serde(default)]
    show: Step,
    /// The last date of the past; today by default.
    to: Option<Date>,
}

impl PageQuery {
    /// The address of the page with something else shown.
    fn link(self, base: &Base) -> String {
        let mut pairs = Vec::new();
        pairs.extend(self.device.map(|serial| format!("device={serial}")));
        let show = match self.show {
            Step::Day => None,
            Step::Month => Some("show=month".to_owned()),
            Step::Year => Some("show=year".to_owned()),
        };
        pairs.extend(show);
        pairs.extend(self.to.map(|date| format!("to={date}")));
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        format!("{}/{query}", base.0)
    }
}

/// The whole page.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(base): Extension<Base>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Response {
    let view = match query {
        Ok(Query(query)) => view(&shared, &base, query).await,
        Err(rejection) => Err(rejection.into()),
    };
    match view {
        Ok(view) => document(&shared, &base, &view).into_response(),
        Err(problem) => {
            let back = html! {
                section class="card" {
                    h2 { "This page cannot be shown" }
                    p { (problem.detail()) "." }
                    p { a href={ (base.0) "/" } { "Back to the page" } }
                }
            };
            (problem.status(), document(&shared, &base, &back)).into_response()
        }
    }
}

/// The chart of the last day alone, which the script fetches again every minute.
pub(super) async fn day(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Markup, Problem> {
    let Query(query) = query?;
    let device = query.device.ok_or_else(|| Problem::bad_request("which `device`?"))?;
    Ok(past::day(&shared, device).await)
}

/// Returns what the page shows for an address.
async fn view(shared: &Shared, base: &Base, query: PageQuery) -> Result<Markup, Problem> {
    let mut serials: Vec<u32> = shared.live().devices().map(|(serial, _)| serial).collect();
    if let Some(history) = &shared.history {
        // A history that cannot be read says so where its charts would be.
        serials.extend(history.serials().await.unwrap_or_default());
    }
    serials.sort_by_key(|serial| (rank(shared.product(*serial)), *serial));
    serials.dedup();
    let device = match query.device {
        Some(serial) if !serials.contains(&serial) => {
            return Err(Problem::not_found(format!("no device {serial} is known here")));
        }
        Some(serial) => Some(serial),
        None => serials.first().copied(),
    };
    let query = PageQuery { device: query.device.and(device), ..query };
    Ok(html! {
        section #now aria-label="Now" data-live={ (base.0) "/live" } { (present(shared)) }
        @if serials.len() > 1 {
            nav .tabs aria-label="Device" {
                @for serial in &serials {
                    @let link = PageQuery { device: Some(*serial), ..query }.link(base);
                    a href=(link) aria-current=[(device == Some(*serial)).then_some("page")] {
                        (name_of(shared, *serial, shared.product(*serial)))
                    }
                }
            }
        }
        @if let Some(device) = device {
            section .card aria-labelledby="day" {
                h2 #day { "Last 24 hours" }
                @let fragment = format!("{}/fragments/day?device={device}", base.0);
                figure data-refresh=(fragment) { (past::day(shared, device).await) }
            }
            (past::energy(shared, base, query, device).await)
        }
    })
}

/// Returns the place of a product: one whose energy is in the history comes first.
fn rank(product: Product) -> u8 {
    match product {
        Product::Eddi => 0,
        Product::Unknown => 1,
        Product::Zappi => 2,
        Product::Harvi => 3,
    }
}

/// The device's name, or else its product and serial number.
fn name_of(shared: &Shared, serial: u32, product: Product) -> String {
    match (shared.name(serial), product) {
        (Some(name), _) => name.to_owned(),
        (None, Product::Unknown) => format!("Device {serial}"),
        (None, product) => format!("{product} {serial}"),
    }
}

/// A chart in each width. Its pattern gets a name of its own: one of a chart that is not shown paints
/// nothing.
fn figure(name: &str, draw: impl Fn(u32) -> String) -> Markup {
    html! {
        @for (class, width) in WIDTHS {
            @let pattern = format!("{name}-{class}-hatch");
            div class=(class) { (PreEscaped(draw(width).replace("energi-hatch", &pattern))) }
        }
    }
}

fn document(shared: &Shared, base: &Base, content: &Markup) -> Markup {
    let site = shared.context.site.as_deref();
    let title = site.map_or_else(|| "Energy".to_owned(), |site| format!("Energy · {site}"));
    let version = env!("CARGO_PKG_VERSION");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href={ (base.0) "/assets/icon.svg?v=" (version) };
                link rel="stylesheet" href={ (base.0) "/assets/style.css?v=" (version) };
                script defer src={ (base.0) "/assets/page.js?v=" (version) } {}
            }
            body {
                a .skip href="#main" { "Skip to content" }
                header {
                    h1 { a href={ (base.0) "/" } { (title) } }
                    p #connection role="status" hidden { "Connection lost. Reconnecting …" }
                }
                main #main { (content) }
                footer {
                    p {
                        "energi-gateway " (version) " · "
                        a href={ (base.0) "/api/v1/openapi.json" } { "API" } " · "
                        a href={ (base.0) "/metrics" } { "Metrics" }
                    }
                    p { "Diverted energy is the device's own counter. All other energy is computed from its power readings." }
                }
            }
        }
    }
}
