//! Places that are spread evenly, and so that they meet no rhythm of the day.

/// The `index`th of any number of places from 0 to 1, spread by the golden ratio.
#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
pub(super) fn place(index: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    ((index + 1) as f64 * GOLDEN).fract()
}
