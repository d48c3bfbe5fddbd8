/// Numbers that look random and are always the same (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 up to, but not including, 1.
    #[expect(clippy::cast_precision_loss)]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

use std::thread;

use energi_decoders::frame::RECORDS;
use energi_decoders::{Frame, Raw, Record};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::capture::simulator::{DeviceState, Household, Rate, Settings};
use crate::research::metrics::Metrics;
use crate::research::series::{Gathered, Selection};

const LENGTH: u8 = 0x2C;
const MINUTE: i64 = 60_000_000;
const SEEDS: u64 = 20;

/// A household whose day begins at midnight in London.
fn household(seed: u64, rates: &[(u8, u32)]) -> Household {
    let mut settings = Settings::new(start(), TimeZone::get("Europe/London").unwrap());
    settings.seed = seed;
    settings.rates = rates.iter().map(|&(length, every)| Rate { length, every }).collect();
    Household::new(settings)
}

fn start() -> Timestamp {
    "2026-06-19T23:00:00Z".parse().unwrap()
}

/// A simulated day of records 0x2C, of which `rewrite` makes the body anew, and what is known of it.
fn day(seed: u64, mut rewrite: impl FnMut(&mut [u8], &DeviceState)) -> (Series, Vec<Known>) {
    let end = start() + jiff::SignedDuration::from_hours(24);
    let mut household = household(seed, &[(0x22, 2), (0x20, 12), (LENGTH, 12), (0x1F, 24)]);
    let mut gathered = Gathered::new(Selection { length: LENGTH, record_type: None, source: None });
    let mut metrics = Metrics::default();
    while let Some((time, frame)) = household.next_frame()
        && time < end
    {
        let frame = frame.to_vec();
        let frame = Frame::parse(&frame).unwrap();
        let record = frame.records().next().unwrap();
        if record.length() == LENGTH {
            let mut bytes = record.bytes().to_vec();
            rewrite(&mut bytes[6..], household.device(0).unwrap());
            let (record, _) = Record::split(&bytes).unwrap();
            gathered.add(&record, Some(time), frame.source());
        } else {
            metrics.add(&record, Some(time), frame.source());
        }
    }
    let serial = *metrics.devices().first().unwrap();
    (gathered.most().unwrap().0, metrics.of(serial))
}

fn only(metrics: &[Known], key: &str) -> Vec<Known> {
    metrics.iter().filter(|known| known.metric.key == key).cloned().collect()
}

/// Bytes that mean nothing, each place in a way of its own.
struct Noise {
    random: Random,
    tick: f64,
    /// Somebody else's.
    household: Household,
    words: Vec<(u64, i64, f64)>,
}

impl Noise {
    fn new(seed: u64, words: usize) -> Self {
        let mut random = Random::new(seed);
        let words = (0..words).map(|_| (random.below(7), 0, random.unit())).collect();
        let household = household(seed + 1000, &[(LENGTH, 12)]);
        Self { random, tick: 0.0, household, words }
    }

    /// Fills a body word by word: white, a walk, a counter, a daily sine, a bit that switches now
    /// and then, a constant, the power of a house far away, under another sky.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn fill(&mut self, body: &mut [u8]) {
        self.tick += 12.0 / 86_400.0;
        self.household.next_frame();
        let far = self.household.device(0).unwrap();
        let powers = [far.grid, far.generation, far.divert];
        for (bytes, (kind, level, own)) in body.chunks_exact_mut(2).zip(&mut self.words) {
            match *kind {
                0 => *level = self.random.below(1 << 16).cast_signed(),
                1 => *level += self.random.below(61).cast_signed() - 30,
                2 => *level += 1 + (*own * 40.0) as i64,
                3 => {
                    let angle = (self.tick + *own) * std::f64::consts::TAU;
                    *level = (angle.sin() * (500.0 + *own * 9000.0)) as i64;
                }
                4 => {
                    if self.random.unit() < 0.001 + *own * 0.02 {
                        *level ^= 1 << self.random.below(16);
                    }
                }
                5 => *level = (*own * 65_536.0) as i64,
                _ => *level = powers[(*own * 3.0) as usize].into(),
            }
            bytes.copy_from_slice(&(*level as u16).to_le_bytes());
        }
    }
}

/// Runs `test` for every seed, on all processors.
fn for_every_seed(test: impl Fn(u64) + Sync) {
    let workers = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    thread::scope(|scope| {
        for worker in 0..workers {
            let test = &test;
            scope.spawn(move || (0..SEEDS).filter(|seed| seed % workers == worker).for_each(test));
        }
    });
}

/// What may be hidden: the metric, its truth, and how a device would send it: type and divisor.
type Hidden = (&'static str, fn(&DeviceState) -> f64, Raw, f64);

const HIDDEN: &[Hidden] = &[
    ("grid_pwr", |state| f64::from(state.grid), Raw::I16, 1.0),
    ("grid_pwr", |state| f64::from(state.grid), Raw::I16, -2.0),
    ("grid_pwr", |state| f64::from(state.grid), Raw::I32, 100.0),
    ("grid_pwr", |state| f64::from(state.grid), Raw::I16, 0.1),
    ("gen_pwr", |state| f64::from(state.generation), Raw::U16, 10.0),
    ("gen_pwr", |state| f64::from(state.generation), Raw::I16, 5.0),
    ("gen_pwr", |state| f64::from(state.generation), Raw::U8, 0.05),
    ("divert_pwr", |state| f64::from(state.divert), Raw::U16, 16.0),
    ("divert_pwr", |state| f64::from(state.divert), Raw::I16, 1.0),
    ("divert_pwr", |state| f64::from(state.divert), Raw::U8, 1.0 / 60.0),
    ("divert_pwr", |state| f64::from(state.divert), Raw::U32, 100.0),
    ("voltage", |state| f64::from(state.voltage) / 10.0, Raw::U16, 10.0),
    ("voltage", |state| f64::from(state.voltage) / 10.0, Raw::U16, 100.0),
    ("frequency", |state| f64::from(state.frequency) / 100.0, Raw::U16, 100.0),
    ("frequency", |state| f64::from(state.frequency) / 100.0, Raw::U16, 200.0),
];

#[test]
fn a_hidden_field_of_unknown_place_scale_and_offset_ranks_first_in_every_household() {
    for_every_seed(|seed| {
        let mut random = Random::new(seed ^ 0xABCD);
        let (key, truth, raw, divide) =
            HIDDEN[usize::try_from(random.below(HIDDEN.len() as u64)).unwrap()];
        let size = usize::from(raw.size());
        let body = usize::from(LENGTH) - 6;
        let place = 4 + usize::try_from(random.below((body - 4 - size) as u64)).unwrap();
        let add = [0.0, 0.0, -40.0, -100.0][usize::try_from(random.below(4)).unwrap()];
        let mut noise = Noise::new(seed, body / 2);
        let (series, metrics) = day(seed, |body, state| {
            noise.fill(body);
            #[expect(clippy::cast_possible_truncation)]
            let sent = ((truth(state) - add) * divide).round() as i64;
            let sent = if raw == Raw::U8 || raw == Raw::U16 { sent.max(0) } else { sent };
            body[place..place + size].copy_from_slice(&sent.to_le_bytes()[..size]);
        });
        let known = only(&metrics, key);
        let outcome = search(&series, &known, MINUTE);
        let planted = View { offset: u8::try_from(RECORDS + 6 + place).unwrap(), raw };
        let what = format!("seed {seed}: {planted} is {key} * {divide}, from {add}");
        let first =
            outcome.findings.first().unwrap_or_else(|| panic!("{what}: {:?}", outcome.runner_up));
        // What reads the same all day long cannot be told apart.
        assert!(
            first.view == planted
                || series.column(first.view) == series.column(planted)
                    && first.view.offset == planted.offset,
            "{what}: found {}",
            first.view
        );
        let fit = first.fit.unwrap();
        assert!((fit.fitted_divide / divide - 1.0).abs() < 0.02, "{what}: {fit:?}");
    });
}

#[test]
fn pure_noise_of_any_kind_is_never_significant() {
    for_every_seed(|seed| {
        let mut noise = Noise::new(seed, usize::from(LENGTH) / 2);
        let (series, metrics) = day(seed, |body, _| noise.fill(body));
        // One metric of each nature: restless, slow, rarely changing, flag.
        let keys = ["grid_pwr", "voltage", "diverted_kWh", "max_power", "heater1"];
        let known: Vec<_> = keys.iter().flat_map(|key| only(&metrics, key)).collect();
        let outcome = search(&series, &known, MINUTE);
        let found: Vec<_> =
            outcome.findings.iter().map(|finding| finding.view.to_string()).collect();
        assert!(found.is_empty(), "seed {seed}: {found:?}");
    });
}

#[test]
fn a_hidden_flag_is_found_by_the_moments_at_which_it_changes() {
    for seed in [60, 2] {
        let mut noise = Noise::new(seed, usize::from(LENGTH) / 2);
        let (series, metrics) = day(seed, |body, state| {
            noise.fill(body);
            body[9] = (body[9] & !0x20) | u8::from(state.heater != Some(1)) << 5;
        });
        let known = only(&metrics, "heater1");
        let outcome = search(&series, &known, MINUTE);
        let first = outcome.findings.first().expect("a finding");
        assert_eq!(first.view, View { offset: 0x1E + 9, raw: Raw::Bit(5) });
        assert!(first.inverted && first.explained > 0.99, "{first:?}");
    }
}
