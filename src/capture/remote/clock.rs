//! The remote clock, compared with ours.

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::RemoteAddress;

/// Times may be this far ahead of ours.
const AHEAD: SignedDuration = SignedDuration::from_secs(2);

/// Times may be this far behind ours: a stream may be held up, and its beginning may be old.
const BEHIND: SignedDuration = SignedDuration::from_mins(1);

/// A first packet that is later than this is worth a word.
const LATE: SignedDuration = SignedDuration::from_secs(5);

/// Corrections that are logged of one connection.
const MOST_LOGGED: u32 = 3;

/// The remote clock. Times that cannot be are shifted to ours, and keep their distances until the
/// remote clock jumps.
#[derive(Debug, Default)]
pub(super) struct RemoteClock {
    /// Correction that is added to the remote times.
    correction: SignedDuration,
    /// Packets of this connection.
    packets: u64,
    logged: u32,
}

impl RemoteClock {
    /// Another connection begins: its clock may have been set.
    pub(super) fn reconnected(&mut self) {
        *self = Self::default();
    }

    /// Returns when a packet that arrives at `now` was captured, by our clock, to the microsecond.
    pub(super) fn time(
        &mut self,
        remote: Option<Timestamp>,
        now: Timestamp,
        address: &RemoteAddress,
    ) -> Timestamp {
        let first = self.packets == 0;
        self.packets += 1;
        let Some(remote) = remote else { return microseconds(now) };
        let corrected = remote.checked_add(self.correction).unwrap_or(now);
        let ahead = corrected.duration_since(now);
        if (-BEHIND..=AHEAD).contains(&ahead) {
            if first && ahead < -LATE {
                let late = -ahead.as_secs();
                warn!(
                    %address,
                    "the first packet is {late} s old: the remote clock is behind, or the stream is \
                     delayed (`tcpdump -U` sends packets at once)"
                );
            }
            return microseconds(corrected);
        }
        self.correction = now.duration_since(remote);
        self.logged += 1;
        if self.logged <= MOST_LOGGED {
            let skew = -self.correction;
            let side = if skew.is_negative() { "behind" } else { "ahead of" };
            let skew = SignedDuration::from_secs(skew.abs().as_secs());
            warn!(
                %address,
                "the remote clock is {skew:#} {side} the local clock: its times are shifted by this \
                 difference. Set the remote clock"
            );
        }
        microseconds(now)
    }
}

fn microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn impossible_times_are_shifted_together() {
        let address = RemoteAddress::Connect("router:3002".to_owned());
        let mut clock = RemoteClock::default();
        let mut time = |remote, now| clock.time(Some(at(remote)), at(now), &address);
        assert_eq!(time(1, 2), at(1), "it took a second to come");
        assert_eq!(time(40, 90), at(40), "the stream was held up");
        // The clock is set an hour back: whatever comes is from now on.
        assert_eq!(time(-3500, 100), at(100));
        assert_eq!(time(-3498, 110), at(102), "two seconds later by its own clock");
        // It is set to the year 2004, then right again.
        assert_eq!(time(-700_000_000, 120), at(120));
        assert_eq!(time(130, 131), at(131));
        assert_eq!(time(132, 133), at(133), "shifted by the second that the packet took");
        clock.reconnected();
        assert_eq!(clock.time(Some(at(140)), at(141), &address), at(140));
        assert_eq!(clock.time(None, at(150), &address), at(150));
    }
}
