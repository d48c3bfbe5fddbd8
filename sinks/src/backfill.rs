//! Destinations that take what a history holds: readings that they have missed, and days of energy.

use async_trait::async_trait;

use crate::energy::EnergyDay;
use crate::queue::Payload;
use crate::runner::{Encoder, SendError};
use crate::sqlite::StoredReading;

/// An encoder that takes stored readings, too.
#[async_trait]
pub trait Backfill: Encoder {
    /// Reason why a stored reading is left out.
    const LEFT_OUT: &'static str;

    /// `true` where days of energy are sent, too.
    const TAKES_DAYS: bool = false;

    /// Encodes stored readings as [`Encoder::encode`] encodes live ones: one line an item. One that
    /// has no place at the destination is left out.
    fn encode_stored(&self, readings: &[StoredReading]) -> Payload;

    /// Sends days of energy, which replace those that the destination has of the same devices and
    /// dates.
    ///
    /// # Errors
    /// [`SendError`]: the destination has none of them.
    async fn send_days(&self, _days: &[EnergyDay]) -> Result<(), SendError> {
        Ok(())
    }
}
