//! A device's pair of panels.

use indicatif::HumanFloatCount;
use plotters::coord::Shift;
use plotters::prelude::{ChartBuilder, DrawingArea, DrawingBackend, PathElement, Text};
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, FontStyle, RGBColor, TRANSPARENT};

use super::bars::{Bar, Certainty, Drawn};
use super::layout::{BETWEEN, Columns, ENERGY_HEIGHT, GRID_HEIGHT, HEADING, Scales};
use super::palette::{
    AXIS, DIVERTED, EXPORT, GENERATION, GRID, IMPORT, INK, NO_DATA, QUIET_INK, text, width_of,
};
use crate::report::energy::Energy;
use crate::report::period::PeriodTotal;

/// How far above a panel its unit stands.
const UNIT: i32 = 13;
/// Between the numbers of the vertical axis and the panel, as plotters draws them.
const LABEL_DISTANCE: i32 = 10;

/// A device's totals, by period.
pub(super) struct Device<'a> {
    pub(super) totals: &'a [PeriodTotal],
}

impl<'a> Device<'a> {
    pub(super) fn new(totals: &'a [PeriodTotal]) -> Self {
        Self { totals }
    }

    /// Draws the panels below `top`.
    pub(super) fn draw<DB: DrawingBackend>(
        &self,
        page: &DrawingArea<DB, Shift>,
        columns: &Columns,
        scales: &Scales,
        top: i32,
    ) -> Drawn<DB> {
        self.draw_heading(page, columns, top + HEADING - UNIT)?;
        let mut bottom = top + HEADING + ENERGY_HEIGHT;
        let energy = Panel { top: top + HEADING, bottom, low: 0.0, high: scales.energy };
        self.draw_gaps(page, columns, &energy)?;
        energy.draw_axis(page, columns)?;
        self.draw_bars(page, columns, &energy, Layer::Behind, GENERATION, |e| e.generation)?;
        self.draw_bars(page, columns, &energy, Layer::Front, DIVERTED, |e| e.diverted)?;
        energy.draw_zero(page, columns)?;

        if let Some((import, export)) = scales.grid {
            let top = bottom + BETWEEN;
            bottom = top + GRID_HEIGHT;
            let grid = Panel { top, bottom, low: -export, high: import };
            self.draw_gaps(page, columns, &grid)?;
            grid.draw_axis(page, columns)?;
            self.draw_bars(page, columns, &grid, Layer::Behind, IMPORT, |e| e.import)?;
            self.draw_bars(page, columns, &grid, Layer::Behind, EXPORT, |e| {
                e.export.map(|kwh| -kwh)
            })?;
            grid.draw_zero(page, columns)?;
        }
        draw_labels(page, columns, bottom)
    }

    fn draw_heading<DB: DrawingBackend>(
        &self,
        page: &DrawingArea<DB, Shift>,
        columns: &Columns,
        middle: i32,
    ) -> Drawn<DB> {
        let Some(first) = self.totals.first() else { return Ok(()) };
        let device = format!("Device {}", first.serial);
        let style = text(15, FontStyle::Bold, INK, HPos::Left);
        page.draw(&Text::new(device, (columns.left, middle), style))?;

        let sum: Energy = self.totals.iter().map(|total| total.energy).sum();
        let sums = [
            (sum.diverted, "diverted"),
            (sum.generation, "generated"),
            (sum.import, "imported"),
            (sum.export, "exported"),
        ];
        let sums: Vec<String> = sums
            .iter()
            .filter_map(|(kwh, what)| Some(format!("{:.1} kWh {what}", HumanFloatCount((*kwh)?))))
            .collect();
        let style = text(13, FontStyle::Normal, QUIET_INK, HPos::Right);
        page.draw(&Text::new(sums.join("  ·  "), (columns.right(), middle), style))
    }

    /// Marks the periods of which the history knows nothing.
    fn draw_gaps<DB: DrawingBackend>(
        &self,
        page: &DrawingArea<DB, Shift>,
        columns: &Columns,
        panel: &Panel,
    ) -> Drawn<DB> {
        let slot = |total: &PeriodTotal| columns.calendar().slot(total.period.start);
        let ends = self.totals.iter().map(|total| slot(total) + 1);
        let starts = self.totals.iter().map(slot).chain([columns.slots()]);
        for (start, end) in std::iter::once(0).chain(ends).zip(starts) {
            let (left, right) = (columns.edge(start), columns.edge(end));
            Bar { left, top: panel.top, right, bottom: panel.bottom }.draw(
                page,
                NO_DATA,
                Certainty::Whole,
            )?;
        }
        Ok(())
    }

    fn draw_bars<DB: DrawingBackend>(
        &self,
        page: &DrawingArea<DB, Shift>,
        columns: &Columns,
        panel: &Panel,
        layer: Layer,
        color: RGBColor,
        kwh: impl Fn(&Energy) -> Option<f64>,
    ) -> Drawn<DB> {
        for total in self.totals {
            let Some(all) = kwh(&total.energy) else { continue };
            let whole = kwh(&total.complete_energy).unwrap_or(0.0);
            let (left, right) = columns.bar(columns.calendar().slot(total.period.start));
            let inset = layer.inset(right - left);
            let bar = |from: f64, to: f64| {
                let (from, to) = (panel.y(from), panel.y(to));
                let (top, bottom) = (from.min(to), from.max(to));
                Bar { left: left + inset, top, right: right - inset, bottom }
            };
            bar(0.0, whole).draw(page, color, Certainty::Whole)?;
            bar(whole, all).draw(page, color, Certainty::Partial)?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Layer {
    Behind,
    /// Narrower, so that what is behind it can be seen.
    Front,
}

impl Layer {
    /// How much narrower than `width`, on each side.
    fn inset(self, width: i32) -> i32 {
        match self {
            Self::Front if width >= 7 => width / 5,
            Self::Behind | Self::Front => 0,
        }
    }
}

/// A stretch of the page with a vertical axis in kWh.
#[derive(Debug, Clone, Copy)]
struct Panel {
    top: i32,
    bottom: i32,
    low: f64,
    high: f64,
}

impl Panel {
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    fn y(&self, kwh: f64) -> i32 {
        let share = (kwh.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        self.bottom - (share * f64::from(self.bottom - self.top)).round() as i32
    }

    /// Lines across the panel at round numbers, and the numbers.
    fn draw_axis<DB: DrawingBackend>(
        &self,
        page: &DrawingArea<DB, Shift>,
        columns: &Columns,
    ) -> Drawn<DB> {
        let size = ((columns.right()).unsigned_abs(), (self.bottom - self.top).unsigned_abs());
        let area = page.clone().shrink((0, self.top), size);
        let mut chart = ChartBuilder::on(&area)
            .y_label_area_size(columns.left)
            .build_cartesian_2d(0..columns.width, self.low..self.high)?;
        let style = text(12, FontStyle::Normal, QUIET_INK, HPos::Right);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .y_labels(usize::try_from((self.bottom - self.top) / 36).unwrap_or(1))
            .y_label_formatter(&|kwh| HumanFloatCount(kwh.abs()).to_string())
            .label_style(style.clone())
            .axis_style(TRANSPARENT)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()?;
        // Above the numbers: beside them it would have to be turned.
        page.draw(&Text::new("kWh", (columns.left - LABEL_DISTANCE, self.top - UNIT), style))
    }

    fn draw_zero<DB: DrawingBackend>(
        &self,
        page: &DrawingArea<DB, Shift>,
        columns: &Columns,
    ) -> Drawn<DB> {
        let zero = self.y(0.0);
        page.draw(&PathElement::new(
            vec![(columns.left, zero), (columns.right(), zero)],
            AXIS.stroke_width(1),
        ))
    }
}

/// The two rows of labels below `bottom`.
fn draw_labels<DB: DrawingBackend>(
    page: &DrawingArea<DB, Shift>,
    columns: &Columns,
    bottom: i32,
) -> Drawn<DB> {
    let labels = columns.calendar().labels(columns.pitch.unsigned_abs());
    let style = text(12, FontStyle::Normal, QUIET_INK, HPos::Center);
    for label in &labels.fine {
        let (left, right) = (columns.edge(label.slot), columns.edge(label.slot + label.slots));
        page.draw(&Text::new(
            label.text.clone(),
            (i32::midpoint(left, right), bottom + 13),
            style.clone(),
        ))?;
    }
    let style = text(12, FontStyle::Bold, INK, HPos::Left);
    let ends = labels.coarse.iter().skip(1).map(|next| columns.edge(next.slot));
    for (label, end) in labels.coarse.iter().zip(ends.chain([columns.right()])) {
        let left = columns.edge(label.slot);
        page.draw(&PathElement::new(
            vec![(left, bottom + 24), (left, bottom + 40)],
            AXIS.stroke_width(1),
        ))?;
        // The first and the last may be too short for their text.
        let at = (left + 6, bottom + 32);
        if at.0 + width_of(&label.text) <= end {
            page.draw(&Text::new(label.text.clone(), at, style.clone()))?;
        }
    }
    Ok(())
}
