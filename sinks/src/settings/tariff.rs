//! Prices of imported and exported electricity.

use std::fmt;

use jiff::civil::Time;
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Problem;

/// Prices a kWh, from which follows what diverting has saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// The price of a kWh from the grid.
    pub import: Price,
    /// The price that a kWh to the grid is paid.
    #[serde(default)]
    pub export: Price,
    /// The currency's code, such as GBP.
    pub currency: String,
}

impl Tariff {
    /// Returns what a kWh that was diverted at this local time has saved.
    #[must_use]
    pub fn saving_at(&self, time: Time) -> f64 {
        self.import.at(time) - self.export.at(time)
    }

    /// Returns what a diverted kWh saves at every time of day; `None` where that depends on the
    /// time.
    #[must_use]
    pub fn flat_saving(&self) -> Option<f64> {
        Some(self.import.flat()? - self.export.flat()?)
    }

    /// Returns what is wrong with values that read well in themselves.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, price) in [("import", &self.import), ("export", &self.export)] {
            if let Some((a, b)) = price.overlap() {
                problems.push(Problem::new(key, format!("`{a}` and `{b}` overlap; keep one")));
            }
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            problems.push(Problem::new("currency", "write the three letters of a code, as in GBP"));
        }
        problems
    }
}

/// The price of a kWh: one for the whole day, or by time of day.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Price {
    default: f64,
    /// Spans in the order of the configuration; they do not overlap.
    spans: Vec<(Span, f64)>,
}

impl Price {
    /// The price at this local time.
    #[must_use]
    pub fn at(&self, time: Time) -> f64 {
        let span = self.spans.iter().find(|(span, _)| span.contains(time));
        span.map_or(self.default, |(_, price)| *price)
    }

    /// The price, where it is the same at every time of day.
    #[must_use]
    pub fn flat(&self) -> Option<f64> {
        self.spans.is_empty().then_some(self.default)
    }

    fn overlap(&self) -> Option<(Span, Span)> {
        self.spans.iter().enumerate().find_map(|(index, (span, _))| {
            let earlier = self.spans[..index].iter().map(|(earlier, _)| *earlier);
            earlier.into_iter().find(|earlier| earlier.overlaps(*span)).map(|twin| (twin, *span))
        })
    }
}

/// A part of the day, such as `00:30-04:30`; one that ends before it begins goes over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: Time,
    end: Time,
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('-')?;
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            match (hour.parse().ok()?, minute.parse().ok()?) {
                (24, 0) => Some(Time::midnight()),
                (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
            }
        };
        let (start, end) = (time(start)?, time(end)?);
        (start != end).then_some(Self { start, end })
    }

    fn contains(self, time: Time) -> bool {
        if self.start < self.end {
            self.start <= time && time < self.end
        } else {
            self.start <= time || time < self.end
        }
    }

    fn overlaps(self, other: Self) -> bool {
        self.contains(other.start) || other.contains(self.start)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [start, end] = [self.start, self.end].map(|time| (time.hour(), time.minute()));
        write!(f, "{:02}:{:02}-{:02}:{:02}", start.0, start.1, end.0, end.1)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.spans.is_empty() {
            return serializer.serialize_f64(self.default);
        }
        let mut map = serializer.serialize_map(Some(self.spans.len() + 1))?;
        map.serialize_entry("default", &self.default)?;
        for (span, price) in &self.spans {
            map.serialize_entry(&span.to_string(), price)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PriceVisitor)
    }
}

struct PriceVisitor;

impl<'de> Visitor<'de> for PriceVisitor {
    type Value = Price;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a price a kWh such as 0.27, or prices by time of day such as \
             {default: 0.30, \"00:30-04:30\": 0.07}",
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "no price has 2^53 digits")]
    fn visit_u64<E: de::Error>(self, price: u64) -> Result<Price, E> {
        self.visit_f64(price as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "no price has 2^53 digits")]
    fn visit_i64<E: de::Error>(self, price: i64) -> Result<Price, E> {
        self.visit_f64(price as f64)
    }

    fn visit_f64<E: de::Error>(self, price: f64) -> Result<Price, E> {
        // Negative prices exist.
        if price.is_finite() {
            Ok(Price { default: price, spans: Vec::new() })
        } else {
            Err(E::invalid_value(Unexpected::Float(price), &self))
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Price, E> {
        let price = text.trim().parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self));
        price.and_then(|price| self.visit_f64(price))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Price, A::Error> {
        let (mut default, mut spans) = (None, Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            let price = map.next_value::<f64>()?;
            if key == "default" {
                default = Some(price);
            } else if let Some(span) = Span::parse(&key) {
                spans.push((span, price));
            } else {
                return Err(de::Error::custom(format_args!(
                    "`{key}` is not a part of a day; write one such as \"00:30-04:30\", or `default`"
                )));
            }
        }
        let default = default.ok_or_else(|| de::Error::missing_field("default"))?;
        Ok(Price { default, spans })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Tariff, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn time(hour: i8, minute: i8) -> Time {
        Time::constant(hour, minute, 0, 0)
    }

    #[test]
    fn a_flat_tariff_saves_the_difference_at_every_time() {
        let tariff = read(r#"{"import": 0.27, "export": 0.15, "currency": "GBP"}"#).unwrap();
        assert!((tariff.flat_saving().unwrap() - 0.12).abs() < 1e-9);
        assert_eq!(tariff.validate(), []);
    }

    #[test]
    fn prices_by_time_of_day_may_go_over_midnight() {
        let text = r#"{"import": {"default": 0.3, "23:30-05:30": 0.07}, "currency": "GBP"}"#;
        let tariff = read(text).unwrap();
        assert_eq!(tariff.flat_saving(), None);
        for (at, saving) in [(time(23, 30), 0.07), (time(5, 29), 0.07), (time(5, 30), 0.3)] {
            assert!((tariff.saving_at(at) - saving).abs() < 1e-9, "{at}");
        }
        let again: Tariff = serde_json::from_str(&serde_json::to_string(&tariff).unwrap()).unwrap();
        assert_eq!(again, tariff);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, keyword) in [
            (r#"{"import": {"default": 1, "25:00-26:00": 1}, "currency": "GBP"}"#, "25:00-26:00"),
            (r#"{"import": {"01:00-02:00": 1}, "currency": "GBP"}"#, "default"),
            (r#"{"import": "cheap", "currency": "GBP"}"#, "a price a kWh"),
            (r#"{"import": 1}"#, "currency"),
        ] {
            assert!(read(text).unwrap_err().contains(keyword), "{text}");
        }
        let text = r#"{"import": {"default": 1, "01:00-03:00": 2, "02:00-04:00": 3},
                       "currency": "pounds"}"#;
        let keys = read(text).unwrap().validate().into_iter().map(|problem| problem.key);
        assert_eq!(keys.collect::<Vec<_>>(), ["import", "currency"]);
    }
}
