//! Reports as a chart, in SVG.
//!
//! Each device has two panels over one calendar: what was generated with what was diverted in
//! front of it, and below what came from the grid (upward) and what went to it (downward).

mod bars;
mod calendar;
mod layout;
mod page;
mod palette;
mod panel;

use std::io::{self, Write};

use plotters::prelude::{DrawingAreaErrorKind, IntoDrawingArea, SVGBackend};

use super::energy::EnergyDay;
use super::period::{PeriodLength, PeriodTotal, totals};
use calendar::Calendar;
use page::Page;

/// The most bars that can be told apart.
const MAX_BARS: usize = 400;

/// Writes the chart. Periods too many to be told apart are drawn by month or year, and the chart
/// says so.
pub(super) fn write(days: &[EnergyDay], step: PeriodLength, out: &mut dyn Write) -> io::Result<()> {
    let (totals, calendar) = fit(days, step);
    let page = Page::new(&totals, calendar, step);
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, page.size()).into_drawing_area();
    page.draw(&root).and_then(|()| root.present()).map_err(|error| match error {
        DrawingAreaErrorKind::BackendError(error) => io::Error::other(error),
        error => io::Error::other(error.to_string()),
    })?;
    drop(root);
    out.write_all(svg.as_bytes())
}

/// The totals by the finest step, not finer than `step`, that leaves few enough bars.
fn fit(days: &[EnergyDay], step: PeriodLength) -> (Vec<PeriodTotal>, Option<Calendar>) {
    let totals = totals(days, step);
    let calendar = Calendar::of(&totals, step);
    let coarser = match step {
        PeriodLength::Day => PeriodLength::Month,
        PeriodLength::Month | PeriodLength::Year => PeriodLength::Year,
    };
    if coarser != step && calendar.is_some_and(|calendar| calendar.slots() > MAX_BARS) {
        return fit(days, coarser);
    }
    (totals, calendar)
}
