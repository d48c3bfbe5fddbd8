//! The page: title, legend, and a pair of panels for each device.

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, Text};
use plotters::style::text_anchor::HPos;
use plotters::style::{FontStyle, RGBColor};

use super::bars::{Bar, Certainty, Drawn};
use super::calendar::Calendar;
use super::layout::{Columns, Scales};
use super::palette::{
    DIVERTED, EXPORT, GENERATION, IMPORT, INK, NO_DATA, PAPER, QUIET_INK, text, width_of,
};
use super::panel::Device;
use crate::report::period::{PeriodLength, PeriodTotal};

const LEFT: i32 = 64;
const RIGHT: i32 = 28;
const BOTTOM: i32 = 16;
/// Where the first device begins.
const TOP: i32 = 118;
/// The height of a page that has nothing to show.
const EMPTY_HEIGHT: i32 = 240;

/// A chart before it is drawn.
pub(super) struct Page<'a> {
    devices: Vec<Device<'a>>,
    columns: Option<Columns>,
    scales: Scales,
    /// The step that was asked for: the calendar's may be coarser.
    step: PeriodLength,
}

impl<'a> Page<'a> {
    pub(super) fn new(
        totals: &'a [PeriodTotal],
        calendar: Option<Calendar>,
        step: PeriodLength,
    ) -> Self {
        Self {
            devices: totals.chunk_by(|a, b| a.serial == b.serial).map(Device::new).collect(),
            columns: calendar.map(|calendar| Columns::new(calendar, LEFT)),
            scales: Scales::of(totals),
            step,
        }
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        let (width, height) = match &self.columns {
            Some(columns) => {
                let devices = i32::try_from(self.devices.len()).unwrap_or(i32::MAX);
                (columns.right() + RIGHT, TOP + devices * self.scales.height() + BOTTOM)
            }
            None => (Columns::NARROWEST + LEFT + RIGHT, EMPTY_HEIGHT),
        };
        (width.unsigned_abs(), height.unsigned_abs())
    }

    pub(super) fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Drawn<DB> {
        area.fill(&PAPER)?;
        let Some(columns) = &self.columns else { return self.draw_empty(area) };
        self.draw_title(area, columns.calendar())?;
        self.draw_legend(area, columns)?;
        let mut top = TOP;
        for device in &self.devices {
            device.draw(area, columns, &self.scales, top)?;
            top += self.scales.height();
        }
        Ok(())
    }

    fn draw_title<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        calendar: Calendar,
    ) -> Drawn<DB> {
        let title = format!("Diverted energy by {}", name(calendar.step()));
        area.draw(&Text::new(title, (LEFT, 32), text(22, FontStyle::Bold, INK, HPos::Left)))?;
        let mut range = calendar.range();
        if calendar.step() != self.step {
            let (asked, drawn) = (name(self.step), name(calendar.step()));
            range = format!("{range}, drawn by {drawn}: too long to tell each {asked} apart");
        }
        area.draw(&Text::new(range, (LEFT, 59), quiet()))
    }

    fn draw_empty<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Drawn<DB> {
        let title = format!("Diverted energy by {}", name(self.step));
        area.draw(&Text::new(title, (LEFT, 32), text(22, FontStyle::Bold, INK, HPos::Left)))?;
        let middle = (LEFT + Columns::NARROWEST / 2, EMPTY_HEIGHT / 2 + 16);
        let style = text(15, FontStyle::Normal, QUIET_INK, HPos::Center);
        area.draw(&Text::new("The history has no day in this range.", middle, style))
    }

    fn draw_legend<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        columns: &Columns,
    ) -> Drawn<DB> {
        const SWATCH: i32 = 14;
        let totals = || self.devices.iter().flat_map(|device| device.totals);
        let known = |of: fn(&PeriodTotal) -> Option<f64>| totals().any(|total| of(total).is_some());
        let gaps = self.devices.iter().any(|device| device.totals.len() < columns.slots());
        let entries: [(&str, RGBColor, Certainty, bool); 6] = [
            ("Diverted", DIVERTED, Certainty::Whole, true),
            ("Generated", GENERATION, Certainty::Whole, known(|t| t.energy.generation)),
            ("Imported", IMPORT, Certainty::Whole, known(|t| t.energy.import)),
            ("Exported", EXPORT, Certainty::Whole, known(|t| t.energy.export)),
            (
                "On incomplete days",
                DIVERTED,
                Certainty::Partial,
                totals().any(PeriodTotal::is_incomplete),
            ),
            ("No data", NO_DATA, Certainty::Whole, gaps),
        ];
        let (mut left, middle) = (LEFT, 89);
        for (name, color, certainty, shown) in entries {
            if !shown {
                continue;
            }
            let (top, bottom) = (middle - SWATCH / 2, middle + SWATCH / 2);
            Bar { left, top, right: left + SWATCH, bottom }.draw(area, color, certainty)?;
            area.draw(&Text::new(name, (left + SWATCH + 7, middle), quiet()))?;
            left += SWATCH + 7 + width_of(name) + 20;
        }
        Ok(())
    }
}

fn quiet() -> plotters::style::TextStyle<'static> {
    text(13, FontStyle::Normal, QUIET_INK, HPos::Left)
}

fn name(step: PeriodLength) -> &'static str {
    match step {
        PeriodLength::Day => "day",
        PeriodLength::Month => "month",
        PeriodLength::Year => "year",
    }
}
