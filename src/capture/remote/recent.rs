//! Packets that came already: streams overlap when they are started again.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;

/// Packets that are remembered: a quarter of an hour of a household.
const REMEMBERED: usize = 2048;

/// The packets that came last, by capture time and content.
#[derive(Debug, Default)]
pub(super) struct RecentPackets {
    order: VecDeque<u64>,
    known: HashSet<u64>,
    hasher: RandomState,
}

impl RecentPackets {
    /// Returns whether a packet has not come yet. One without a time always is: the same reading
    /// may come twice.
    pub(super) fn is_new(&mut self, time: Option<Timestamp>, bytes: &[u8]) -> bool {
        let Some(time) = time else { return true };
        let packet = self.hasher.hash_one((time.as_nanosecond(), bytes));
        if !self.known.insert(packet) {
            return false;
        }
        self.order.push_back(packet);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}
