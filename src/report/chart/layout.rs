//! Where everything stands on the page, in pixels.

use super::calendar::Calendar;
use crate::report::energy::Energy;
use crate::report::period::PeriodTotal;

/// What no axis goes beyond, in kWh: with numbers near the largest plotters never ends.
const MOST: f64 = 1e9;

pub(super) const HEADING: i32 = 26;
pub(super) const ENERGY_HEIGHT: i32 = 230;
pub(super) const BETWEEN: i32 = 30;
pub(super) const GRID_HEIGHT: i32 = 120;
const LABELS: i32 = 46;
const BELOW: i32 = 22;

/// Where the slots of the calendar lie across the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    calendar: Calendar,
    /// Left edge of the panels.
    pub(super) left: i32,
    /// Pixels from one slot to the next.
    pub(super) pitch: i32,
    pub(super) width: i32,
}

impl Columns {
    /// Panels as narrow as this leave room for the legend, and for a device and its totals on a line.
    pub(super) const NARROWEST: i32 = 800;
    /// Three pixels for each day of a leap year.
    const WIDEST: i32 = 3 * 366;
    const WIDEST_BAR: i32 = 64;

    pub(super) fn new(calendar: Calendar, left: i32) -> Self {
        let slots = i32::try_from(calendar.slots()).unwrap_or(i32::MAX);
        // Whole pixels: bars of equal width, equally far apart.
        let pitch = (Self::WIDEST / slots).clamp(2, 2 * Self::WIDEST_BAR);
        let width = pitch.saturating_mul(slots).max(Self::NARROWEST);
        Self { calendar, left, pitch, width }
    }

    pub(super) fn calendar(&self) -> Calendar {
        self.calendar
    }

    pub(super) fn slots(&self) -> usize {
        self.calendar.slots()
    }

    pub(super) fn right(&self) -> i32 {
        self.left + self.width
    }

    /// The left edge of a slot. Few slots stand in the middle.
    pub(super) fn edge(&self, slot: usize) -> i32 {
        let across = |slots: usize| i32::try_from(slots).unwrap_or(i32::MAX) * self.pitch;
        self.left + (self.width - across(self.slots())) / 2 + across(slot)
    }

    /// Left and right of the bar in a slot.
    pub(super) fn bar(&self, slot: usize) -> (i32, i32) {
        let gap = match self.pitch {
            ..=3 => 0,
            4..=5 => 1,
            pitch => pitch / 4,
        };
        let width = (self.pitch - gap).min(Self::WIDEST_BAR);
        let left = self.edge(slot) + (self.pitch - width) / 2;
        (left, left + width)
    }
}

/// What the panels' vertical axes reach to, in kWh: the same for all devices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scales {
    pub(super) energy: f64,
    /// Import and export; `None` where neither is known.
    pub(super) grid: Option<(f64, f64)>,
}

impl Scales {
    pub(super) fn of(totals: &[PeriodTotal]) -> Self {
        let most = |of: fn(&Energy) -> Option<f64>| {
            totals.iter().filter_map(|total| of(&total.energy)).reduce(f64::max)
        };
        let import = most(|energy| energy.import);
        let export = most(|energy| energy.export);
        let diverted = most(|energy| energy.diverted);
        let generation = most(|energy| energy.generation);
        let energy = diverted.into_iter().chain(generation).fold(0.0, f64::max);
        let with_room = |most: f64| most.clamp(0.1, MOST) * 1.06;
        let grid = (import.is_some() || export.is_some()).then(|| {
            let (import, export) = (import.unwrap_or(0.0), export.unwrap_or(0.0));
            // Neither side so flat that its labels touch the zero line.
            let least = import.max(export) / 8.0;
            (with_room(import.max(least)), with_room(export.max(least)))
        });
        Self { energy: with_room(energy), grid }
    }

    /// Of a device, in pixels.
    pub(super) fn height(&self) -> i32 {
        let grid = if self.grid.is_some() { BETWEEN + GRID_HEIGHT } else { 0 };
        HEADING + ENERGY_HEIGHT + grid + LABELS + BELOW
    }
}
