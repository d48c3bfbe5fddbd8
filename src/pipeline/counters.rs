//! Everything that is counted between the wire and the channel, in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use energi_decoders::{Reading, Value};
use energi_sinks::current::CurrentValues;
use energi_sinks::eddi_state::EddiState;
use energi_sinks::stats::Counter;
use energi_sinks::status::RecordCount;

use tracing::info;

use crate::capture::live::LiveCounters;

/// Outcome of a record. The greater says more: a record with two decoders counts as decoded when
/// either of them read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// No decoder that is on reads it.
    Unknown,
    /// A rule says that it is another product's than that of each decoder of its length.
    OtherProduct,
    /// The device is not to be heard.
    Refused,
    /// Nothing in it was plausible.
    Withheld,
    /// The gateway was told to stop before there was room for it.
    Stopped,
    /// A reading was published.
    Decoded,
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Decoded,
        Self::Unknown,
        Self::OtherProduct,
        Self::Withheld,
        Self::Refused,
        Self::Stopped,
    ];

    /// The outcome in a word, for metrics.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::OtherProduct => "other_product",
            Self::Refused => "refused",
            Self::Withheld => "withheld",
            Self::Stopped => "stopped",
            Self::Decoded => "decoded",
        }
    }
}

/// Reason why bytes were not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Cut off before the first record.
    Truncated,
    /// Another ethertype.
    Ethertype,
    /// The ethertype is right, the magic is not.
    Magic,
    /// The first record's length byte is wrong.
    Length,
    /// Something other than padding follows the last whole record.
    Tail,
    /// The capture kept only the beginning of the frame (`tcpdump -s`).
    Snapped,
}

/// The counters of the capture thread.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Frames and pieces of frames that were not usable, by [`Unusable`].
    unusable: [Counter; 6],
    /// Records by length byte and [`Outcome`].
    records: Box<[[Counter; 6]; 256]>,
    /// Rounds of the capture thread: it goes round while nothing comes, and while it waits for
    /// the slowest sink of a recording. Its sign of life, not for people.
    pub(crate) rounds: Counter,
    /// Devices heard.
    pub(crate) devices: Counter,
    /// Readings published.
    pub(crate) readings: Counter,
    /// Readings of serial number 0 or `0xFFFFFFFF`.
    pub(crate) no_device: Counter,
    /// Readings of devices that are not listed.
    pub(crate) not_listed: Counter,
    /// Readings of devices beyond `devices.max`.
    pub(crate) too_many: Counter,
    /// Readings of listed devices from another address than theirs.
    pub(crate) other_address: Counter,
    /// Counters of the network interface, where there is one.
    live: OnceLock<Arc<LiveCounters>>,
    /// Values withheld by key. Locked only when something is withheld.
    withheld: Mutex<BTreeMap<String, u64>>,
    /// Serial numbers of the devices received. Locked only when a new one is received.
    seen: Mutex<BTreeSet<u32>>,
    /// The newest values of each device, while live.
    current: Mutex<CurrentValues>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            unusable: Default::default(),
            records: Box::new(std::array::from_fn(|_| Default::default())),
            rounds: Counter::default(),
            devices: Counter::default(),
            readings: Counter::default(),
            no_device: Counter::default(),
            not_listed: Counter::default(),
            too_many: Counter::default(),
            other_address: Counter::default(),
            live: OnceLock::new(),
            withheld: Mutex::default(),
            seen: Mutex::default(),
            current: Mutex::default(),
        }
    }
}

impl Counters {
    /// Shows what a network interface counts, too. The first that is given stays.
    pub(crate) fn watch(&self, live: Arc<LiveCounters>) {
        let _ = self.live.set(live);
    }

    /// Returns whether frames come from a network interface that is away now.
    #[must_use]
    pub(crate) fn is_waiting_for_interface(&self) -> bool {
        self.live.get().is_some_and(|live| live.away.load(Ordering::Relaxed))
    }

    /// Counts something unusable.
    pub(crate) fn unusable(&self, what: Unusable) {
        self.unusable[what as usize].add(1);
    }

    /// Counts a record, and returns whether it is the first of its length with this outcome.
    pub(crate) fn record(&self, length: u8, outcome: Outcome) -> bool {
        let counter = &self.records[usize::from(length)][outcome as usize];
        counter.add(1);
        counter.get() == 1
    }

    /// Counts a withheld value.
    pub(crate) fn withheld(&self, key: &str) {
        let mut withheld = self.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        match withheld.get_mut(key) {
            Some(count) => *count += 1,
            None => {
                withheld.insert(key.to_owned(), 1);
            }
        }
    }

    /// Records by length byte and outcome, those that are not zero.
    #[must_use]
    pub(crate) fn records(&self) -> Vec<RecordCount> {
        let mut records = Vec::new();
        for (length, by_outcome) in (0..=u8::MAX).zip(self.records.iter()) {
            for outcome in Outcome::ALL {
                let count = by_outcome[outcome as usize].get();
                if count > 0 {
                    records.push(RecordCount { length, outcome: outcome.name(), count });
                }
            }
        }
        records
    }

    /// Frames and readings that were not used, by reason.
    #[must_use]
    pub(crate) fn unused(&self) -> [(&'static str, u64); 10] {
        [
            ("cut-off frames", self.unusable_count(Unusable::Truncated)),
            ("frames of other ethertypes", self.unusable_count(Unusable::Ethertype)),
            ("frames of other programs", self.unusable_count(Unusable::Magic)),
            ("wrong length bytes", self.unusable_count(Unusable::Length)),
            ("frames cut off by the capture", self.unusable_count(Unusable::Snapped)),
            ("damaged frame ends", self.unusable_count(Unusable::Tail)),
            ("without a device", self.no_device.get()),
            ("of unlisted devices", self.not_listed.get()),
            ("from another address", self.other_address.get()),
            ("of devices beyond the maximum", self.too_many.get()),
        ]
    }

    /// Values withheld, by key.
    #[must_use]
    pub(crate) fn withheld_values(&self) -> Vec<(String, u64)> {
        let withheld = self.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        withheld.iter().map(|(key, count)| (key.clone(), *count)).collect()
    }

    /// Frames that the kernel dropped.
    #[must_use]
    pub(crate) fn kernel_drops(&self) -> u64 {
        self.live.get().map_or(0, |live| live.kernel_drops.get())
    }

    /// Notes a device that is received for the first time.
    pub(crate) fn seen(&self, serial: u32) {
        self.devices.add(1);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(serial);
    }

    /// Serial numbers of the devices received.
    #[must_use]
    pub(crate) fn seen_devices(&self) -> BTreeSet<u32> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the values of a reading, for the line of each minute.
    pub(crate) fn keep_values(&self, reading: &Reading) {
        if SHOWN_PACKETS.contains(&reading.packet()) {
            self.current.lock().unwrap_or_else(PoisonError::into_inner).update(reading);
        }
    }

    /// Logs a line a device with its newest values.
    pub(crate) fn log_values(&self) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        for (serial, device) in current.devices() {
            let values = in_words(|key| device.get(key));
            if !values.is_empty() {
                info!(serial, "{values}");
            }
        }
    }

    /// Logs a line on the records that no decoder reads.
    pub(crate) fn log_unknown(&self) {
        let unknown = Outcome::Unknown.name();
        let lengths: Vec<_> = self
            .records()
            .into_iter()
            .filter(|record| record.outcome == unknown)
            .map(|record| format!("0x{:02X}", record.length))
            .collect();
        if !lengths.is_empty() {
            info!(
                packets = lengths.join(", "),
                "no active decoder reads these packets; `decoders.experimental` may have one"
            );
        }
    }

    /// Returns how often something was unusable for this reason.
    #[must_use]
    pub(crate) fn unusable_count(&self, what: Unusable) -> u64 {
        self.unusable[what as usize].get()
    }
}

/// Packets whose values the line of a minute shows.
const SHOWN_PACKETS: [u8; 3] = [0x1F, 0x20, 0x22];

/// The values of a device in a line for people, as far as they are known.
pub(crate) fn in_words(value: impl Fn(&str) -> Option<Value>) -> String {
    let number = |key| value(key).map(Value::as_f64);
    let mut words = Vec::new();
    for (key, name) in [("grid_pwr", "grid"), ("gen_pwr", "generation"), ("divert_pwr", "heater")] {
        if let Some(power) = number(key) {
            words.push(format!("{name} {power:.0} W"));
        }
    }
    if let Some(energy) = number("diverted_kWh") {
        words.push(format!("{energy:.2} kWh diverted today"));
    }
    if let Some(state) = EddiState::of(&value) {
        words.push(state.word().to_lowercase());
    }
    words.join(", ")
}

/// One line for people: only what is not zero.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} readings", self.readings.get())?;
        for (outcome, name) in [
            (Outcome::Decoded, "decoded"),
            (Outcome::Unknown, "without a decoder"),
            (Outcome::OtherProduct, "of another product"),
            (Outcome::Withheld, "withheld whole"),
            (Outcome::Refused, "refused"),
            (Outcome::Stopped, "left at the end"),
        ] {
            let mut separator = format!("; records {name}: ");
            for (length, by_outcome) in self.records.iter().enumerate() {
                let count = by_outcome[outcome as usize].get();
                if count > 0 {
                    write!(f, "{separator}0x{length:02X} {count}")?;
                    ", ".clone_into(&mut separator);
                }
            }
        }
        let live = |counter: fn(&LiveCounters) -> &Counter| {
            self.live.get().map_or(0, |live| counter(live).get())
        };
        let plain = [
            ("passed by the kernel", live(|live| &live.kernel_passed)),
            ("dropped by the kernel", self.kernel_drops()),
            ("reopenings", live(|live| &live.reopened)),
            ("received twice", live(|live| &live.repeated)),
            ("damaged messages", live(|live| &live.damaged)),
        ];
        for (name, count) in self.unused().into_iter().chain(plain).filter(|(_, count)| *count > 0)
        {
            write!(f, "; {name}: {count}")?;
        }
        let withheld = self.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        let mut separator = "; values withheld: ";
        for (key, count) in withheld.iter() {
            write!(f, "{separator}{key} {count}")?;
            separator = ", ";
        }
        Ok(())
    }
}
