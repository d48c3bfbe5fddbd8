pub(super) mod noise;

use std::thread;

use energi_decoders::custom::{CustomDecoder, Hex};
use energi_decoders::frame::RECORDS;
use energi_decoders::{Frame, Raw, Record};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::noise::{Noise, Random};
use super::*;
use crate::capture::simulator::{EddiSnapshot, Household, Rate, Settings};
use crate::research::metrics::Metrics;
use crate::research::series::{Gathered, RecordSelection};
use crate::research::{declare, verify};

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

/// A simulated day of records 0x2C, of which `rewrite` replaces the body, and what is known of it.
fn day(
    seed: u64,
    mut rewrite: impl FnMut(&mut [u8], &EddiSnapshot),
) -> (RecordSeries, Vec<KnownMetric>) {
    let end = start() + jiff::SignedDuration::from_hours(24);
    let mut household = household(seed, &[(0x22, 2), (0x20, 12), (LENGTH, 12), (0x1F, 24)]);
    let mut gathered =
        Gathered::new(RecordSelection { length: LENGTH, record_type: None, source: None });
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

fn only(metrics: &[KnownMetric], key: &str) -> Vec<KnownMetric> {
    metrics.iter().filter(|known| known.metric.key == key).cloned().collect()
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

/// Returns what may be hidden: the metric, its truth, and how a device would send it: type and
/// divisor.
type Hidden = (&'static str, fn(&EddiSnapshot) -> f64, Raw, f64);

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
    ("divert_pwr", |state| f64::from(state.divert), Raw::I8, 1.0 / 60.0),
    ("divert_pwr", |state| f64::from(state.divert), Raw::U32, 100.0),
    ("voltage", |state| f64::from(state.voltage) / 10.0, Raw::U16, 10.0),
    ("voltage", |state| f64::from(state.voltage) / 10.0, Raw::U16, 100.0),
    ("frequency", |state| f64::from(state.frequency) / 100.0, Raw::U16, 100.0),
    ("frequency", |state| f64::from(state.frequency) / 100.0, Raw::U16, 200.0),
];

#[test]
fn a_hidden_field_ranks_first_in_every_household() {
    for_every_seed(|seed| {
        let mut random = Random::new(seed ^ 0xABCD);
        let (key, truth, raw, divide) = HIDDEN[usize::try_from(seed).unwrap() % HIDDEN.len()];
        let size = usize::from(raw.size());
        let body = usize::from(LENGTH) - 6;
        // After the serial number.
        let place = 4 + usize::try_from(random.below((body - 4 - size) as u64)).unwrap();
        let add = [0.0, 0.0, -40.0, -100.0][usize::try_from(random.below(4)).unwrap()];
        let mut late = vec![0_i64; usize::try_from(random.below(4)).unwrap()];
        let delay = late.len();
        let mut noise = Noise::new(seed, body / 2);
        let (series, metrics) = day(seed, |body, state| {
            noise.fill(&mut body[4..]);
            #[expect(clippy::cast_possible_truncation)]
            let sent = ((truth(state) - add) * divide).round() as i64;
            late.push(if raw == Raw::U8 || raw == Raw::U16 { sent.max(0) } else { sent });
            body[place..place + size].copy_from_slice(&late.remove(0).to_le_bytes()[..size]);
        });
        let planted = View { offset: u8::try_from(RECORDS + 6 + place).unwrap(), raw };
        let what = format!("seed {seed}: {planted} is {key} * {divide}, from {add}, late {delay}");
        let outcome = search(&series, &metrics, MINUTE);
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
        assert_eq!(first.known.metric.key, key, "{what}");
        let fit = first.fit.unwrap();
        assert!((fit.fitted_divide / divide - 1.0).abs() < 0.02, "{what}: {fit:?}");
        // A record has the state of its moment, a metric that of its last record.
        #[expect(clippy::cast_precision_loss)]
        let behind = first.lag - 12.0 * delay as f64;
        assert!(behind.abs() <= 12.0, "{what}: found {} s late", first.lag);

        as_pasted(&series, &metrics, &outcome, key, &what);
    });
}

/// The declaration that comes with the findings loads as people paste it, and reads the metric.
fn as_pasted(
    series: &RecordSeries,
    metrics: &[KnownMetric],
    outcome: &SearchOutcome<'_>,
    key: &str,
    what: &str,
) {
    let devices = metrics.iter().map(|known| known.serial).collect();
    let serial = declare::serial_offset(series, &devices);
    let decoder = declare::decoder(series, &outcome.findings, serial, false).unwrap();
    let pasted: Pasted = serde_yaml::from_str(&declare::yaml(&decoder)).unwrap();
    let [pasted] = &pasted.decoders.custom[..] else { panic!("{what}: one decoder") };
    assert_eq!(pasted, &decoder, "{what}");
    let layout = pasted.layout().unwrap();
    let check =
        verify::check(&layout, Hex(LENGTH), Some(series), series.count, &devices, metrics, MINUTE);
    assert_eq!(check.warnings(), 0, "{what}: {check:?}");
    assert_eq!(check.fields[0].follows.as_ref().unwrap().key, key, "{what}");
}

/// Text that people paste, as a configuration has it.
#[derive(serde::Deserialize)]
struct Pasted {
    decoders: Custom,
}

#[derive(serde::Deserialize)]
struct Custom {
    custom: Vec<CustomDecoder>,
}

#[test]
fn pure_noise_of_any_kind_is_never_significant() {
    for_every_seed(|seed| {
        let mut noise = Noise::new(seed, usize::from(LENGTH) / 2);
        let (series, metrics) = day(seed, |body, _| noise.fill(body));
        let outcome = search(&series, &metrics, MINUTE);
        let found: Vec<_> = outcome
            .findings
            .iter()
            .map(|finding| format!("{} follows {}", finding.view, finding.known.metric.key))
            .collect();
        assert!(found.is_empty(), "seed {seed}: {found:?}");
    });
}

#[test]
fn a_hidden_flag_is_found_by_its_changes() {
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
