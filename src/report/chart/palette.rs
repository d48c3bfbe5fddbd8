//! Colours that stay apart for every kind of colour vision, by lightness too (after Okabe and Ito),
//! and the type.

use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontStyle, IntoFont, RGBColor, TextStyle};

pub(super) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
pub(super) const INK: RGBColor = RGBColor(0x22, 0x2B, 0x33);
pub(super) const QUIET_INK: RGBColor = RGBColor(0x66, 0x70, 0x7A);
pub(super) const GRID: RGBColor = RGBColor(0xE7, 0xEA, 0xED);
pub(super) const AXIS: RGBColor = RGBColor(0xAE, 0xB6, 0xBD);
/// Behind periods of which the history knows nothing.
pub(super) const NO_DATA: RGBColor = RGBColor(0xF3, 0xF4, 0xF6);

pub(super) const DIVERTED: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
pub(super) const GENERATION: RGBColor = RGBColor(0xF3, 0xDC, 0x8E);
pub(super) const IMPORT: RGBColor = RGBColor(0x7F, 0x8F, 0xA6);
pub(super) const EXPORT: RGBColor = RGBColor(0xA9, 0xD6, 0xCB);

/// plotters draws a size of 1.24 as one pixel.
const SIZE_OF_PIXEL: f64 = 1.24;

/// Text in pixels, anchored at its middle height.
pub(super) fn text(
    pixels: u32,
    style: FontStyle,
    color: RGBColor,
    side: HPos,
) -> TextStyle<'static> {
    const SANS: FontFamily = FontFamily::Name("Helvetica, Arial, 'DejaVu Sans', sans-serif");
    TextStyle {
        font: (SANS, f64::from(pixels) * SIZE_OF_PIXEL, style).into_font(),
        color: color.to_backend_color(),
        pos: Pos::new(side, VPos::Center),
    }
}

/// Halfway to the paper.
pub(super) fn lighter(color: RGBColor) -> RGBColor {
    let mix = |channel: u8| channel / 2 + u8::MAX / 2 + 1;
    RGBColor(mix(color.0), mix(color.1), mix(color.2))
}

/// About how many pixels wide a text of 12 or 13 pixels is: who draws it chooses the font.
pub(super) fn width_of(text: &str) -> i32 {
    const LETTER: i32 = 7;
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX).saturating_mul(LETTER)
}
