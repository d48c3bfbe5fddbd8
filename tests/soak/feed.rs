//! Frames of the household, as a stream of a capture, a stage at a time.

use std::collections::BTreeMap;
use std::ops::Range;

use energi_gateway::capture::simulator::truth::DayTruth;
use energi_gateway::capture::simulator::{Household, Settings};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// Offset of the length byte of a frame's first record.
const LENGTH: usize = 14 + 0x18;

/// The packets that become readings, each with a key that no other has.
pub(crate) const PACKETS: [(u8, &str); 3] =
    [(0x22, "gen_pwr"), (0x20, "heater1"), (0x1F, "voltage")];

/// The household and how far it has come.
pub(crate) struct Feed {
    household: Household,
    now: Timestamp,
    end: Timestamp,
    /// The dates that are simulated whole.
    pub(crate) dates: Range<Date>,
    /// A frame that was made and belongs to the next stage.
    held: Option<(Timestamp, Vec<u8>)>,
    frames: u64,
    readings: u64,
}

/// The frames of some hours.
pub(crate) struct Stage {
    /// Packets as pcap holds them, without a header.
    pub(crate) bytes: Vec<u8>,
    /// Time span in milliseconds.
    pub(crate) span: Range<i64>,
    /// Times of the captures of readings, in microseconds, by their length byte.
    pub(crate) readings: BTreeMap<u8, Vec<i64>>,
}

impl Stage {
    /// Returns how many readings there are.
    pub(crate) fn count(&self) -> usize {
        self.readings.values().map(Vec::len).sum()
    }
}

impl Feed {
    pub(crate) fn new(first: Date, days: i32, zone: &TimeZone) -> Self {
        let last = first.checked_add(Span::new().days(days)).unwrap();
        let midnight = |date: Date| date.to_zoned(zone.clone()).unwrap().timestamp();
        let settings = Settings::new(midnight(first), zone.clone());
        Self {
            household: Household::new(settings),
            now: midnight(first),
            end: midnight(last),
            dates: first..last,
            held: None,
            frames: 0,
            readings: 0,
        }
    }

    /// The frames of the next hours; `None` at the end.
    pub(crate) fn stage(&mut self, hours: i64) -> Option<Stage> {
        let until = (self.now + SignedDuration::from_hours(hours)).min(self.end);
        if self.now == until {
            return None;
        }
        let span = self.now.as_millisecond()..until.as_millisecond();
        let mut stage = Stage { bytes: Vec::new(), span, readings: BTreeMap::new() };
        loop {
            let (time, frame) = self.held.take().unwrap_or_else(|| {
                let (time, frame) = self.household.next_frame().unwrap();
                (time, frame.to_vec())
            });
            if time >= until {
                self.held = Some((time, frame));
                break;
            }
            captured(time, &frame, &mut stage.bytes);
            self.frames += 1;
            if PACKETS.iter().any(|(length, _)| *length == frame[LENGTH]) {
                stage.readings.entry(frame[LENGTH]).or_default().push(time.as_microsecond());
                self.readings += 1;
            }
        }
        self.now = until;
        Some(stage)
    }

    /// Returns what really happened on the dates that were simulated whole.
    pub(crate) fn truth(&self) -> Vec<DayTruth> {
        let mut days = self.household.truth();
        days.retain(|day| self.dates.contains(&day.date));
        days
    }

    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    pub(crate) fn readings(&self) -> u64 {
        self.readings
    }
}

/// The header of a pcap stream of Ethernet frames, times in microseconds.
pub(crate) const PCAP: [u8; 24] =
    [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];

fn captured(time: Timestamp, frame: &[u8], stream: &mut Vec<u8>) {
    let seconds = u32::try_from(time.as_second()).unwrap();
    let microseconds = u32::try_from(time.subsec_microsecond()).unwrap();
    let length = u32::try_from(frame.len()).unwrap();
    for number in [seconds, microseconds, length, length] {
        stream.extend(number.to_le_bytes());
    }
    stream.extend(frame);
}
