//! Captures from files and streams: pcap and pcapng, gzipped or not, hex text, and the raw payload
//! of one frame. A capture is told by its content, never by its name, and is never whole in memory.

mod fault;
mod gunzip;
mod hex;
mod input;
mod link;
mod pcap;
mod pcapng;
mod tzsp;
mod window;

use std::ffi::OsStr;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use energi_decoders::frame::MAGIC;
use jiff::Timestamp;

use self::fault::{CaptureFault, FaultPlace};
use self::hex::Hex;
use self::input::Input;
pub use self::input::ReplayProgress;
use self::link::{LinkLayer, UnreadLinks};
use self::pcap::Pcap;
use self::pcapng::PcapNg;
use self::window::Window;
use super::pacer::Pacer;
use super::{CaptureError, Event, Link, Packet, Source};
use crate::capture::Speed;

/// The largest packet, with its header, that is believed. Captures keep at most 256 KiB of one.
const MAX_BLOCK: usize = 1024 * 1024;

/// The largest raw payload: that of an Ethernet frame is far smaller.
const MAX_PAYLOAD: usize = 64 * 1024;

/// A packet that is in the window.
#[derive(Debug, Clone)]
struct Found {
    time: Option<Timestamp>,
    link: LinkLayer,
    /// Place of its bytes, from the window's front.
    bytes: Range<usize>,
    /// The length on the wire, which is more than `bytes` where the capture cut it.
    length: usize,
    /// Number of bytes to consume to skip it.
    size: usize,
}

enum Format {
    /// Nothing has been looked at yet.
    Unknown,
    Pcap(Pcap),
    PcapNg(PcapNg),
    Hex(Hex),
    Payload,
    Ended,
}

/// A source that reads a capture.
pub struct ReplaySource {
    name: String,
    /// The name says that it is the payload of a frame, whatever its content.
    named_payload: bool,
    format: Format,
    window: Window,
    /// The packet that waits for its time.
    held: Option<Found>,
    /// Length of the packet given last in the window.
    given: usize,
    packets: u64,
    unread: UnreadLinks,
    /// The packet given last, where it is not in the window as an Ethernet frame.
    frame: Vec<u8>,
    pacer: Pacer,
    progress: ReplayProgress,
}

impl std::fmt::Debug for ReplaySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplaySource")
            .field("name", &self.name)
            .field("packets", &self.packets)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl ReplaySource {
    /// Opens a file, or standard input for `-`. Nothing is read yet.
    ///
    /// # Errors
    /// [`CaptureError`] where the file is missing, may not be read or is a directory.
    pub fn open(path: &Path, speed: Speed) -> Result<Self, CaptureError> {
        if path == Path::new("-") {
            return Ok(Self::new("standard input", Box::new(io::stdin()), speed));
        }
        let mut replay = Self::over(path.display().to_string(), Input::open(path)?, speed);
        replay.named_payload = path.extension() == Some(OsStr::new("bin"));
        Ok(replay)
    }

    /// Reads a stream, which errors call `name`. A packet is given as soon as its bytes have come.
    #[must_use]
    pub fn new(name: &str, stream: Box<dyn Read + Send>, speed: Speed) -> Self {
        Self::over(name.to_owned(), Input::new(stream, None), speed)
    }

    fn over(name: String, input: Input, speed: Speed) -> Self {
        Self {
            name,
            named_payload: false,
            format: Format::Unknown,
            window: Window::new(input.bytes),
            held: None,
            given: 0,
            packets: 0,
            unread: UnreadLinks::default(),
            frame: Vec::new(),
            pacer: Pacer::new(speed),
            progress: input.progress,
        }
    }

    /// A handle that says how far the input has been read.
    #[must_use]
    pub fn progress(&self) -> ReplayProgress {
        self.progress.clone()
    }

    /// The next packet that is read.
    fn find(&mut self) -> Result<Option<Found>, CaptureFault> {
        loop {
            self.window.consume(std::mem::take(&mut self.given));
            let found = self.find_any()?;
            let Some(Found { link: LinkLayer::Other(link), size, .. }) = found else {
                return Ok(found);
            };
            self.unread.add(link);
            self.given = size;
        }
    }

    fn find_any(&mut self) -> Result<Option<Found>, CaptureFault> {
        if matches!(self.format, Format::Unknown) {
            self.format = self.recognise()?;
        }
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.window),
            Format::PcapNg(pcapng) => pcapng.next(&mut self.window),
            Format::Hex(hex) => {
                let size = hex.next(&mut self.window)?;
                Ok(size.map(|size| bare(0..0, size)))
            }
            Format::Payload => {
                self.format = Format::Ended;
                payload(&mut self.window).map(Some)
            }
            Format::Unknown | Format::Ended => Ok(None),
        }
    }

    fn recognise(&mut self) -> Result<Format, CaptureFault> {
        self.window.ensure(MAGIC.len())?;
        let Some(&magic) = self.window.bytes().first_chunk() else {
            return match (self.window.bytes(), self.named_payload) {
                ([], _) => Err(CaptureFault::Empty),
                (_, true) => Ok(Format::Payload),
                (_, false) => Err(CaptureFault::Unknown),
            };
        };
        if Pcap::begins(magic) {
            Ok(Format::Pcap(Pcap::open(&mut self.window)?))
        } else if PcapNg::begins(magic) {
            Ok(Format::PcapNg(PcapNg::default()))
        } else if self.named_payload || magic == MAGIC {
            Ok(Format::Payload)
        } else if Hex::begins(magic) {
            Ok(Format::Hex(Hex::default()))
        } else {
            Err(CaptureFault::Unknown)
        }
    }
}

/// All of the stream is one payload.
fn payload(window: &mut Window) -> Result<Found, CaptureFault> {
    if window.ensure(MAX_PAYLOAD + 1)? {
        return Err(CaptureFault::Damaged(format!(
            "more than {MAX_PAYLOAD} bytes: a raw file holds the payload of one frame"
        )));
    }
    let size = window.bytes().len();
    Ok(bare(0..size, size))
}

/// A packet without a capture around it.
fn bare(bytes: Range<usize>, size: usize) -> Found {
    let length = bytes.len();
    Found { time: None, link: LinkLayer::Ethernet, bytes, length, size }
}

impl Source for ReplaySource {
    fn next(&mut self) -> Result<Event<'_>, CaptureError> {
        let found = match self.held.take() {
            Some(found) => found,
            None => match self.find() {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.format = Format::Ended;
                    if self.unread.is_empty() {
                        return Ok(Event::End);
                    }
                    let unread = std::mem::take(&mut self.unread);
                    return Err(CaptureError::Data(format!("{}: {unread}", self.name)));
                }
                Err(fault) => {
                    self.format = Format::Ended;
                    return Err(fault.at(&FaultPlace {
                        name: &self.name,
                        packets: self.packets,
                        byte: self.window.position(),
                    }));
                }
            },
        };
        if !self.pacer.wait(found.time) {
            self.held = Some(found);
            return Ok(Event::Idle);
        }
        self.packets += 1;
        self.given = found.size;
        let captured = self.window.bytes().get(found.bytes).unwrap_or_default();
        let time = found.time;
        Ok(Event::Packet(match &self.format {
            Format::Hex(hex) => {
                let (link, bytes) = hex.packet();
                Packet::whole(time, link, bytes)
            }
            Format::Unknown | Format::Payload | Format::Ended => {
                Packet::whole(time, Link::Payload, captured)
            }
            Format::Pcap(_) | Format::PcapNg(_) => {
                let (bytes, length) = match found.link {
                    LinkLayer::Cooked(header) => {
                        header.ethernet(captured, &mut self.frame);
                        (&self.frame[..], found.length.saturating_sub(header.surplus()))
                    }
                    LinkLayer::Ethernet | LinkLayer::Other(_) => (captured, found.length),
                };
                let missing = length.saturating_sub(bytes.len());
                let inner = tzsp::inner_frame(bytes).and_then(|inner| bytes.get(inner));
                let bytes = inner.unwrap_or(bytes);
                Packet { time, link: Link::Ethernet, bytes, length: bytes.len() + missing }
            }
        }))
    }

    /// A stream's writer may have nothing to say for hours.
    fn may_block(&self) -> bool {
        self.progress.total().is_none()
    }
}
