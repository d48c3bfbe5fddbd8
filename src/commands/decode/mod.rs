//! `energi-gateway decode`: decoded records of captures. No gate, no allowlist, no state.

mod block;
mod hex;
mod span;
mod text;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use energi_decoders::frame::RECORDS;
use energi_decoders::json::{Json, UnknownJson};
use energi_decoders::{DecoderTable, Frame, FrameError, Reading, Record, Switch};
use jiff::Timestamp;
use tracing::{info, warn};

use crate::capture::Speed;
use crate::capture::replay::ReplaySource;
use crate::capture::{CaptureError, Event, Packet, Source, ethertype};
use crate::config::{Decoders, Devices};
use crate::platform::exit::{Exit, Failure};
use crate::terminal::style;

use self::block::RecordOrigin;
use super::line::Line;

/// Arguments of `decode`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Captures (pcap, pcapng, gzipped or not), raw payloads (.bin), hex text, or - for standard
    /// input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The format of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Experimental decoders to switch on: `all`, or length bytes and names such as 0x27,zappi
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    experimental: Vec<String>,
    /// Also show records that no active decoder reads
    #[arg(long)]
    unknown: bool,
    /// A configuration; its custom decoders and its products of devices are used
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// JSON lines, as the stdout sink writes them
    #[default]
    Json,
    /// A table for each record: name, value, unit, offset, raw bytes and confidence of each field
    Text,
    /// Each record byte by byte, with the known meaning of each byte
    Hex,
}

/// Decodes each input in turn.
///
/// # Errors
/// The first input that could not be read to its end; those after it are decoded all the same.
pub fn run(args: &Args) -> Result<(), Failure> {
    let stdout = io::stdout();
    let mut output = Output {
        decoders: table(args)?,
        unknown: args.unknown,
        format: args.format,
        line: Line::new(style::wanted(&stdout)),
        readings: Vec::new(),
        out: BufWriter::with_capacity(64 * 1024, stdout.lock()),
    };
    let mut result = Ok(());
    for input in &args.inputs {
        match output.input(input) {
            Ok(()) => {}
            Err(Ended::ReaderGone) => return Ok(()),
            Err(Ended::Failed(failure)) if result.is_ok() => result = Err(failure),
            Err(Ended::Failed(failure)) => tracing::error!("{failure}"),
        }
    }
    super::quietly_closed(output.out.flush())?;
    result
}

/// The decoders that the arguments switch on, those that a configuration declares among them.
fn table(args: &Args) -> Result<DecoderTable, Failure> {
    let mut wanted = Decoders::default();
    let mut devices = Devices::default();
    if let Some(path) = &args.config {
        let config = super::configuration(Some(path))?;
        (wanted.custom, devices) = (config.decoders.custom, config.devices);
    }
    for given in &args.experimental {
        if given == "all" {
            wanted.experimental.values_mut().for_each(|on| *on = true);
            continue;
        }
        let switch: Switch = given.parse().map_err(|error| {
            Failure::message(Exit::Usage, format!("--experimental {given}: {error}, or `all`"))
        })?;
        wanted.experimental.insert(switch, true);
    }
    let table = wanted.table().map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Failure::message(Exit::Config, problems.join("\n"))
    })?;
    Ok(table.with_products(devices.products()))
}

/// Reason why an input was not decoded to its end.
enum Ended {
    /// Nobody reads the result any more.
    ReaderGone,
    Failed(Failure),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        match super::quietly_closed(Err(error)) {
            Ok(()) => Self::ReaderGone,
            Err(failure) => Self::Failed(failure),
        }
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<CaptureError> for Ended {
    fn from(error: CaptureError) -> Self {
        Self::Failed(Failure::from(error))
    }
}

/// The packets of an input.
#[derive(Default)]
struct PacketCounts {
    packets: u64,
    /// Frames of the devices' protocol.
    frames: u64,
    /// Packets of the devices' ethertype that are no frame.
    foreign: u64,
    /// Frames that the capture cut off.
    cut: u64,
    others: BTreeMap<u16, u64>,
}

impl PacketCounts {
    fn frame(&mut self, packet: &Packet<'_>, frame: &Frame<'_>) {
        self.frames += 1;
        let mut records = frame.records();
        while records.next().is_some() {}
        if packet.lacks_records(records.rest()) {
            self.cut(packet);
        }
    }

    /// Counts a frame that the capture cut off. The first one is reported at once.
    fn cut(&mut self, packet: &Packet<'_>) {
        if self.cut == 0 {
            let (kept, length) = (packet.bytes.len(), packet.length);
            let number = self.packets;
            warn!(packet = number, "cut off by the capture: {kept} of {length} bytes kept");
        }
        self.cut += 1;
    }

    fn not_a_frame(&mut self, packet: &Packet<'_>, error: FrameError) {
        // Captures of a whole network are full of other ethertypes.
        if let FrameError::Ethertype(ethertype) = error {
            let ethertype = if ethertype < ethertype::LEAST { 0 } else { ethertype };
            *self.others.entry(ethertype).or_default() += 1;
            return;
        }
        if packet.is_cut() && error != FrameError::Magic {
            return self.cut(packet);
        }
        if self.foreign == 0 {
            warn!(packet = self.packets, "not a frame of this protocol: {error}");
        }
        self.foreign += 1;
    }

    /// Says what was not decoded.
    fn report(&self, path: &Path) {
        let (path, Self { packets, frames, foreign, cut, others }) = (path.display(), self);
        if *foreign > 1 {
            warn!("{path}: {foreign} packets were not frames of this protocol");
        }
        if *cut > 1 {
            warn!("{path}: {cut} frames were cut off by the capture: record whole frames (`-s 0`)");
        }
        let other: Vec<_> = others
            .iter()
            .map(|(ethertype, count)| {
                let name = ethertype::name(*ethertype);
                format!(
                    "{count} of {ethertype:#06X}{}{name}",
                    if name.is_empty() { "" } else { " " }
                )
            })
            .collect();
        match (frames, other.is_empty()) {
            (_, true) => {}
            (0, false) => {
                let other = other.join(", ");
                warn!("{path}: none of {packets} packets is a device's; other ethertypes: {other}");
            }
            (_, false) => info!("{path}: packets of other ethertypes: {}", other.join(", ")),
        }
    }
}

/// Destination of the result, and the part of an input that is shown.
struct Output {
    decoders: DecoderTable,
    unknown: bool,
    format: Format,
    /// The line that a format for people is writing.
    line: Line,
    /// Readings of one record.
    readings: Vec<Reading>,
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    fn input(&mut self, path: &Path) -> Result<(), Ended> {
        let mut source = ReplaySource::open(path, Speed::Max)?;
        // A person who watches a stream wants to see each packet as it comes.
        let streams = source.progress().total().is_none();
        let (mut seen, mut unread) = (PacketCounts::default(), 0);
        let ended = loop {
            match source.next() {
                Ok(Event::Packet(packet)) => {
                    seen.packets += 1;
                    match packet.frame() {
                        Ok(frame) => {
                            unread += self.frame(&frame, packet.time)?;
                            seen.frame(&packet, &frame);
                        }
                        Err(error) => {
                            seen.not_a_frame(&packet, error);
                            self.no_record(&packet, error)?;
                        }
                    }
                    if streams {
                        self.out.flush()?;
                    }
                }
                Ok(Event::Idle) => {}
                Ok(Event::End) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        seen.report(path);
        if unread > 0 && !self.unknown {
            info!(
                "{}: no active decoder reads {unread} records; --unknown shows them",
                path.display()
            );
        }
        ended
    }

    /// Shows a frame whose first record is cut off, where everything is to be shown.
    fn no_record(&mut self, packet: &Packet<'_>, error: FrameError) -> io::Result<()> {
        let (FrameError::Length { .. }, Ok((mac, payload))) = (error, packet.payload()) else {
            return Ok(());
        };
        let rest = payload.get(RECORDS..).unwrap_or_default();
        if self.unknown {
            self.rest(RecordOrigin { time: packet.time, mac, number: 1 }, rest)?;
        }
        Ok(())
    }

    /// Shows the records of a frame, and returns how many of them no decoder reads.
    fn frame(&mut self, frame: &Frame<'_>, time: Option<Timestamp>) -> io::Result<u64> {
        let mut from = RecordOrigin { time, mac: frame.source(), number: 1 };
        let mut unread = 0;
        let mut records = frame.records();
        for record in &mut records {
            self.readings.clear();
            for mut reading in self.decoders.decode(&record).flatten() {
                (reading.time, reading.mac) = (time, from.mac);
                self.readings.push(reading);
            }
            unread += u64::from(self.readings.is_empty());
            if self.unknown || !self.readings.is_empty() {
                self.record(from, &record)?;
            }
            from.number += 1;
        }
        if self.unknown {
            self.rest(from, records.rest())?;
        }
        Ok(unread)
    }

    /// Shows a record and what was read of it.
    fn record(&mut self, from: RecordOrigin, record: &Record<'_>) -> io::Result<()> {
        let Self { format, line, readings, out, .. } = self;
        match format {
            Format::Json if readings.is_empty() => {
                let RecordOrigin { time, mac, .. } = from;
                writeln!(out, "{}", UnknownJson { time, mac, record: *record })
            }
            Format::Json => {
                readings.iter().try_for_each(|reading| writeln!(out, "{}", Json(reading)))
            }
            Format::Text => text::write(out, line, from, record, readings),
            Format::Hex => hex::write(out, line, from, record, readings),
        }
    }

    /// Shows what is no whole record.
    fn rest(&mut self, from: RecordOrigin, bytes: &[u8]) -> io::Result<()> {
        match self.format {
            // Its lines are of records.
            Format::Json => Ok(()),
            Format::Text | Format::Hex => block::rest(&mut self.out, &mut self.line, from, bytes),
        }
    }
}
