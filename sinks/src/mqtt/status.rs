//! Publication of a change of an eddi's state.

use super::throttle::{Change, Reported};
use crate::eddi_state::EddiState;

/// A change of a flag is published at once, one of power at the interval.
impl Reported for EddiState {
    fn change(&self, sent: &Self, _deadband: f64) -> Change {
        match (self, sent) {
            _ if self == sent => Change::None,
            (Self::Diverting, Self::Paused) | (Self::Paused, Self::Diverting) => Change::Moved,
            _ => Change::Urgent,
        }
    }
}
