//! State of an eddi in one word, from its newest values.

use energi_decoders::Value;

/// State of an eddi, worked out from its flags and its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EddiState {
    /// Diversion is switched off.
    Stopped,
    /// The owner has asked for heat, from the grid if need be.
    Boosting,
    /// Surplus goes into the heater.
    Diverting,
    /// The eddi waits for surplus.
    Paused,
}

/// Every word that [`EddiState::word`] returns, for enumerations that list their options.
pub const WORDS: [&str; 4] = [
    EddiState::Stopped.word(),
    EddiState::Boosting.word(),
    EddiState::Diverting.word(),
    EddiState::Paused.word(),
];

/// Less than this into the heater is the noise of a current transformer.
const DIVERTING_FROM: f64 = 20.0;

impl EddiState {
    /// Keys of the values that decide the state.
    pub const INPUTS: [&'static str; 3] = ["stopped", "boost", "divert_pwr"];

    /// Word for the state, the same in every output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Boosting => "Boosting",
            Self::Diverting => "Diverting",
            Self::Paused => "Paused",
        }
    }

    /// Returns the state by the newest values of a device; `None` until every value that decides is
    /// known, so that a stopped eddi is never called paused before its flags have arrived.
    #[must_use]
    pub fn of(value: impl Fn(&str) -> Option<Value>) -> Option<Self> {
        let [stopped, boost, power] = Self::INPUTS.map(value);
        let on = |flag: Option<Value>| flag.map(|flag| flag == Value::Flag(true));
        if on(stopped)? {
            Some(Self::Stopped)
        } else if on(boost)? {
            Some(Self::Boosting)
        } else if power?.as_f64() >= DIVERTING_FROM {
            Some(Self::Diverting)
        } else {
            Some(Self::Paused)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopped_comes_before_boosting_before_diverting() {
        let of = |stopped: Option<bool>, boost: Option<bool>, power: Option<i64>| {
            EddiState::of(|key| match key {
                "stopped" => stopped.map(Value::Flag),
                "boost" => boost.map(Value::Flag),
                "divert_pwr" => power.map(Value::Integer),
                _ => None,
            })
            .map(EddiState::word)
        };
        for (stopped, boost, power, expected) in [
            (Some(true), Some(true), Some(3000), Some("Stopped")),
            (Some(true), None, None, Some("Stopped")),
            (Some(false), Some(true), Some(3000), Some("Boosting")),
            (Some(false), Some(false), Some(20), Some("Diverting")),
            (Some(false), Some(false), Some(19), Some("Paused")),
            (Some(false), Some(false), Some(-5), Some("Paused")),
            (Some(false), Some(false), None, None),
            (Some(false), None, Some(3000), None),
            (None, Some(false), Some(3000), None),
        ] {
            assert_eq!(of(stopped, boost, power), expected, "{stopped:?} {boost:?} {power:?}");
        }
    }
}
