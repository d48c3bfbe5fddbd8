//! Energy by period: two panels for each device over one calendar. Above, what was generated with
//! what was diverted in front of it; below, import upward and export downward.

use super::ChartOptions;
use super::calendar::Calendar;
use super::svg::{Anchor, Item, LINE, Svg, ticks, width_of};
use crate::energy::{
    Energy, EnergyDay, PeriodLength, PeriodTotal, grouped, totals, without_energy,
};

/// Upper limit of every axis, in kWh.
const MOST: f64 = 1e9;

const LEFT: f64 = 54.0;
const RIGHT: f64 = 16.0;
const ENERGY_HEIGHT: f64 = 210.0;
const GRID_HEIGHT: f64 = 110.0;
/// Narrower bars hide one another: generation is drawn as an outline.
const OUTLINE_BELOW: f64 = 9.0;
const NARROWEST_BAR: f64 = 2.0;
const WIDEST_BAR: f64 = 64.0;

const UNKNOWN_BOOST: &str = "Diverted energy is the device's own counter. Whether boost energy is \
                             part of that counter is not known.";

/// Draws the energy of `days`, ordered by serial number and date. Periods too many to be told apart
/// at this width are drawn by month or year, and the chart says so.
#[must_use]
pub fn energy_chart(days: &[EnergyDay], length: PeriodLength, options: &ChartOptions) -> String {
    let width = f64::from(options.width.clamp(280, 4_000));
    let (mut totals, calendar) = fit(days, length, width - LEFT - RIGHT);
    let without = without_energy(&totals);
    totals.retain(|total| !without.contains(&total.serial));
    let title = |length: PeriodLength| format!("Energy by {}", length.name());
    let mut svg = Svg::default();
    let Some(calendar) = calendar else {
        svg.text("heading", Anchor::Start, 16.0, 36.0, &title(length));
        svg.text("", Anchor::Start, 16.0, 66.0, "The history has no day in this range.");
        return svg.finish((width, 90.0), &title(length), "No data.", options.standalone);
    };
    let mut page = Page { svg, calendar, options, width, scales: Scales::of(&totals) };
    let mut range = calendar.range();
    if calendar.length() != length {
        let (asked, drawn) = (length.name(), calendar.length().name());
        range = format!("{range}, drawn by {drawn}: too long to tell each {asked} apart");
    }
    page.svg.text("heading", Anchor::Start, 16.0, 36.0, &title(calendar.length()));
    let y = page.paragraph(&range, 58.0);
    let mut y = page.legend(&totals, y + LINE + 6.0);
    let mut description = format!("{range}.");
    for device in totals.chunk_by(|a, b| a.serial == b.serial) {
        y = page.device(device, y + 30.0, &mut description);
    }
    let y = page.paragraph(UNKNOWN_BOOST, y + LINE);
    let size = (width, y + 16.0);
    page.svg.finish(size, &title(calendar.length()), &description, options.standalone)
}

/// Totals by the finest length, not finer than `length`, that leaves bars wide enough.
fn fit(
    days: &[EnergyDay],
    length: PeriodLength,
    width: f64,
) -> (Vec<PeriodTotal>, Option<Calendar>) {
    let totals = totals(days, length);
    let calendar = Calendar::of(&totals, length);
    let is_narrow = |calendar: Calendar| width / count(calendar.slots()) < NARROWEST_BAR;
    if length.coarser() != length && calendar.is_some_and(is_narrow) {
        return fit(days, length.coarser(), width);
    }
    (totals, calendar)
}

#[expect(clippy::cast_precision_loss, reason = "some thousands at most")]
fn count(number: usize) -> f64 {
    number as f64
}

/// Reach of the panels' vertical axes, in kWh: the same for all devices.
#[derive(Debug, Clone, Copy)]
struct Scales {
    energy: f64,
    /// Import and export; `None` where neither is known.
    grid: Option<(f64, f64)>,
}

impl Scales {
    fn of(totals: &[PeriodTotal]) -> Self {
        let most = |of: fn(&Energy) -> Option<f64>| {
            totals.iter().filter_map(|total| of(&total.energy)).reduce(f64::max)
        };
        let (import, export) = (most(|energy| energy.import), most(|energy| energy.export));
        let energy = [most(|energy| energy.diverted), most(|energy| energy.generation)];
        let with_room = |most: f64| most.clamp(0.1, MOST) * 1.06;
        let grid = (import.is_some() || export.is_some()).then(|| {
            let (import, export) = (import.unwrap_or(0.0).max(0.1), export.unwrap_or(0.0));
            // Neither side so flat that its labels touch the zero line.
            let least = import.max(export) / 6.0;
            (with_room(import.max(least)), export.max(least).min(MOST) * 1.06)
        });
        Self { energy: with_room(energy.into_iter().flatten().fold(0.0, f64::max)), grid }
    }
}

/// Part of the page with a vertical axis in kWh.
#[derive(Debug, Clone, Copy)]
struct Panel {
    top: f64,
    height: f64,
    low: f64,
    high: f64,
}

impl Panel {
    fn y(&self, kwh: f64) -> f64 {
        let share = (kwh.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        (self.top + self.height * (1.0 - share)).round()
    }
}

struct Page<'a> {
    svg: Svg,
    calendar: Calendar,
    options: &'a ChartOptions,
    width: f64,
    scales: Scales,
}

impl Page<'_> {
    fn right(&self) -> f64 {
        self.width - RIGHT
    }

    /// Pixels from one slot to the next: whole ones where there is room.
    fn pitch(&self) -> f64 {
        let pitch = (self.right() - LEFT) / count(self.calendar.slots());
        if pitch >= 4.0 { pitch.floor().min(2.0 * WIDEST_BAR) } else { pitch }
    }

    /// Left edge of a slot. Few slots stand in the middle.
    fn edge(&self, slot: usize) -> f64 {
        let across = self.pitch() * count(self.calendar.slots());
        LEFT + ((self.right() - LEFT - across) / 2.0).floor() + self.pitch() * count(slot)
    }

    /// Left edge and width of the bar in a slot.
    fn bar(&self, slot: usize) -> (f64, f64) {
        let pitch = self.pitch();
        let gap = if pitch < 4.0 { 0.0 } else { (pitch / 4.0).floor().max(1.0) };
        let width = (pitch - gap).min(WIDEST_BAR);
        (self.edge(slot) + ((pitch - width) / 2.0).floor(), width)
    }

    /// A text on as many lines as it needs. Returns the base line of the last.
    fn paragraph(&mut self, text: &str, mut y: f64) -> f64 {
        let mut line = String::new();
        for word in text.split(' ') {
            if !line.is_empty() && width_of(&line) + width_of(word) > self.width - 40.0 {
                self.svg.text("", Anchor::Start, 16.0, y, &line);
                (line, y) = (String::new(), y + LINE - 2.0);
            }
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
        self.svg.text("", Anchor::Start, 16.0, y, &line);
        y
    }

    fn legend(&mut self, totals: &[PeriodTotal], y: f64) -> f64 {
        let known = |of: fn(&Energy) -> Option<f64>| totals.iter().any(|t| of(&t.energy).is_some());
        let gaps = totals
            .chunk_by(|a, b| a.serial == b.serial)
            .any(|device| device.len() < self.calendar.slots());
        let incomplete = totals.iter().any(PeriodTotal::is_incomplete);
        let entries = [
            ("diverted", "Diverted", true),
            ("generation", "Generated", known(|energy| energy.generation)),
            ("import", "Imported", known(|energy| energy.import)),
            ("export", "Exported", known(|energy| energy.export)),
            ("diverted partial", "On incomplete days", incomplete),
            ("no-data", "No data", gaps),
        ];
        let shown = entries.into_iter().filter(|(.., shown)| *shown);
        let items: Vec<Item<'_>> = shown
            .map(|(class, text, _)| Item { class: Some(class), text: text.to_owned() })
            .collect();
        self.svg.flow(&items, 16.0, self.right(), y)
    }

    /// Draws a device below `y`, and returns the base line of its last text.
    fn device(&mut self, device: &[PeriodTotal], y: f64, description: &mut String) -> f64 {
        let Some(first) = device.first() else { return y };
        let name = self.options.device(first.serial);
        self.svg.text("strong", Anchor::Start, 16.0, y, &name);
        let sums = self.sums(first.serial, device.iter().map(|total| total.energy).sum());
        description.extend([" ", &name, ": ", &sums.join(", "), "."]);
        let items: Vec<_> = sums.into_iter().map(|text| Item { class: None, text }).collect();
        let y = self.svg.flow(&items, 16.0, self.right(), y + LINE);

        let energy =
            Panel { top: y + 26.0, height: ENERGY_HEIGHT, low: 0.0, high: self.scales.energy };
        let grid = self.scales.grid.map(|(import, export)| {
            let top = energy.top + ENERGY_HEIGHT + 28.0;
            Panel { top, height: GRID_HEIGHT, low: -export, high: import }
        });
        for panel in [Some(energy), grid].into_iter().flatten() {
            self.gaps(device, panel);
            self.axis(panel);
        }
        for total in device {
            self.slot(total, energy, grid);
        }
        if self.is_outlined() {
            self.outline(device, energy);
        }
        let mut bottom = energy.top + ENERGY_HEIGHT;
        for panel in [Some(energy), grid].into_iter().flatten() {
            let zero = panel.y(0.0) + 0.5;
            self.svg.path("axis", [Some((LEFT, zero)), Some((self.right(), zero))]);
            bottom = panel.top + panel.height;
        }
        let y = self.labels(bottom);
        self.partial(device, y)
    }

    /// Sums of a device in words.
    fn sums(&self, serial: u32, sum: Energy) -> Vec<String> {
        let kwh = |kwh: Option<f64>, what| Some(format!("{} kWh {what}", grouped(kwh?, 1)));
        let percent = |share: Option<f64>, what| Some(format!("{what} {:.0} %", share? * 100.0));
        let saved = || {
            let (saved, tariff) =
                (self.options.savings.get(&serial)?, self.options.tariff.as_ref()?);
            Some(format!("saved {} {}", grouped(*saved, 2), tariff.currency).trim_end().to_owned())
        };
        [
            kwh(sum.diverted, "diverted"),
            kwh(sum.generation, "generated"),
            kwh(sum.import, "imported"),
            kwh(sum.export, "exported"),
            percent(sum.self_consumption(), "self-consumption"),
            percent(sum.self_sufficiency(), "self-sufficiency"),
            saved(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn slot_of(&self, total: &PeriodTotal) -> usize {
        self.calendar.slot(total.period.start)
    }

    fn is_outlined(&self) -> bool {
        self.pitch() < OUTLINE_BELOW
    }

    /// Marks the periods that the history has no day of.
    fn gaps(&mut self, device: &[PeriodTotal], panel: Panel) {
        let ends = device.iter().map(|total| self.slot_of(total) + 1);
        let starts = device.iter().map(|total| self.slot_of(total)).chain([self.calendar.slots()]);
        let gaps: Vec<_> = std::iter::once(0).chain(ends).zip(starts).collect();
        for (start, end) in gaps {
            let (left, right) = (self.edge(start), self.edge(end));
            self.svg.rect("no-data", left, panel.top, right - left, panel.height);
        }
    }

    /// Lines across the panel at round numbers, and the numbers.
    fn axis(&mut self, panel: Panel) {
        let share = panel.high.max(-panel.low) / (panel.high - panel.low);
        let ticks = ticks(panel.low, panel.high, panel.height * share / 34.0);
        for kwh in ticks.values {
            let y = panel.y(kwh);
            self.svg.path("gridline", [Some((LEFT, y + 0.5)), Some((self.right(), y + 0.5))]);
            let text = grouped(kwh.abs(), ticks.decimals);
            self.svg.text("", Anchor::End, LEFT - 8.0, y + 4.0, &text);
        }
        self.svg.text("", Anchor::End, LEFT - 8.0, panel.top - 8.0, "kWh");
    }

    /// The bars of a period, with a text for the pointer.
    fn slot(&mut self, total: &PeriodTotal, energy: Panel, grid: Option<Panel>) {
        let slot = self.slot_of(total);
        let (left, width) = self.bar(slot);
        self.svg.begin(&tooltip(total));
        let (edge, pitch) = (self.edge(slot), self.pitch());
        for panel in [Some(energy), grid].into_iter().flatten() {
            self.svg.rect("hover", edge, panel.top, pitch, panel.height);
        }
        let mut draw =
            |class: &str, panel: Panel, inset: f64, kwh: &dyn Fn(&Energy) -> Option<f64>| {
                let Some(all) = kwh(&total.energy) else { return };
                let complete = kwh(&total.complete_energy).unwrap_or(0.0);
                let (x, width) = (left + inset, width - 2.0 * inset);
                let (zero, end) =
                    (panel.y(0.0).min(panel.y(complete)), panel.y(0.0).max(panel.y(complete)));
                self.svg.rect(class, x, zero, width, end - zero);
                let (top, bottom) =
                    (panel.y(all).min(panel.y(complete)), panel.y(all).max(panel.y(complete)));
                self.svg.rect(&format!("{class} partial"), x, top, width, bottom - top);
                if width >= 5.0 {
                    self.svg.hatch(x, top, width, bottom - top);
                }
            };
        let is_outlined = pitch < OUTLINE_BELOW;
        if !is_outlined {
            draw("generation", energy, 0.0, &|energy| energy.generation);
        }
        let inset = if is_outlined { 0.0 } else { (width / 5.0).floor() };
        draw("diverted", energy, inset, &|energy| energy.diverted);
        if let Some(grid) = grid {
            draw("import", grid, 0.0, &|energy| energy.import);
            draw("export", grid, 0.0, &|energy| energy.export.map(|kwh| -kwh));
        }
        self.svg.end();
    }

    /// Generation as a stepped line over the bars.
    fn outline(&mut self, device: &[PeriodTotal], panel: Panel) {
        let mut points = Vec::new();
        let mut next = None;
        for total in device {
            let slot = self.slot_of(total);
            if next != Some(slot) {
                points.push(None);
            }
            next = total.energy.generation.map(|kwh| {
                let y = panel.y(kwh);
                points.extend([Some((self.edge(slot), y)), Some((self.edge(slot + 1), y))]);
                slot + 1
            });
        }
        self.svg.path("line generation-line", points);
    }

    /// Two rows of labels below `bottom`. Returns the base line of the lower one.
    fn labels(&mut self, bottom: f64) -> f64 {
        let labels = self.calendar.labels(self.pitch());
        for label in &labels.fine {
            let middle = f64::midpoint(self.edge(label.slot), self.edge(label.slot + label.slots));
            self.svg.text("", Anchor::Middle, middle, bottom + 16.0, &label.text);
        }
        if labels.coarse.is_empty() {
            return bottom + 16.0;
        }
        let ends = labels.coarse.iter().skip(1).map(|next| self.edge(next.slot));
        let ends: Vec<f64> = ends.chain([self.right()]).collect();
        for (label, end) in labels.coarse.iter().zip(ends) {
            let left = self.edge(label.slot);
            self.svg.path(
                "axis",
                [Some((left + 0.5, bottom + 22.0)), Some((left + 0.5, bottom + 38.0))],
            );
            // The first and the last may be too short for their text.
            if left + 6.0 + width_of(&label.text) <= end {
                self.svg.text("strong", Anchor::Start, left + 6.0, bottom + 35.0, &label.text);
            }
        }
        bottom + 35.0
    }

    /// Names the periods of which the history has only some days.
    fn partial(&mut self, device: &[PeriodTotal], y: f64) -> f64 {
        const NAMED: usize = 4;
        let partial: Vec<_> = device.iter().filter(|total| total.is_partial()).collect();
        if partial.is_empty() {
            return y;
        }
        let named = partial.iter().take(NAMED);
        let mut texts: Vec<String> =
            named.map(|total| format!("{}: {}", total.period, day_count(total.days))).collect();
        if partial.len() > NAMED {
            texts.push(format!("and {} more", partial.len() - NAMED));
        }
        self.paragraph(&format!("Only some days of {}", texts.join(", ")), y + LINE + 2.0)
    }
}

fn day_count(count: u32) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

/// Writes the text that the pointer shows of a period.
fn tooltip(total: &PeriodTotal) -> String {
    let mut lines = vec![match total.period.length {
        PeriodLength::Day => total.period.start.strftime("%A, %-d %B %Y").to_string(),
        _ => total.period.to_string(),
    }];
    let energy = total.energy;
    let kwh = |what, kwh: Option<f64>| Some(format!("{what}: {} kWh", grouped(kwh?, 2)));
    lines.extend(
        [
            kwh("Diverted", energy.diverted),
            kwh("Generated", energy.generation),
            kwh("Imported", energy.import),
            kwh("Exported", energy.export),
        ]
        .into_iter()
        .flatten(),
    );
    if total.is_partial() {
        lines.push(format!("{} of {}", total.days, day_count(total.period.days())));
    }
    if total.is_incomplete() {
        lines.push(match total.days {
            1 => "incomplete: energy may be missing".to_owned(),
            days => format!("{} of {days} days incomplete", days - total.complete_days),
        });
    }
    lines.join("\n")
}
