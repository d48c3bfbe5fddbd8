//! The arguments that select records and metrics.

use energi_decoders::MacAddress;
use energi_decoders::custom::Hex;
use energi_sinks::settings::Period;
use tracing::warn;

use super::input::{Captures, Ended};
use crate::commands::amount;
use crate::platform::exit::{Exit, Failure};
use crate::research::metrics::{KnownMetric, Metrics};
use crate::research::series::{Gathered, RecordSelection, RecordSeries};

/// Selection of records.
#[derive(Debug, clap::Args)]
pub(super) struct Records {
    /// The length byte, such as 0x2C
    #[arg(long, value_name = "LENGTH", value_parser = amount::<Hex<u8>>)]
    length: Hex<u8>,
    /// Only this record type, such as 0x3510
    #[arg(long, value_name = "TYPE", value_parser = amount::<Hex<u16>>)]
    record_type: Option<Hex<u16>>,
    /// Only this sender [default: the one with the most such records]
    #[arg(long, value_name = "MAC")]
    source: Option<MacAddress>,
}

impl Records {
    pub(super) fn selection(&self) -> RecordSelection {
        RecordSelection {
            length: self.length.0,
            record_type: self.record_type.map(|record_type| record_type.0),
            source: self.source,
        }
    }
}

/// Records of one kind in a capture.
pub(super) struct Selected {
    /// The records.
    pub(super) series: RecordSeries,
    /// True if there are records of the same length and another type.
    pub(super) other_types: bool,
    /// Known metrics over the same time.
    pub(super) metrics: Metrics,
    /// End of reading the captures.
    pub(super) ended: Ended,
}

/// Gathers the records of `selection` and what is known at the same time.
pub(super) fn gather(captures: &Captures, selection: RecordSelection) -> Result<Selected, Failure> {
    let (mut gathered, mut metrics) = (Gathered::new(selection), Metrics::default());
    let ended = captures.read(|frame, time| {
        for record in frame.records() {
            gathered.add(&record, time, frame.source());
            metrics.add(&record, time, frame.source());
        }
    })?;
    let timeless = gathered.timeless;
    let Some((series, others)) = gathered.most() else {
        let why = if timeless > 0 {
            "have no time: use a capture in pcap or pcapng"
        } else {
            "are not in the capture: `energi-gateway research types` lists those that are"
        };
        let length = selection.length;
        let message = format!("records 0x{length:02X} as selected {why}");
        return Err(Failure::message(Exit::Data, message));
    };
    for other in &others {
        warn!(
            "{} records of type 0x{:04X} from {} are of another kind and are left out: select them \
             with --record-type or --source",
            other.count,
            other.key.record_type,
            other.key.source.map_or_else(|| "no sender".to_owned(), |source| source.to_string())
        );
    }
    if series.stride() > 1 {
        warn!("{} records are too many: only one in {} is used", series.count, series.stride());
    }
    if series.repeated > 0 {
        warn!("{} repeated records are used only once", series.repeated);
    }
    let other_types = others.iter().any(|other| other.key.record_type != series.key.record_type);
    Ok(Selected { series, other_types, metrics, ended })
}

impl Selected {
    /// The metrics of the device called `serial`, or else of that which most likely sent the
    /// records.
    pub(super) fn known(&self, serial: Option<u32>) -> Result<Vec<KnownMetric>, Failure> {
        let received = self.metrics.devices();
        let device = match serial {
            Some(serial) => Some(serial).filter(|serial| received.contains(serial)),
            None => self.metrics.device_at(self.series.key.source),
        };
        let device = device.ok_or_else(|| {
            let received: Vec<_> = received.iter().map(ToString::to_string).collect();
            let message = match (serial, received.is_empty()) {
                (Some(serial), false) => {
                    format!("no confirmed packet is {serial}'s; received: {}", received.join(", "))
                }
                _ => "no confirmed packet is in the capture: there is nothing to compare with"
                    .to_owned(),
            };
            Failure::message(Exit::Data, message)
        })?;
        Ok(self.metrics.of(device))
    }
}

/// A period in µs.
pub(super) fn microseconds(period: Period) -> i64 {
    i64::try_from(period.duration().as_micros()).unwrap_or(i64::MAX / 8).min(i64::MAX / 8)
}
