//! A diverter with a clock of its own, and what it truly diverted on each of its days.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use support::rng::Rng;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// The device's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// The midnight comes so many minutes after the true one; before it where negative.
    pub late: i64,
    /// True if it changes to daylight-saving time.
    pub follows_dst: bool,
}

/// One reading as the device sends it: milliseconds since 1970 and hundredths of a kWh.
pub(crate) type Shown = (i64, i64);

/// Events of a household in some years. Times are milliseconds since 1970.
#[derive(Debug)]
pub(crate) struct Household {
    /// The device's midnights, each with the date that begins.
    pub midnights: Vec<(i64, Date)>,
    /// Times when the heater is on, and its power in watts.
    heating: Vec<(Range<i64>, i64)>,
    /// Restarts of the device, its counter from zero.
    pub restarts: Vec<i64>,
    /// Times when nobody listens.
    pub gaps: Vec<Range<i64>>,
    /// Restarts of the gateway.
    pub gateway_restarts: Vec<i64>,
}

impl Household {
    pub(crate) fn new(
        first: Date,
        days: usize,
        tz: &TimeZone,
        clock: Clock,
        rng: &mut Rng,
    ) -> Self {
        let mut all = Self {
            midnights: Vec::new(),
            heating: Vec::new(),
            restarts: Vec::new(),
            gaps: Vec::new(),
            gateway_restarts: Vec::new(),
        };
        let mut dull_days = 0;
        for date in first.series(1.day()).take(days) {
            let midnight = ms(date.to_zoned(tz.clone()).unwrap().timestamp());
            let device_midnight = if clock.follows_dst {
                midnight
            } else {
                ms(date.to_zoned(TimeZone::UTC).unwrap().timestamp())
            } + clock.late * MINUTE;
            all.midnights.push((device_midnight, date));
            if dull_days == 0 && rng.one_in(6) {
                dull_days = rng.within(1..14);
            }
            if dull_days > 0 {
                dull_days -= 1;
            } else {
                all.sunny_day(midnight, rng);
            }
            all.boosts(midnight, rng);
            all.mishaps(midnight, device_midnight, rng);
        }
        all.heating.sort_by_key(|(range, _)| range.start);
        all.gaps.sort_by_key(|gap| gap.start);
        all
    }

    fn sunny_day(&mut self, midnight: i64, rng: &mut Rng) {
        let mut time = midnight + 9 * HOUR;
        while time < midnight + 16 * HOUR {
            let lasts = rng.within(2..40) * MINUTE;
            if rng.one_in(2) {
                self.heating.push((time..time + lasts, rng.within(200..3_600)));
            }
            time += lasts;
        }
    }

    fn boosts(&mut self, midnight: i64, rng: &mut Rng) {
        if rng.one_in(5) {
            let start = midnight - rng.within(0..90) * MINUTE;
            self.heating.push((start..start + rng.within(20..120) * MINUTE, 3_600));
        }
        if rng.one_in(9) {
            let start = midnight + 5 * HOUR;
            self.heating.push((start..start + rng.within(5..90) * MINUTE, 3_600));
        }
    }

    fn mishaps(&mut self, midnight: i64, device_midnight: i64, rng: &mut Rng) {
        if rng.one_in(12) {
            self.restarts.push(midnight + 12 * HOUR + rng.within(0..40) * MINUTE);
        }
        if rng.one_in(5) {
            self.gateway_restarts.push(midnight + rng.within(0..86_000_000));
        }
        let mut gap = |start: i64, minutes: i64| {
            let free = self.gaps.iter().all(|gap| gap.end + 10 * MINUTE < start);
            if free {
                self.gaps.push(start..start + minutes * MINUTE);
            }
        };
        if rng.one_in(20) {
            gap(device_midnight - rng.within(1..120) * MINUTE, rng.within(2..240));
        }
        if rng.one_in(15) {
            gap(midnight + 11 * HOUR + rng.within(0..90) * MINUTE, rng.within(2..180));
        }
        if rng.one_in(90) {
            gap(midnight + 14 * HOUR, rng.within(600..5_000));
        }
    }

    /// Every reading of the years, 0x20 each 12 s and 0x1F each 24 s, and the truth: what the
    /// device diverted on each of its own days, in Wh.
    pub(crate) fn live(&self, mut say: impl FnMut(Shown)) -> BTreeMap<Date, i64> {
        let mut truth = BTreeMap::new();
        let mut heating = self.heating.iter().peekable();
        let mut on: Vec<&(Range<i64>, i64)> = Vec::new();
        let mut restarts = self.restarts.iter().peekable();
        let (start, _) = self.midnights[0];
        let end = self.midnights[self.midnights.len() - 1].0 + 24 * HOUR;
        let mut resets = self.midnights.iter().peekable();
        // Energy in watt milliseconds: exact.
        let (mut counter, mut today, mut date) = (0_i64, 0_i64, None);
        let mut tick = start;
        let mut between = false;
        while tick < end {
            // 0x20 every 12 s, and 5 s after every second one a 0x1F.
            let step = if between { 5_000 } else { 7_000 };
            if let Some((_, begins)) = resets.next_if(|(time, _)| *time <= tick) {
                if let Some(date) = date {
                    truth.insert(date, wh(today));
                }
                date = Some(*begins);
                (counter, today) = (0, 0);
            }
            if restarts.next_if(|time| **time <= tick).is_some() {
                counter = 0;
            }
            while let Some(begins) = heating.next_if(|(range, _)| range.start <= tick) {
                on.push(begins);
            }
            on.retain(|(range, _)| range.end > tick);
            // Two plans at once are still one heater.
            let power = on.iter().map(|(_, power)| *power).max().unwrap_or(0);
            counter += power * step;
            today += power * step;
            tick += step;
            if !between || (tick / 12_000) % 2 == 0 {
                say((tick, wh(counter) / 10));
            }
            between = !between;
        }
        if let Some(date) = date {
            truth.insert(date, wh(today));
        }
        truth
    }
}

pub(crate) fn ms(time: Timestamp) -> i64 {
    time.as_millisecond()
}

pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms)
}

fn wh(watt_milliseconds: i64) -> i64 {
    watt_milliseconds / 3_600_000
}
