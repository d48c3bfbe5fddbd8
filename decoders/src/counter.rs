//! Filter for readings of the daily energy counter that cannot be trusted: rules 1 and 2 of energy
//! accounting.
//!
//! The devices send transient zeros and wild values. A heater bounds how fast a true counter
//! rises, so a reading is believed when it may follow the one before it, and otherwise only once
//! a run of readings that agree with one another has lasted for a while.

use jiff::{SignedDuration, Timestamp};

/// The greatest plausible value of the daily counter: 90 kWh.
pub const MAX_ENERGY: WattHours = WattHours(90_000);

/// Longest gap after which the last accepted reading still vouches for the next.
pub const GAP: SignedDuration = SignedDuration::from_secs(300);

/// Readings that a candidate needs, and the time that it must span, to be accepted whole.
const CANDIDATE_READINGS: u32 = 5;
const CANDIDATE_SPAN: SignedDuration = SignedDuration::from_secs(60);

/// An amount of energy; the counter counts in steps of 10 Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WattHours(pub i64);

impl WattHours {
    /// Rounds a counter value in kWh, which is exact in hundredths of one.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    pub fn from_kwh(kwh: f64) -> Self {
        Self((kwh * 1000.0).round() as i64)
    }

    /// Energy in kWh.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a counter is far below 2^53 Wh")]
    pub fn kwh(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// One reading of the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterPoint {
    /// Time of the capture.
    pub time: Timestamp,
    /// Energy that the counter showed.
    pub energy: WattHours,
}

impl CounterPoint {
    /// Rule 1: whether `next` may follow this reading, `0 <= q - p <= 0.01 kWh + 4.2 kW x dt` and
    /// `dt >= 0`.
    #[must_use]
    pub fn may_precede(self, next: Self) -> bool {
        next.energy >= self.energy
            && next.energy.0 - self.energy.0 <= most_after(self.elapsed(next))
    }

    /// Time from this reading to `next`; negative where the clock went backward.
    #[must_use]
    pub fn elapsed(self, next: Self) -> SignedDuration {
        next.time.duration_since(self.time)
    }
}

/// The most that a counter can rise in `elapsed`: 0.01 kWh (one step) and 4.2 kW throughout;
/// below zero, so that nothing can, where time went backward.
#[must_use]
pub fn most_after(elapsed: SignedDuration) -> i64 {
    const STEP: i64 = 10;
    if elapsed.is_negative() {
        return -1;
    }
    let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
    // 4,200 W for one second is 7/6 Wh.
    STEP + i64::try_from(i128::from(micros) * 7 / 6_000_000).unwrap_or(i64::MAX - STEP)
}

/// Rule 2: the filter for one device's readings. Its state is never stored: after a start
/// everything begins as a candidate.
#[derive(Debug, Clone)]
pub struct CounterFilter {
    accepted: Option<CounterPoint>,
    candidate: Candidate,
    /// The gate's first reading after a start, until one follows that may.
    first: First,
    /// Longest gap after which a reading still vouches for the next; `None` for any.
    ///
    /// It holds for the candidate too. After a longer gap everything begins as a candidate: if a
    /// transient zero from before it were extended by true readings from after it, the zero would
    /// be accepted with them, as a reset that never was.
    gap: Option<SignedDuration>,
}

/// State of a counter that is not confirmed since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// No state: this filter needs none.
    Settled,
    /// The newest reading, for the next to follow.
    Waiting(Option<CounterPoint>),
}

/// Readings that agree with one another but not with what was accepted. Only changes of value are
/// kept beside the first and the last, so that a candidate is bounded by the counter's range.
#[derive(Debug, Clone, Default)]
struct Candidate {
    changes: Vec<CounterPoint>,
    last: Option<CounterPoint>,
    readings: u32,
}

impl Candidate {
    fn replace(&mut self, point: CounterPoint) {
        self.changes.clear();
        self.changes.push(point);
        self.last = Some(point);
        self.readings = 1;
    }

    fn extend(&mut self, point: CounterPoint) {
        if self.last.is_none_or(|last| last.energy != point.energy) {
            self.changes.push(point);
        }
        self.last = Some(point);
        self.readings = self.readings.saturating_add(1);
    }

    fn clear(&mut self) {
        self.changes.clear();
        self.last = None;
        self.readings = 0;
    }

    fn is_proven(&self) -> bool {
        match (self.changes.first(), self.last) {
            (Some(first), Some(last)) => {
                self.readings >= CANDIDATE_READINGS && first.elapsed(last) >= CANDIDATE_SPAN
            }
            _ => false,
        }
    }

    fn take(&mut self) -> Vec<CounterPoint> {
        let mut points = std::mem::take(&mut self.changes);
        if let Some(last) = self.last.filter(|last| points.last() != Some(last)) {
            points.push(last);
        }
        self.clear();
        points
    }
}

/// Result of judging a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The reading can follow the last accepted one.
    Accepted,
    /// Proof of a candidate, which is accepted whole: its changes in order, this reading last.
    Proven(Vec<CounterPoint>),
    /// The reading is not trusted yet.
    Withheld,
}

impl CounterFilter {
    /// The filter of energy accounting: an accepted reading vouches for [`GAP`], and the first
    /// reading after a start has to prove itself.
    #[must_use]
    pub fn accounting() -> Self {
        Self {
            accepted: None,
            candidate: Candidate::default(),
            first: First::Settled,
            gap: Some(GAP),
        }
    }

    /// The filter of the quality gate: the first reading after a start waits for a second one that
    /// may follow it, and an accepted one vouches at any age.
    #[must_use]
    pub fn gate() -> Self {
        Self {
            accepted: None,
            candidate: Candidate::default(),
            first: First::Waiting(None),
            gap: None,
        }
    }

    /// Judges the next reading, which must lie in the counter's range.
    pub fn judge(&mut self, point: CounterPoint) -> Judgement {
        if let First::Waiting(before) = self.first {
            if !self.vouches(before, point) {
                self.first = First::Waiting(Some(point));
                return Judgement::Withheld;
            }
            self.first = First::Settled;
            self.accepted = Some(point);
            return Judgement::Accepted;
        }
        if self.vouches(self.accepted, point) {
            self.accepted = Some(point);
            self.candidate.clear();
            return Judgement::Accepted;
        }
        if self.vouches(self.candidate.last, point) {
            self.candidate.extend(point);
        } else {
            self.candidate.replace(point);
        }
        if !self.candidate.is_proven() {
            return Judgement::Withheld;
        }
        self.accepted = Some(point);
        Judgement::Proven(self.candidate.take())
    }

    fn vouches(&self, earlier: Option<CounterPoint>, point: CounterPoint) -> bool {
        earlier.is_some_and(|earlier| {
            let recent = self.gap.is_none_or(|gap| earlier.elapsed(point) <= gap);
            recent && earlier.may_precede(point)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reading of `energy` Wh at `seconds`.
    fn at(seconds: i64, energy: i64) -> CounterPoint {
        CounterPoint {
            time: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds),
            energy: WattHours(energy),
        }
    }

    /// Returns what passes of readings 12 s apart, from time zero.
    fn passed(filter: &mut CounterFilter, energies: &[i64]) -> Vec<i64> {
        (0..)
            .zip(energies)
            .filter(|(index, energy)| filter.judge(at(index * 12, **energy)) != Judgement::Withheld)
            .map(|(_, energy)| *energy)
            .collect()
    }

    fn gate_after(energy: i64) -> CounterFilter {
        let mut filter = CounterFilter::gate();
        assert_eq!(filter.judge(at(-24, energy)), Judgement::Withheld);
        assert_eq!(filter.judge(at(-12, energy)), Judgement::Accepted);
        filter
    }

    #[test]
    fn a_start_needs_a_second_reading_that_may_follow() {
        for (heard, expected) in [
            (&[5_000, 5_000, 5_010][..], &[5_000, 5_010][..]),
            (&[89_000, 5_000, 5_000], &[5_000]),
            (&[0, 5_000, 0, 5_010, 5_010], &[5_010]),
            (&[5_000], &[]),
        ] {
            assert_eq!(passed(&mut CounterFilter::gate(), heard), expected, "{heard:?}");
        }
    }

    #[test]
    fn a_counter_rises_no_faster_than_4_2_kw() {
        let cases = [
            (0, 10, true),
            (0, 11, false),
            (12, 24, true),
            (12, 25, false),
            (300, 360, true),
            (300, 361, false),
            (3_600, 4_210, true),
            (3_600, 4_211, false),
            (86_400, 90_000, true),
            (12, 0, true),
            (12, -10, false),
            (-1, 0, false),
        ];
        for (seconds, rise, may) in cases {
            let (earlier, later) = (at(0, 5_000), at(seconds, 5_000 + rise));
            assert_eq!(earlier.may_precede(later), may, "{rise} Wh after {seconds} s");
        }
    }

    #[test]
    fn no_time_is_too_long_or_too_far_back() {
        let ends = [Timestamp::MIN, Timestamp::MAX]
            .map(|time| CounterPoint { time, energy: WattHours(0) });
        assert!(ends[0].may_precede(ends[1]));
        assert!(!ends[1].may_precede(ends[0]));
        assert_eq!(most_after(SignedDuration::MIN), -1);
        assert!(most_after(SignedDuration::MAX) > MAX_ENERGY.0);
    }

    #[test]
    fn kwh_are_exact_in_the_counters_hundredths() {
        for hundredths in 0..=u16::MAX {
            let kwh = f64::from(hundredths) / 100.0;
            assert_eq!(WattHours::from_kwh(kwh), WattHours(i64::from(hundredths) * 10));
        }
        assert_eq!(WattHours::from_kwh(f64::INFINITY), WattHours(i64::MAX));
        assert!((WattHours(50_010).kwh() - 50.01).abs() < 1e-9);
    }

    #[test]
    fn impossible_values_never_pass() {
        let mut filter = gate_after(5_000);
        let heard = [5_000, 0, 5_010, 89_000, 5_020, 0, 0, 0, 0, 5_070, 4_990, 5_080];
        assert_eq!(passed(&mut filter, &heard), [5_000, 5_010, 5_020, 5_070, 5_080]);
    }

    #[test]
    fn a_restart_passes_after_a_minute() {
        let mut filter = gate_after(5_000);
        let heard = [5_000, 0, 0, 0, 10, 10, 20, 20, 30];
        assert_eq!(passed(&mut filter, &heard), [5_000, 20, 20, 30]);
    }

    #[test]
    fn a_candidate_needs_five_readings_over_a_minute() {
        let mut filter = gate_after(5_000);
        for seconds in [12, 40, 60, 75] {
            assert_eq!(filter.judge(at(seconds, 0)), Judgement::Withheld, "four readings");
        }
        let mut filter = gate_after(5_000);
        for seconds in [12, 13, 14, 15, 16, 71] {
            assert_eq!(filter.judge(at(seconds, 0)), Judgement::Withheld, "{seconds}: 59 s");
        }
        assert_ne!(filter.judge(at(72, 0)), Judgement::Withheld, "60 s");
    }

    #[test]
    fn a_wild_value_makes_a_candidate_start_again() {
        let mut filter = gate_after(5_000);
        let heard = [0, 0, 0, 700, 0, 10, 20, 20, 20, 30];
        assert_eq!(passed(&mut filter, &heard), [30]);
    }

    #[test]
    fn a_candidate_is_accepted_whole() {
        let mut filter = gate_after(5_000);
        let (mut last, energies) = (Judgement::Withheld, [0, 0, 10, 10, 20, 20]);
        for (index, energy) in (0..).zip(energies) {
            last = filter.judge(at(index * 12, energy));
        }
        let whole = vec![at(0, 0), at(24, 10), at(48, 20), at(60, 20)];
        assert_eq!(last, Judgement::Proven(whole));
    }

    #[test]
    fn accounting_trusts_a_reading_for_300_s() {
        for (gap, vouches) in [(300, true), (301, false)] {
            let mut filter = CounterFilter::accounting();
            assert_eq!(passed(&mut filter, &[5_000; 6]), [5_000], "everything must prove itself");
            let judged = filter.judge(at(60 + gap, 5_000));
            assert_eq!(judged == Judgement::Accepted, vouches, "{gap} s later");
            let judged = gate_after(5_000).judge(at(60 + gap, 5_000));
            assert_eq!(judged, Judgement::Accepted);
        }
    }

    #[test]
    fn readings_after_a_gap_do_not_prove_a_zero_before() {
        let mut filter = CounterFilter::accounting();
        passed(&mut filter, &[5_000; 6]);
        assert_eq!(filter.judge(at(72, 0)), Judgement::Withheld);
        let after = 72 + 7_200;
        let mut proven = Vec::new();
        for index in 0..6 {
            if let Judgement::Proven(points) = filter.judge(at(after + index * 12, 6_000)) {
                proven = points;
            }
        }
        assert_eq!(proven, [at(after, 6_000), at(after + 60, 6_000)]);
    }

    #[test]
    fn after_a_clock_goes_back_readings_are_proven_again() {
        let mut filter = gate_after(5_000);
        let judged: Vec<_> =
            (0..6).map(|index| filter.judge(at(index * 12 - 3_600, 5_000))).collect();
        assert!(judged[..5].iter().all(|judgement| *judgement == Judgement::Withheld));
        assert!(matches!(judged[5], Judgement::Proven(_)));
        assert_eq!(filter.judge(at(-3_500, 5_000)), Judgement::Accepted);
    }

    proptest::proptest! {
        #[test]
        fn a_lone_value_that_cannot_follow_never_passes(
            truth in 0_i64..90_000, wild in 0_i64..=90_000, place in 1_usize..10,
        ) {
            let mut heard = [truth; 11];
            proptest::prop_assume!(!(truth..=truth + 24).contains(&wild));
            heard[place] = wild;
            let passed = passed(&mut gate_after(truth), &heard);
            proptest::prop_assert_eq!(passed, vec![truth; 10]);
        }
    }
}
