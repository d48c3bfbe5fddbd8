//! The present: a tile for each device.

use energi_decoders::{Product, Value};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::{name_of, rank};
use crate::current::CurrentDevice;
use crate::energy::Energy;
use crate::web::format;
use crate::web::state::Shared;

/// A tile for each device that is received now.
pub(in crate::web) fn present(shared: &Shared) -> Markup {
    let present = shared.live();
    let snapshot = shared.context.status.snapshot();
    let mut devices: Vec<(u32, &CurrentDevice)> = present.devices().collect();
    devices.sort_by_key(|(serial, device)| (rank(device.product), *serial));
    let name = |serial| {
        let product = present.device(serial).map_or(Product::Unknown, |device| device.product);
        name_of(shared, serial, product)
    };
    let tiles: Vec<Markup> = devices
        .into_iter()
        .map(|(serial, device)| {
            let relay = device.relay.map(&name);
            tile(
                &name(serial),
                serial,
                device,
                relay.as_deref(),
                present.today(serial),
                present.now,
            )
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

fn tile(
    name: &str,
    serial: u32,
    device: &CurrentDevice,
    relay: Option<&str>,
    today: Energy,
    now: Timestamp,
) -> Markup {
    let part = |part: &str| format!("{part}-{serial}");
    let age = device.time.map(|time| now.duration_since(time).max(SignedDuration::ZERO));
    html! {
        article .card aria-label=(name) data-tile=(serial) {
            header {
                h2 { (name) }
                p .state data-part=(part("state")) {
                    @for word in states(device) { span .badge { (word) } " " }
                    @if let Some(age) = age {
                        span .age data-age=(age.as_secs()) { (format::age(age)) }
                    }
                }
            }
            @if let Some(flow) = Flow::of(device) {
                div .flow data-part=(part("flow")) { (flow.draw()) }
            }
            dl .facts data-part=(part("facts")) {
                (energy("Diverted today", today.diverted))
                (energy("Generated", today.generation))
                (energy("Imported", today.import))
                (energy("Exported", today.export))
                (energy("Charged in this session", device.number("zappi/session_kWh")))
                @for (channel, texts) in transformers(device) { (fact(&format!("CT {channel}"), &texts)) }
                @if let Some(relay) = relay { (fact("Relayed by", &[relay.to_owned()])) }
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

/// Words for the device's state, as far as it is known.
fn states(device: &CurrentDevice) -> Vec<String> {
    let mode = device.get("zappi/mode").map(|mode| format!("Mode: {mode}"));
    let boosting = device.get("zappi/boosting") == Some(Value::Flag(true));
    let eddi = device.state().map(|state| state.word().to_owned());
    eddi.into_iter().chain(mode).chain(boosting.then(|| "Boosting".to_owned())).collect()
}

/// Power and current of each current transformer that is known, by its channel. Channel 1 of a status
/// record is the load inside the device, which the flow shows.
fn transformers(device: &CurrentDevice) -> Vec<(u8, Vec<String>)> {
    let known = |prefix: &str, channel: u8| {
        let value = |what: &str| device.number(&format!("{prefix}/ct{channel}_{what}"));
        let texts = [value("power").map(format::watts), value("current").map(format::amperes)];
        let texts: Vec<String> = texts.into_iter().flatten().collect();
        (!texts.is_empty()).then_some((channel, texts))
    };
    let own = (1..=3).filter_map(|channel| known("harvi", channel));
    own.chain((2..=6).filter_map(|channel| known("status", channel))).collect()
}

fn energy(term: &str, kwh: Option<f64>) -> Markup {
    html! { @if kwh.is_some() { (fact(term, &[format::kwh(kwh)])) } }
}

fn fact(term: &str, texts: &[String]) -> Markup {
    html! { div { dt { (term) } @for text in texts { dd { (text) } } } }
}

/// Powers between sun, house, grid and what the device feeds, in watts.
#[derive(Debug, Clone, Copy)]
struct Flow {
    sun: Option<f64>,
    /// Positive from the grid.
    grid: Option<f64>,
    load: Option<f64>,
    /// Class and name of the load.
    kind: (&'static str, &'static str),
}

impl Flow {
    fn of(device: &CurrentDevice) -> Option<Self> {
        let number = |key| device.number(key);
        let flow = if device.product == Product::Zappi {
            Self {
                sun: number("gen_pwr").or_else(|| number("zappi/gen_pwr")),
                grid: number("grid_pwr").or_else(|| number("zappi/grid_pwr")),
                load: number("zappi/charge_power"),
                kind: ("car", "Car"),
            }
        } else {
            Self {
                sun: number("gen_pwr"),
                grid: number("grid_pwr"),
                load: number("divert_pwr"),
                kind: ("heater", "Heater"),
            }
        };
        [flow.sun, flow.grid, flow.load].iter().any(Option::is_some).then_some(flow)
    }

    /// Returns what the house uses beside the load.
    fn house(&self) -> Option<f64> {
        Some((self.sun?.max(0.0) + self.grid? - self.load?).max(0.0))
    }

    /// The flow as a picture, whose description has every number. What is unknown is not drawn, but
    /// for the house, where the lines meet.
    fn draw(self) -> Markup {
        let (class, name) = self.kind;
        let grid = if self.grid.is_some_and(|watts| watts < 0.0) { "Export" } else { "Import" };
        let house = self.house();
        let nodes = [
            ("sun", "Sun", self.sun, (50, 50), Some("M70 50 H180 V78")),
            ("grid", grid, self.grid.map(f64::abs), (310, 50), Some("M290 50 H180 V78")),
            (class, name, self.load, (270, 150), Some("M180 102 V150 H240")),
            ("house", "House", house, (180, 90), None),
        ];
        let known = || {
            nodes.into_iter().filter(|(class, _, watts, ..)| watts.is_some() || *class == "house")
        };
        let text = |watts: Option<f64>| watts.map_or_else(|| "–".to_owned(), format::watts);
        let words: Vec<String> = nodes
            .iter()
            .filter_map(|(_, name, watts, ..)| Some(format!("{name} {}", format::watts((*watts)?))))
            .collect();
        html! {
            svg viewBox="0 0 360 190" role="img" aria-label={ "Now: " (words.join(", ")) } {
                @for (class, _, watts, _, path) in known() {
                    @if let Some(path) = path {
                        (line(path, class, if class == "grid" { self.grid } else { watts }))
                    }
                }
                @for (class, name, watts, place, _) in known() {
                    (node(place, class, name, &text(watts)))
                }
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
