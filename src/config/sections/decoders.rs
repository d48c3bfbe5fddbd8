//! The `decoders` section: which decoders are on, and what the gate does.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use energi_decoders::custom::{CustomDecoder, Hex};
use energi_decoders::{DecoderTable, Layout, Plausibility, TableDecoder};
use energi_sinks::settings::Problem;

/// Which decoders are on, and what the gate does with implausible values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decoders {
    /// The built-in experimental decoders, by the length byte that they read.
    #[serde(deserialize_with = "complete")]
    pub experimental: BTreeMap<ExperimentalLength, bool>,
    /// Decoders that are declared here.
    pub custom: Vec<CustomDecoder>,
    /// What the gate does with implausible values.
    pub plausibility: Plausibility,
}

impl Default for Decoders {
    fn default() -> Self {
        Self { experimental: all_off(), custom: Vec::new(), plausibility: Plausibility::default() }
    }
}

/// A length byte that has a built-in experimental decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ExperimentalLength(Hex<u8>);

impl fmt::Display for ExperimentalLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ExperimentalLength {
    /// The length byte, where it has such a decoder.
    #[must_use]
    pub fn new(length: u8) -> Option<Self> {
        DecoderTable::experimental_lengths().contains(&length).then_some(Self(Hex(length)))
    }

    /// The length byte.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0.0
    }
}

impl<'de> Deserialize<'de> for ExperimentalLength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let length: Hex<u8> = Hex::deserialize(deserializer)?;
        Self::new(length.0).ok_or_else(|| {
            let known: Vec<String> = DecoderTable::experimental_lengths()
                .into_iter()
                .map(|l| Hex(l).to_string())
                .collect();
            let known = known.join(", ");
            de::Error::custom(format_args!("{length} has no experimental decoder; {known} have"))
        })
    }
}

fn all_off() -> BTreeMap<ExperimentalLength, bool> {
    let lengths = DecoderTable::experimental_lengths();
    lengths.into_iter().map(|length| (ExperimentalLength(Hex(length)), false)).collect()
}

fn complete<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<ExperimentalLength, bool>, D::Error> {
    let given: BTreeMap<ExperimentalLength, bool> = BTreeMap::deserialize(deserializer)?;
    Ok(all_off().into_iter().chain(given).collect())
}

impl Decoders {
    /// The table of the decoders that are on: the confirmed ones, the experimental ones that are
    /// switched on, then those declared.
    ///
    /// # Errors
    /// Every [`Problem`] of a declared decoder, at its place within this section.
    pub fn table(&self) -> Result<DecoderTable, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut table = DecoderTable::confirmed();
        for length in self.experimental.iter().filter(|(_, on)| **on).map(|(length, _)| length) {
            if let Err(error) = table.switch_on(length.get()) {
                problems
                    .push(Problem::new(format!("experimental.{}", length.0), error.to_string()));
            }
        }
        for (index, custom) in self.custom.iter().enumerate() {
            match custom.layout() {
                Ok(layout) => {
                    if let Err(error) = table.register(Box::new(TableDecoder::new(layout))) {
                        problems.push(Problem::new(format!("custom[{index}]"), error.to_string()));
                    }
                }
                Err(errors) => problems.extend(errors.into_iter().map(|error| {
                    Problem::new(format!("custom[{index}].{}", error.path), error.problem)
                })),
            }
        }
        if problems.is_empty() { Ok(table) } else { Err(problems) }
    }

    /// The tables of the decoders that are on, by length; none where [`Decoders::table`] fails.
    #[must_use]
    pub fn layouts(&self) -> Vec<Layout> {
        let tables =
            |table: DecoderTable| table.iter().map(|decoder| decoder.layout().clone()).collect();
        self.table().map(tables).unwrap_or_default()
    }
}
