//! Path of a captured packet to the channel: envelope, records, decoders, device filter, gate.
//! Captured frames go to a channel of their own, where a sink takes those.
//!
//! One blocking thread drives it. Nothing here waits, but for the room that a recording needs in
//! the channel.

pub(crate) mod counters;
pub(crate) mod device_filter;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use energi_decoders::{
    DecodeError, DecoderTable, Frame, FrameError, Gate, Reading, Record, Verdict,
};
use energi_sinks::channel::Publisher;
use energi_sinks::{Backpressure, CapturedFrame, Item};
use jiff::Timestamp;
use tracing::{debug, info, warn};

use crate::capture::stop::Stop;
use crate::capture::{CaptureError, Event, Link, Packet, Source};
use counters::{Counters, Outcome, Unusable};
use device_filter::{Admit, DeviceFilter};

/// Destination of captured frames, known to a decoder or not.
#[derive(Debug, Default)]
pub(crate) struct FrameTap {
    pub(crate) publisher: Publisher<CapturedFrame>,
    /// The interface that the source captures on.
    interface: Option<Arc<str>>,
}

/// The way of a packet.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// The decoders that are switched on.
    pub(crate) decoders: DecoderTable,
    /// Devices that may be received.
    pub(crate) device_filter: DeviceFilter,
    /// Gate that withholds implausible values.
    pub(crate) gate: Gate,
    /// Counters of everything.
    pub(crate) counters: Arc<Counters>,
    /// Destination of readings.
    pub(crate) publisher: Publisher,
    /// Destination of captured frames, if a sink takes them.
    pub(crate) frames: Option<FrameTap>,
    /// Policy when the channel is full.
    pub(crate) backpressure: Backpressure,
    /// Raised when the gateway should end.
    pub(crate) stop: Stop,
}

impl Pipeline {
    /// Drives `source` until it ends, fails or the gateway should stop.
    ///
    /// # Errors
    /// The source's own error, after every packet before it was dealt with.
    pub(crate) fn run(&mut self, source: &mut dyn Source) -> Result<(), CaptureError> {
        source.wake_on(&self.stop);
        if let Some(tap) = &mut self.frames {
            tap.interface = source.interface().map(Arc::from);
        }
        while !self.stop.is_raised() {
            self.counters.rounds.add(1);
            match source.next()? {
                Event::Packet(packet) => self.packet(packet),
                Event::Idle => {}
                Event::End => break,
            }
        }
        Ok(())
    }

    /// Deals with one packet.
    pub(crate) fn packet(&mut self, packet: Packet<'_>) {
        self.tap(&packet);
        match packet.frame() {
            Ok(frame) => self.frame(&frame, &packet),
            Err(error) => {
                debug!("a packet is not a frame: {error}");
                self.counters.unusable(match error {
                    FrameError::Ethertype(_) => Unusable::Ethertype,
                    FrameError::Magic => Unusable::Magic,
                    _ if packet.is_cut() => Unusable::Snapped,
                    FrameError::Truncated(_) => Unusable::Truncated,
                    FrameError::Length { .. } => Unusable::Length,
                });
            }
        }
    }

    /// Publishes a frame for the sinks that take frames.
    fn tap(&mut self, packet: &Packet<'_>) {
        let Some(tap) = &mut self.frames else { return };
        // A payload alone is no frame, and those of other ethertypes are none of this gateway's.
        if packet.link != Link::Ethernet || packet.payload().is_err() {
            return;
        }
        let waits = self.backpressure == Backpressure::Wait;
        if waits && !wait_for_room(&mut tap.publisher, &self.stop, &self.counters) {
            return;
        }
        tap.publisher.publish(Arc::new(CapturedFrame {
            time: packet.time,
            interface: tap.interface.clone(),
            bytes: packet.bytes.into(),
        }));
    }

    fn frame(&mut self, frame: &Frame<'_>, packet: &Packet<'_>) {
        let mut records = frame.records();
        for record in records.by_ref() {
            let outcome = self.record(&record, frame, packet.time);
            if self.counters.record(record.length(), outcome) && outcome == Outcome::Unknown {
                debug!(
                    packet = format_args!("{:#04X}", record.length()),
                    record_type = format_args!("{:#06X}", record.record_type()),
                    "no active decoder reads records of this length"
                );
            }
        }
        if packet.lacks_records(records.rest()) {
            self.counters.unusable(Unusable::Snapped);
        } else if records.rest().first().is_some_and(|byte| *byte != 0) {
            self.counters.unusable(Unusable::Tail);
        }
    }

    fn record(
        &mut self,
        record: &Record<'_>,
        frame: &Frame<'_>,
        time: Option<Timestamp>,
    ) -> Outcome {
        let Self { decoders, device_filter, gate, counters, publisher, backpressure, stop, .. } =
            self;
        let backpressure = *backpressure;
        let mut intake = Intake { device_filter, gate, counters, publisher, backpressure, stop };
        let mut outcome = Outcome::Unknown;
        for decoder in decoders.decoders(record) {
            outcome = outcome.max(match decoder.decode(record) {
                Ok(mut reading) => {
                    reading.time = time;
                    reading.mac = frame.source();
                    intake.reading(reading)
                }
                Err(DecodeError::Class { serial, class }) => {
                    intake.other_class(serial, class);
                    Outcome::OtherProduct
                }
                Err(DecodeError::RecordType(_)) => Outcome::OtherProduct,
                Err(error) => {
                    debug!("a record is not read: {error}");
                    Outcome::Unknown
                }
            });
        }
        outcome
    }
}

/// The way of a reading from its decoder to the channel.
struct Intake<'a> {
    device_filter: &'a mut DeviceFilter,
    gate: &'a mut Gate,
    counters: &'a Counters,
    publisher: &'a mut Publisher,
    backpressure: Backpressure,
    stop: &'a Stop,
}

impl Intake<'_> {
    /// Says once for each device that its product class keeps a decoder from its records.
    fn other_class(&mut self, serial: u32, class: u8) {
        if self.device_filter.is_new_of_other_class(serial) {
            info!(
                serial,
                class,
                "the device has the product class of a zappi, so its records are not read as those of \
                 an eddi. If it is an eddi, add this line to `devices.list`: \
                 {{serial: {serial}, product: eddi}}"
            );
        }
    }

    fn reading(&mut self, mut reading: Reading) -> Outcome {
        let (serial, mac) = (reading.serial, reading.mac);
        let admit = self.device_filter.judge(serial, mac);
        if !matches!(admit, Admit::Known | Admit::New) {
            self.refuse(admit, &reading);
            return Outcome::Refused;
        }
        let counters = self.counters;
        let received = tracing::enabled!(tracing::Level::DEBUG).then(|| reading.clone());
        let withhold = |key: &str| {
            if let Some(received) = &received {
                debug!(serial, key, value = ?received.get(key), "withheld");
            }
            counters.withheld(key);
        };
        if self.gate.pass(&mut reading, withhold) == Verdict::Empty {
            return Outcome::Withheld;
        }
        if admit == Admit::New {
            self.device_filter.remember(serial);
            counters.seen(serial);
            let mac = mac.map(tracing::field::display);
            info!(serial, mac, "a device is received for the first time");
        }
        let waits = self.backpressure == Backpressure::Wait;
        if waits && !wait_for_room(self.publisher, self.stop, self.counters) {
            return Outcome::Stopped;
        }
        self.counters.readings.add(1);
        if self.backpressure == Backpressure::DropOldest {
            self.counters.keep_values(&reading);
        }
        self.publisher.publish(Arc::new(reading));
        Outcome::Decoded
    }

    /// Counts a reading that is not to be published. Each reason is said once: anyone can send frames,
    /// and the log is not theirs to fill.
    fn refuse(&self, admit: Admit, reading: &Reading) {
        let (serial, mac) = (reading.serial, reading.mac.map(tracing::field::display));
        let (counter, why) = match admit {
            Admit::NoDevice => (
                &self.counters.no_device,
                "a record has serial number 0 or 0xFFFFFFFF, which no device has; it is only counted",
            ),
            Admit::OtherAddress => (
                &self.counters.other_address,
                "a listed device is received from another address than its `mac`; it is only counted",
            ),
            Admit::TooMany => (
                &self.counters.too_many,
                "more unlisted devices than `devices.max`; further ones are only counted. Devices in \
                 `devices.list` are always accepted: list your devices, in case somebody sends \
                 forged frames",
            ),
            _ => (
                &self.counters.not_listed,
                "a device is not in `devices.list`; it is only counted. If it is yours, add \
                 `- {serial: ...}` with its number to the list",
            ),
        };
        if counter.get() == 0 {
            warn!(serial, mac, "{why}");
        }
        counter.add(1);
    }
}

/// Waits for the slowest sink. Returns false where the gateway should stop instead.
fn wait_for_room<T: Item>(publisher: &mut Publisher<T>, stop: &Stop, counters: &Counters) -> bool {
    publisher.wait_for_room(|| {
        counters.rounds.add(1);
        !stop.is_raised()
    })
}
