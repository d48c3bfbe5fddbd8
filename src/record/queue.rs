//! The frames between the capture thread and the disk.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// The most that waits, in bytes with [`OVERHEAD`]: 15 s of 5,000 frames a second, hours of a
/// household.
const CAPACITY: usize = 8 << 20;

/// Memory of a frame beside its bytes.
const OVERHEAD: usize = size_of::<(Timestamp, usize)>();

/// Frames one after the other in one piece of memory, used again and again.
#[derive(Debug, Default)]
pub struct FrameBatch {
    bytes: Vec<u8>,
    /// Times of the captures, and the ends of the frames.
    ends: Vec<(Timestamp, usize)>,
}

impl FrameBatch {
    /// Adds a frame; false where it would be more than `capacity`.
    fn push(&mut self, time: Timestamp, frame: &[u8], capacity: usize) -> bool {
        let size = self.bytes.len() + self.ends.len() * OVERHEAD;
        if size + frame.len() + OVERHEAD > capacity {
            return false;
        }
        self.bytes.extend_from_slice(frame);
        self.ends.push((time, self.bytes.len()));
        true
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// The frames in order.
    pub fn frames(&self) -> impl Iterator<Item = (Timestamp, &[u8])> {
        self.ends.iter().scan(0, |start, &(time, end)| {
            let frame = self.bytes.get(mem::replace(start, end)..end)?;
            Some((time, frame))
        })
    }
}

#[derive(Debug, Default)]
struct State {
    batch: FrameBatch,
    closed: bool,
    dropped: u64,
}

/// A bounded queue of frames: the producer never waits for the consumer.
#[derive(Debug)]
pub struct FrameQueue {
    capacity: usize,
    state: Mutex<State>,
    closed: Condvar,
}

impl Default for FrameQueue {
    fn default() -> Self {
        Self { capacity: CAPACITY, state: Mutex::default(), closed: Condvar::new() }
    }
}

impl FrameQueue {
    /// Puts a frame in. A frame that finds no room is counted as dropped.
    pub fn push(&self, time: Timestamp, frame: &[u8]) {
        let mut state = self.state();
        if !state.batch.push(time, frame, self.capacity) {
            state.dropped += 1;
        }
    }

    /// Says that no more will come.
    pub fn close(&self) {
        self.state().closed = true;
        self.closed.notify_all();
    }

    /// Frames that found no room.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// Lets frames gather for as long as `gather`, then swaps them for those in `batch`, which are
    /// forgotten. Returns whether more can come.
    pub fn take(&self, batch: &mut FrameBatch, gather: Duration) -> bool {
        batch.clear();
        let state = self.state();
        let waited = self.closed.wait_timeout_while(state, gather, |state| !state.closed);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // Only this is done under the lock: the capture thread waits for no more than a swap.
        mem::swap(&mut state.batch, batch);
        !state.closed
    }

    /// No code panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn taken(batch: &FrameBatch) -> Vec<(i64, Vec<u8>)> {
        batch.frames().map(|(time, frame)| (time.as_second(), frame.to_vec())).collect()
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let (queue, mut batch) = (FrameQueue::default(), FrameBatch::default());
        queue.push(at(1), &[1, 2, 3]);
        queue.push(at(2), &[]);
        assert!(queue.take(&mut batch, Duration::ZERO));
        assert_eq!(taken(&batch), [(1, vec![1, 2, 3]), (2, vec![])]);
        queue.push(at(3), &[4]);
        queue.close();
        assert!(!queue.take(&mut batch, Duration::from_hours(1)));
        assert_eq!(taken(&batch), [(3, vec![4])]);
    }

    #[test]
    fn frames_that_find_no_room_are_counted() {
        let queue = FrameQueue { capacity: 3 * (OVERHEAD + 10), ..FrameQueue::default() };
        for second in 0..5 {
            queue.push(at(second), &[0; 10]);
        }
        assert_eq!(queue.dropped(), 2);
        let mut batch = FrameBatch::default();
        queue.take(&mut batch, Duration::ZERO);
        assert_eq!(taken(&batch).len(), 3);
        queue.push(at(9), &[7; 10]);
        queue.take(&mut batch, Duration::ZERO);
        assert_eq!(taken(&batch), [(9, vec![7; 10])]);
    }
}
