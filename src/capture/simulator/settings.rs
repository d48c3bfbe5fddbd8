//! Settings of the simulation.

use energi_decoders::Product;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Rate of the frames of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The length byte.
    pub length: u8,
    /// Seconds from one to the next.
    pub every: u32,
}

const fn rate(length: u8, every: u32) -> Rate {
    Rate { length, every }
}

/// Frames of an eddi: 146,160 a day.
pub const EDDI: &[Rate] = &[
    rate(0x22, 2),
    rate(0x36, 2),
    rate(0x27, 4),
    rate(0x20, 12),
    rate(0x2B, 12),
    rate(0x2C, 12),
    rate(0x2D, 12),
    rate(0x1F, 24),
    rate(0x37, 60),
    rate(0x38, 60),
    rate(0x39, 60),
    rate(0x3A, 60),
];

/// Frames of a zappi, in addition.
const ZAPPI: &[Rate] = &[rate(0x23, 1), rate(0x20, 12), rate(0x2B, 12), rate(0x33, 12)];

/// Frames that are sent for a harvi.
const HARVI: &[Rate] = &[rate(0x20, 5)];

/// A power cut of one device: it is silent for a while, and its daily counter begins at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// Index of the device, from 0.
    pub device: usize,
    /// Time of the event.
    pub time: Timestamp,
}

/// Rates of false frames, as shares of 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Oddities {
    /// Frames 0x27, 0x2B and 0x36 that are all zero but for the serial number.
    pub experimental_zero: f64,
    /// Frames 0x27, 0x2B and 0x36 with wild values in them.
    pub experimental_wild: f64,
    /// Frames 0x1F and 0x20 whose daily counter shows zero.
    pub counter_zero: f64,
    /// Frames 0x1F and 0x20 whose daily counter is wild: half of them anything, half plausible.
    pub counter_wild: f64,
}

impl Default for Oddities {
    /// Oddities that real devices are known for: 2 % of the experimental frames.
    fn default() -> Self {
        Self {
            experimental_zero: 0.01,
            experimental_wild: 0.01,
            counter_zero: 0.0,
            counter_wild: 0.0,
        }
    }
}

/// Settings of the simulation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number of eddis. Each watches a circuit of its own, as on a house of several phases, under
    /// the same sun.
    pub devices: u32,
    /// Serial number of the first eddi.
    pub serial: u32,
    /// Zappis and harvis beside them, on circuits of their own: what the eddis see is the same.
    pub others: Vec<Product>,
    /// The same seed gives the same frames, on every machine.
    pub seed: u64,
    /// Start of the simulation; the next whole second is taken.
    pub start: Timestamp,
    /// Time zone of the house: its habits and the devices' days follow this clock.
    pub timezone: TimeZone,
    /// Lead of the devices' clocks over the true time.
    pub clock_ahead: SignedDuration,
    /// Power cuts.
    pub restarts: Vec<Restart>,
    /// False frames.
    pub oddities: Oddities,
    /// Frames of each eddi. A second's frames of one device keep their order whatever the rates.
    pub rates: Vec<Rate>,
}

impl Settings {
    /// A household of these products.
    pub fn of(&mut self, products: &[Product]) {
        let is_eddi = |product: &&Product| **product == Product::Eddi;
        self.devices = u32::try_from(products.iter().filter(is_eddi).count()).unwrap_or(u32::MAX);
        self.others = products.iter().filter(|product| !is_eddi(product)).copied().collect();
    }

    /// Returns what a device other than an eddi sends.
    pub(super) const fn rates_of(product: Product) -> &'static [Rate] {
        match product {
            Product::Zappi => ZAPPI,
            Product::Harvi => HARVI,
            Product::Eddi | Product::Unknown => &[],
        }
    }

    /// One eddi with seed 7, a right clock and the documented rates.
    #[must_use]
    pub fn new(start: Timestamp, timezone: TimeZone) -> Self {
        Self {
            devices: 1,
            serial: 17_589_669,
            others: Vec::new(),
            seed: 7,
            start,
            timezone,
            clock_ahead: SignedDuration::ZERO,
            restarts: Vec::new(),
            oddities: Oddities::default(),
            rates: EDDI.to_vec(),
        }
    }
}
