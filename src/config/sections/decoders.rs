//! The `decoders` section: which decoders are on, and what the gate does.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use energi_decoders::custom::CustomDecoder;
use energi_decoders::{DecoderTable, Layout, Plausibility, Switch, TableDecoder};
use energi_sinks::settings::Problem;

/// Decoders that are on, and the gate's treatment of implausible values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decoders {
    /// The built-in experimental decoders, by the length byte that they read or their name.
    #[serde(deserialize_with = "complete")]
    pub experimental: BTreeMap<Switch, bool>,
    /// Decoders that are declared here.
    pub custom: Vec<CustomDecoder>,
    /// Treatment of implausible values by the gate.
    pub plausibility: Plausibility,
}

impl Default for Decoders {
    fn default() -> Self {
        Self { experimental: all_off(), custom: Vec::new(), plausibility: Plausibility::default() }
    }
}

fn all_off() -> BTreeMap<Switch, bool> {
    Switch::all().into_iter().map(|switch| (switch, false)).collect()
}

fn complete<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Switch, bool>, D::Error> {
    let given: BTreeMap<Switch, bool> = BTreeMap::deserialize(deserializer)?;
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
        for switch in self.experimental.iter().filter(|(_, on)| **on).map(|(switch, _)| *switch) {
            if let Err(error) = table.switch_on(switch) {
                problems.push(Problem::new(format!("experimental.{switch}"), error.to_string()));
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
