//! The present: a tile for each device.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::name_of;
use crate::current::CurrentDevice;
use crate::energy::Energy;
use crate::web::format;
use crate::web::state::Shared;

/// A tile for each device that is received now.
pub(in crate::web) fn present(shared: &Shared) -> Markup {
    let present = shared.live();
    let snapshot = shared.context.status.snapshot();
    let tiles: Vec<Markup> = present
        .devices()
        .map(|(serial, device)| {
            tile(&name_of(shared, serial), serial, device, present.today(serial), present.now)
        })
        .collect();
    drop(present);
    html! {
        @if snapshot.interface_away {
            p .notice data-part="interface" { "The network interface is away; the gateway waits for it." }
        }
        @if tiles.is_empty() {
            p .card data-part="none" { "No device is received at the moment." }
        }
        @for tile in tiles { (tile) }
    }
}

fn tile(name: &str, serial: u32, device: &CurrentDevice, today: Energy, now: Timestamp) -> Markup {
    let part = |part: &str| format!("{part}-{serial}");
    let age = device.time.map(|time| now.duration_since(time).max(SignedDuration::ZERO));
    html! {
        article .card aria-label=(name) data-tile=(serial) {
            header {
                h2 { (name) }
                p .state data-part=(part("state")) {
                    @if let Some(state) = device.state() {
                        span .badge { (state.word()) } " "
                    }
                    @if let Some(age) = age {
                        span .age data-age=(age.as_secs()) { (format::age(age)) }
                    }
                }
            }
            @if let Some(flow) = Flow::of(device) {
                div .flow data-part=(part("flow")) { (flow.draw()) }
            }
            dl .today data-part=(part("today")) {
                (entry("Diverted today", today.diverted))
                (entry("Generated", today.generation))
                (entry("Imported", today.import))
                (entry("Exported", today.export))
            }
            details {
                summary { "All values" }
                table {
                    caption .hidden { "Newest values of " (name) " (" (serial) ")" }
                    thead { tr { th scope="col" { "Value" } th scope="col" { "Now" } th scope="col" { "Key" } } }
                    tbody data-part=(part("values")) {
                        @for (key, current) in device.values() {
                            tr {
                                th scope="row" { (current.label) }
                                td { (format::value(current.value, &current.unit)) }
                                td { code { (key) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn entry(term: &str, kwh: Option<f64>) -> Markup {
    html! { @if kwh.is_some() { div { dt { (term) } dd { (format::kwh(kwh)) } } } }
}

/// Powers between sun, house, grid and heater in watts.
#[derive(Debug, Clone, Copy)]
struct Flow {
    sun: Option<f64>,
    /// Positive from the grid.
    grid: Option<f64>,
    heater: Option<f64>,
}

impl Flow {
    fn of(device: &CurrentDevice) -> Option<Self> {
        let watts = |key| device.get(key).map(energi_decoders::Value::as_f64);
        let flow =
            Self { sun: watts("gen_pwr"), grid: watts("grid_pwr"), heater: watts("divert_pwr") };
        [flow.sun, flow.grid, flow.heater].iter().any(Option::is_some).then_some(flow)
    }

    /// Returns what the house uses beside the heater.
    fn house(&self) -> Option<f64> {
        Some((self.sun?.max(0.0) + self.grid? - self.heater?).max(0.0))
    }

    /// The flow as a picture, whose description has every number.
    fn draw(self) -> Markup {
        let grid = self.grid.map(|watts| {
            let way = if watts < 0.0 { "to the grid" } else { "from the grid" };
            (format::watts(watts.abs()), way)
        });
        let plain = |name: &str, watts: Option<f64>| {
            watts.map(|watts| format!("{name} {}", format::watts(watts)))
        };
        let words = [
            plain("sun", self.sun),
            plain("house", self.house()),
            plain("heater", self.heater),
            grid.as_ref().map(|(watts, way)| format!("{way} {watts}")),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        let text = |watts: Option<f64>| watts.map_or_else(|| "–".to_owned(), format::watts);
        html! {
            svg viewBox="0 0 360 190" role="img" aria-label={ "Now: " (words.join(", ")) } {
                (line("M70 50 H180 V78", "sun", self.sun))
                (line("M290 50 H180 V78", "grid", self.grid))
                (line("M180 102 V150 H240", "heater", self.heater))
                (node((50, 50), "sun", "Sun", &text(self.sun)))
                (node((310, 50), "grid", grid.as_ref().map_or("Grid", |(_, way)| if *way == "to the grid" { "Export" } else { "Import" }), &grid.as_ref().map_or_else(|| "–".to_owned(), |(watts, _)| watts.clone())))
                (node((180, 90), "house", "House", &text(self.house())))
                (node((270, 150), "heater", "Heater", &text(self.heater)))
            }
        }
    }
}

/// Less than this is not drawn as flowing.
const FLOWING: f64 = 20.0;

fn line(path: &str, class: &str, watts: Option<f64>) -> Markup {
    let way = match watts {
        Some(watts) if watts >= FLOWING => "flowing",
        Some(watts) if watts <= -FLOWING => "flowing back",
        _ => "",
    };
    html! { path class={ "way " (class) " " (way) } d=(path) {} }
}

fn node((x, y): (u32, u32), class: &str, name: &str, watts: &str) -> Markup {
    html! {
        g class={ "node " (class) } {
            rect x=(x - 48) y=(y - 24) width="96" height="48" rx="10" {}
            text x=(x) y=(y - 4) class="name" { (name) }
            text x=(x) y=(y + 14) class="watts" data-node=(class) { (watts) }
        }
    }
}
