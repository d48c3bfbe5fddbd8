//! Plausibility of a clock.
//!
//! A small computer without a battery starts in the past and is set right later. What a live
//! gateway captures before that belongs to no date.

use std::sync::LazyLock;

use jiff::Timestamp;

static RELEASED: LazyLock<Timestamp> = LazyLock::new(|| {
    let second = env!("ENERGI_RELEASED").parse().unwrap_or_default();
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
});

/// The day on which this release was built: `SOURCE_DATE_EPOCH` where that was given. No clock
/// that is right says less.
#[must_use]
pub fn released() -> Timestamp {
    *RELEASED
}
