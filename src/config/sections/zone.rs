//! The `timezone` key.

use jiff::tz::{self, TimeZone};
use serde::{Deserialize, Deserializer, de};

/// A time zone by its IANA name.
pub(in crate::config) struct Zone(pub(in crate::config) TimeZone);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        TimeZone::get(&name).map(Self).map_err(|_| {
            let advice = match nearest(&name) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "use an IANA name such as Europe/London".to_owned(),
            };
            de::Error::custom(format_args!("`{name}` is not a time zone; {advice}"))
        })
    }
}

/// Less alike than this, a zone is but the best of a bad lot.
const ALIKE: f64 = 0.7;

/// The zone that is most like `name`, or whose city is.
fn nearest(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase();
    let likeness = |zone: &str| {
        let zone = zone.to_lowercase();
        let city = zone.rsplit('/').next().unwrap_or_default();
        let like = |part| strsim::normalized_damerau_levenshtein(&name, part);
        like(&zone).max(like(city))
    };
    tz::db()
        .available()
        .map(|zone| (likeness(zone.as_str()), zone))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, zone)| zone.as_str().to_owned())
}
