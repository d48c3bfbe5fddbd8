//! Product of a device.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The product class of a zappi at `0x1C` (confidence B).
pub const ZAPPI_CLASS: u8 = 2;

/// A product of the maker.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// A power diverter for heaters.
    Eddi,
    /// A car charger.
    Zappi,
    /// A wireless sensor of current transformers.
    Harvi,
    /// Product that no rule names.
    #[default]
    #[serde(skip)]
    Unknown,
}

impl Product {
    /// The name: `eddi`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eddi => "eddi",
            Self::Zappi => "zappi",
            Self::Harvi => "harvi",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
