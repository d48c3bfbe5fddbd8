//! Bars, pixel by pixel: edges that fall between pixels would blur.

use plotters::coord::Shift;
use plotters::prelude::{
    DrawingArea, DrawingAreaErrorKind, DrawingBackend, PathElement, Rectangle,
};
use plotters::style::{Color, RGBColor};

use super::palette::lighter;

pub(super) type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// Whether a bar says all there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    Whole,
    /// Energy may be missing: drawn lighter and hatched.
    Partial,
}

/// A box in pixels: its upper left corner, and the one past its lower right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
}

/// Pixels between the lines of a hatching, across.
const HATCH: i32 = 5;
/// A narrower bar is lighter only.
const HATCHED_FROM: i32 = 5;

impl Bar {
    pub(super) fn draw<DB: DrawingBackend>(
        self,
        area: &DrawingArea<DB, Shift>,
        color: RGBColor,
        certainty: Certainty,
    ) -> Drawn<DB> {
        if self.left >= self.right || self.top >= self.bottom {
            return Ok(());
        }
        match certainty {
            Certainty::Whole => self.fill(area, color),
            Certainty::Partial => {
                self.fill(area, lighter(color))?;
                self.hatch(area, color)
            }
        }
    }

    fn fill<DB: DrawingBackend>(self, area: &DrawingArea<DB, Shift>, color: RGBColor) -> Drawn<DB> {
        let corners = [(self.left, self.top), (self.right, self.bottom)];
        area.draw(&Rectangle::new(corners, color.filled()))
    }

    fn hatch<DB: DrawingBackend>(
        self,
        area: &DrawingArea<DB, Shift>,
        color: RGBColor,
    ) -> Drawn<DB> {
        if self.right - self.left < HATCHED_FROM {
            return Ok(());
        }
        // Every line x + y = k, cut to the box. Counting k from the origin of the chart makes the
        // lines of neighbouring boxes meet.
        let first = (self.left + self.top) / HATCH + 1;
        let last = (self.right + self.bottom) / HATCH;
        for sum in (first..=last).map(|line| line * HATCH) {
            let left = self.left.max(sum - self.bottom);
            let right = self.right.min(sum - self.top);
            if left < right {
                area.draw(&PathElement::new(
                    vec![(left, sum - left), (right, sum - right)],
                    color.stroke_width(1),
                ))?;
            }
        }
        Ok(())
    }
}
