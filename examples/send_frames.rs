//! Sends the frames of a capture, over and over, at a rate that stays the same: the other end of
//! `benches/load.py` and `benches/figures.py`. It prints `sending` once it does, and at the end how
//! many it sent.
//!
//! ```text
//! send_frames INTERFACE FRAMES_PER_SECOND FRAMES CAPTURE
//! ```
//!
//! It sends in a network namespace of its own only, never on the network of the machine.

use std::fs;
use std::io::IoSlice;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use energi_gateway::capture::Speed;
use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::{Event, Source};
use pnet::datalink::{self, Channel, ChannelType, Config};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use socket2::{Domain, Socket, Type};

/// Largest number of frames that one system call sends.
const BURST: usize = 64;

/// Shortest sleep: what has become due meanwhile goes out together.
const NAP: Duration = Duration::from_millis(1);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [interface, rate, count, capture] = &arguments[..] else {
        bail!("send_frames INTERFACE FRAMES_PER_SECOND FRAMES CAPTURE");
    };
    ensure!(
        is_namespace_by_name()?,
        "this is the machine's own network: run it with `ip netns exec` in a namespace"
    );
    let frames = frames(Path::new(capture))?;
    let socket = socket(interface)?;
    println!("sending");
    println!("{}", send(&socket, &frames, rate.parse()?, count.parse()?)?);
    Ok(())
}

/// Returns whether the network is one that `ip netns add` made, which the machine's own is not.
fn is_namespace_by_name() -> anyhow::Result<bool> {
    let own = fs::metadata("/proc/self/ns/net")?.ino();
    let named = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    Ok(named.flat_map(|it| fs::metadata(it.path())).any(|it| it.ino() == own))
}

fn frames(capture: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut replay = ReplaySource::open(capture, Speed::Max)?;
    let mut frames = Vec::new();
    while let Event::Packet(packet) = replay.next()? {
        frames.push(packet.bytes.to_vec());
    }
    ensure!(!frames.is_empty(), "{}: no frames", capture.display());
    Ok(frames)
}

/// A socket that sends on an interface and receives nothing.
fn socket(interface: &str) -> anyhow::Result<Socket> {
    let found = datalink::interfaces().into_iter().find(|it| it.name == interface);
    let interface = found.with_context(|| format!("no interface is called {interface}"))?;
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(0.into()))?;
    let config = Config {
        // pnet binds the socket, and closes the descriptor that it is given.
        socket_fd: Some(socket.try_clone()?.into_raw_fd()),
        channel_type: ChannelType::Layer3(0),
        promiscuous: false,
        ..Config::default()
    };
    match datalink::channel(&interface, config)? {
        Channel::Ethernet(..) => Ok(socket),
        _ => bail!("pnet has no other kind of channel"),
    }
}

/// Sends `count` frames, each as soon as it is due.
fn send(socket: &Socket, frames: &[Vec<u8>], rate: f64, count: usize) -> anyhow::Result<usize> {
    let begun = Instant::now();
    let mut sent = 0;
    while sent < count {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of frames"
        )]
        let due = ((begun.elapsed().as_secs_f64() * rate) as usize + 1).min(count);
        while sent < due {
            let burst = (sent..due).take(BURST).map(|number| &frames[number % frames.len()]);
            sent += send_burst(socket, burst)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a number of frames")]
        let next = begun + Duration::from_secs_f64(sent as f64 / rate);
        thread::sleep(next.saturating_duration_since(Instant::now()).max(NAP));
    }
    Ok(sent)
}

fn send_burst<'a>(
    socket: &Socket,
    frames: impl Iterator<Item = &'a Vec<u8>>,
) -> anyhow::Result<usize> {
    let slices: Vec<_> = frames.map(|frame| [IoSlice::new(frame)]).collect();
    let mut controls: Vec<_> = slices.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let messages = slices.iter().zip(&mut controls);
    let mut messages: Vec<_> =
        messages.map(|(slice, control)| MMsgHdr::new(slice, control)).collect();
    Ok(sendmmsg(socket, &mut messages, SendFlags::empty())?)
}
