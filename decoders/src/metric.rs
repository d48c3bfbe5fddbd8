//! Meaning of a published number: its key, unit, class and plausible range.
//!
//! A key is one metric: one unit, one class and one range wherever it appears, so the metrics
//! that several packets carry are described here, once.

use std::borrow::Cow;

use crate::value::Options;

/// Kind of quantity of a metric, in Home Assistant's terms.
///
/// Sources of the mapping: Home Assistant's sensor and binary sensor device classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Mains frequency.
    Frequency,
    /// Mains voltage.
    Voltage,
    /// Electric current.
    Current,
    /// Electric power.
    Power,
    /// The rating of a heater: a power that is a property rather than a measurement.
    Rating,
    /// An energy counter that starts again from zero each day.
    EnergyToday,
    /// A flag that is on while something runs.
    Running,
    /// A flag without a class of its own.
    Flag,
    /// A temperature.
    Temperature,
    /// An energy that starts again at times that are not known: no counter to add up.
    Energy,
    /// A span of time.
    Duration,
    /// A number that names something, such as another device's serial number.
    Identifier,
    /// An enumeration: a word of this list.
    Choice(Options),
    /// A number whose meaning is not known.
    Unknown,
}

impl Class {
    /// Returns whether values are numbers to calculate with: no flag, word or name.
    #[must_use]
    pub const fn is_number(self) -> bool {
        !matches!(self, Self::Running | Self::Flag | Self::Choice(_) | Self::Identifier)
    }
}

/// A published quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// The key in every output: the name that `mqtt-energi` publishes under.
    pub key: Cow<'static, str>,
    /// The name for people.
    pub label: Cow<'static, str>,
    /// The unit as displayed; empty for flags and unknown numbers.
    pub unit: Cow<'static, str>,
    /// Kind of quantity.
    pub class: Class,
    /// The least and greatest plausible value, both included, in the metric's unit. Outside it a
    /// value is withheld by the gate.
    pub range: (f64, f64),
}

impl Metric {
    /// A metric known at compile time.
    #[must_use]
    pub const fn new(
        key: &'static str,
        label: &'static str,
        unit: &'static str,
        class: Class,
        range: (f64, f64),
    ) -> Self {
        Self {
            key: Cow::Borrowed(key),
            label: Cow::Borrowed(label),
            unit: Cow::Borrowed(unit),
            class,
            range,
        }
    }

    /// The same metric under another key; both must be known at compile time.
    pub(crate) const fn under(&self, key: &'static str) -> Self {
        Self::new(key, borrowed(&self.label), borrowed(&self.unit), self.class, self.range)
    }

    /// The key of a metric known at compile time.
    pub(crate) const fn static_key(&self) -> &'static str {
        borrowed(&self.key)
    }

    const fn flag(key: &'static str, label: &'static str, class: Class) -> Self {
        Self::new(key, label, "", class, ANY)
    }
}

#[expect(clippy::ptr_arg, reason = "a &str would not have the static lifetime")]
const fn borrowed(text: &Cow<'static, str>) -> &'static str {
    match text {
        Cow::Borrowed(text) => text,
        Cow::Owned(_) => panic!("not known at compile time"),
    }
}

/// Every value is plausible.
pub const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// The key of the device's own daily counter, on which energy accounting rests.
pub const DIVERTED_KWH_KEY: &str = "diverted_kWh";

/// Mains frequency. Grids run at 50 or 60 Hz; generators stray further than grids do.
pub static FREQUENCY: Metric =
    Metric::new("frequency", "Frequency", "Hz", Class::Frequency, (45.0, 65.0));

/// The device's daily counter of diverted energy. 90 kWh is more than its largest heater can take
/// in a day.
pub static DIVERTED_KWH: Metric =
    Metric::new(DIVERTED_KWH_KEY, "Diverted today", "kWh", Class::EnergyToday, (0.0, 90.0));

/// Mains voltage.
pub static VOLTAGE: Metric = Metric::new("voltage", "Voltage", "V", Class::Voltage, (80.0, 300.0));

/// Power at the grid connection, negative while exporting. 30 kW is a fused single-phase supply
/// with room to spare.
pub static GRID_PWR: Metric =
    Metric::new("grid_pwr", "Grid power", "W", Class::Power, (-30_000.0, 30_000.0));

/// Power of the generator; an inverter draws a little at night.
pub static GEN_PWR: Metric =
    Metric::new("gen_pwr", "Generation power", "W", Class::Power, (-1_000.0, 30_000.0));

/// Power into the heater. The range leaves room for a current transformer's noise below zero and
/// withholds the wrap of an unsigned reading of it.
pub static DIVERT_PWR: Metric =
    Metric::new("divert_pwr", "Divert power", "W", Class::Power, (-500.0, 10_000.0));

/// Current into the heater.
pub static DIVERT_CUR: Metric =
    Metric::new("divert_cur", "Divert current", "A", Class::Current, (0.0, 50.0));

/// The rating of the heater on the active channel; 3600 W when there is none.
pub static MAX_POWER: Metric =
    Metric::new("max_power", "Heater rating", "W", Class::Rating, (0.0, 10_000.0));

/// Diversion is switched off.
pub static STOPPED: Metric = Metric::flag("stopped", "Stopped", Class::Flag);

/// Heating from the grid at the owner's wish.
pub static BOOST: Metric = Metric::flag("boost", "Boost", Class::Running);

/// The first heater is on.
pub static HEATER1: Metric = Metric::flag("heater1", "Heater 1 active", Class::Running);

/// The second heater is on.
pub static HEATER2: Metric = Metric::flag("heater2", "Heater 2 active", Class::Running);

/// Rating of a device or of the heater on its active channel.
pub static RATING: Metric = Metric::new("rating", "Rating", "W", Class::Rating, (0.0, 25_000.0));

/// An energy whose counter starts again at times that are not known.
pub static ENERGY: Metric = Metric::new("energy", "Energy", "kWh", Class::Energy, (0.0, 200.0));

/// Power through a current transformer.
pub static CT_POWER: Metric =
    Metric::new("ct_power", "CT power", "W", Class::Power, (-30_000.0, 30_000.0));

/// Current through a current transformer.
pub static CT_CURRENT: Metric =
    Metric::new("ct_current", "CT current", "A", Class::Current, (-150.0, 150.0));

/// The device's place among those that divert, 0 to 7.
pub static PRIORITY: Metric = Metric::new("priority", "Priority", "", Class::Unknown, ANY);

/// Heater of an eddi that is served first.
pub static HEATER_PRIORITY: Metric =
    Metric::flag("heater_priority", "Heater priority", Class::Choice(&["heater 1", "heater 2"]));

/// The water has the temperature that it may have, and the heater takes no more.
pub static HEATER_HOT: Metric = Metric::flag("hot", "Heater hot", Class::Flag);

/// Period after which an eddi looks whether the heater that is served first is still hot.
pub static CHECK_PERIOD: Metric =
    Metric::new("check_period", "Heater check period", "min", Class::Duration, (0.0, 155.0));

/// Charging mode of a zappi.
pub static ZAPPI_MODE: Metric =
    Metric::flag("mode", "Mode", Class::Choice(&["stop", "fast", "eco", "eco+"]));

/// Power into the car; negative where a car feeds back.
pub static CHARGE_POWER: Metric =
    Metric::new("charge_power", "Charge power", "W", Class::Power, (-25_000.0, 25_000.0));

/// Energy of the charging session.
pub static SESSION_ENERGY: Metric =
    Metric::new("session_kWh", "Charged in this session", "kWh", Class::Energy, (0.0, 200.0));

/// Charging from the grid at the owner's wish.
pub static ZAPPI_BOOSTING: Metric = Metric::flag("boosting", "Boosting", Class::Running);

/// The record answers a command.
pub static COMMAND_ANSWERED: Metric =
    Metric::flag("command_answered", "Command answered", Class::Flag);

/// The command that is answered was accepted.
pub static COMMAND_ACCEPTED: Metric =
    Metric::flag("command_accepted", "Command accepted", Class::Flag);

/// The number of the command that is answered, 0 to 7.
pub static COMMAND_SEQUENCE: Metric =
    Metric::new("command_sequence", "Command number", "", Class::Identifier, ANY);

/// Serial number of the device that relays another's records.
pub static RELAY: Metric = Metric::new("relay", "Relayed by", "", Class::Identifier, ANY);

/// Temperature of the heatsink.
pub static HEATSINK: Metric =
    Metric::new("heatsink", "Heatsink temperature", "°C", Class::Temperature, (-40.0, 150.0));
