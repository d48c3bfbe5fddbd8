//! `energi-gateway watch`: the devices, live, in the terminal.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use energi_sinks::settings::Period;

use crate::capture::Speed;
use crate::capture::live::InterfaceName;
use crate::config::{Capture, Config, Live, Replay, Simulator};
use crate::gateway::GatewayBuilder;
use crate::platform::exit::{Exit, Failure};
use crate::platform::runtime;
use crate::platform::signals::Signals;
use crate::terminal::style;
use crate::watch::lines::LinePrinter;
use crate::watch::screen::{Screen, follow_sinks};
use crate::watch::{WatchSink, WatchedDevices};

/// Time that the screen may take to end; it looks four times a second whether it should.
const SCREEN_PATIENCE: Duration = Duration::from_secs(2);

/// Arguments of `watch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Keys: q quits, the arrow keys scroll.

Without a terminal on standard output, one line a device is printed every interval of capture time. \
The sinks of the configuration are not opened, so a running gateway is not disturbed. On a terminal, \
the view of a configuration also shows what the sinks of the running gateway have delivered.

Examples:
  energi-gateway watch -i eth0
  energi-gateway watch examples/captures/eddi-day.pcapng.gz --speed 600
  energi-gateway watch --simulator")]
pub struct Args {
    /// The configuration whose source, devices and decoders are used [default: the first of
    /// ./config.yaml, $XDG_CONFIG_HOME/energi-gateway/config.yaml and
    /// /etc/energi-gateway/config.yaml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The network interface, such as eth0
    #[arg(short, long, value_name = "IFACE", conflicts_with_all = ["input", "simulator"])]
    interface: Option<InterfaceName>,
    /// Watch a simulated household
    #[arg(long, conflicts_with = "input")]
    simulator: bool,
    /// The speed of a capture or the simulator: max, 1 (as recorded), 60 (a minute in a second)
    #[arg(long, value_name = "N", value_parser = super::amount::<Speed>)]
    speed: Option<Speed>,
    /// The time between lines if standard output is not a terminal
    #[arg(long, value_name = "TIME", value_parser = super::amount::<Period>, default_value_t = Period::from_secs(10))]
    interval: Period,
    /// A capture: pcap, pcapng (gzipped too), .bin, or - for a pcap stream on standard input
    input: Option<PathBuf>,
}

/// Shows the devices until the user quits or the input ends.
///
/// # Errors
/// The [`Failure`] that decides the exit code.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = configuration(args)?;
    let names = config.devices.names();
    let on_screen = io::stdout().is_terminal() && io::stdin().is_terminal();
    let devices = Arc::new(Mutex::new(WatchedDevices::new(config.timezone.clone())));
    let sink = if on_screen {
        WatchSink::Screen(Arc::clone(&devices))
    } else {
        let interval = args.interval.duration();
        let printer = LinePrinter::new(names.clone(), config.timezone.clone(), interval);
        WatchSink::Lines(Arc::new(Mutex::new(printer)))
    };
    // The view shows how far a replay is.
    let gateway = GatewayBuilder::new(&config)?
        .without_sinks()
        .without_progress()
        .sink("watch", Arc::new(sink))
        .build()?;
    let ended = Arc::new(AtomicBool::new(false));
    let sinks = Arc::default();
    let names_of_sinks: Vec<_> = config.sinks.iter().map(|sink| sink.name.clone()).collect();
    if on_screen && !names_of_sinks.is_empty() {
        let (sinks, stop) = (Arc::clone(&sinks), gateway.stop());
        std::thread::Builder::new()
            .name("sinks".to_owned())
            .spawn(move || follow_sinks(&names_of_sinks, &sinks, &stop))
            .map_err(|error| Failure::new(Exit::Io, error))?;
    }
    let screen = on_screen.then(|| Screen {
        devices,
        names,
        source: source(&config.capture),
        coloured: style::wanted(&io::stdout()),
        stop: gateway.stop(),
        ended: Arc::clone(&ended),
        sinks,
    });
    let drawing = screen
        .map(|screen| {
            let (result, drawn) = mpsc::channel();
            std::thread::Builder::new().name("screen".to_owned()).spawn(move || {
                // Nobody waits any more for a screen that ends too late.
                let _ = result.send(screen.run());
            })?;
            Ok::<_, io::Error>(drawn)
        })
        .transpose()
        .map_err(|error| Failure::new(Exit::Io, error))?;
    let runtime = runtime::create()?;
    let result = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        gateway.run(async || signals.next().await).await
    });
    runtime.shutdown_background();
    ended.store(true, Ordering::Relaxed);
    if let Some(drawing) = drawing {
        let drawn = match drawing.recv_timeout(SCREEN_PATIENCE) {
            Ok(drawn) => drawn,
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the screen died")),
            // The terminal is gone, and the keyboard's reader does not return.
            Err(RecvTimeoutError::Timeout) => Ok(()),
        };
        drawn.map_err(|error| Failure::message(Exit::Io, format_args!("terminal: {error}")))?;
    }
    result
}

/// The configuration to watch: that of the file, with its source replaced where one is named.
fn configuration(args: &Args) -> Result<Config, Failure> {
    let capture = if let Some(interface) = &args.interface {
        Some(Capture::Live(Live { interface: interface.clone(), promiscuous: false }))
    } else if let Some(path) = &args.input {
        let speed = args.speed.unwrap_or(Speed::Times(1.0));
        Some(Capture::Replay(Replay { path: path.clone(), speed }))
    } else if args.simulator {
        Some(Capture::Simulator(Simulator::default()))
    } else {
        None
    };
    let mut config = match &capture {
        // A named source needs no configuration, but uses one that is named too.
        Some(capture) if args.config.is_none() => Config::of(capture.clone()),
        _ => super::configuration(args.config.as_deref())?,
    };
    config.capture = capture.unwrap_or(config.capture);
    match (&mut config.capture, args.speed) {
        (Capture::Replay(replay), Some(speed)) => replay.speed = speed,
        (Capture::Simulator(simulator), Some(speed)) => simulator.speed = speed,
        _ => {}
    }
    Ok(config)
}

fn source(capture: &Capture) -> String {
    match capture {
        Capture::Live(live) => live.interface.to_string(),
        #[cfg(feature = "nats")]
        Capture::Nats(consumer) => consumer.stream.clone(),
        Capture::Replay(replay) => replay.path.display().to_string(),
        Capture::Remote(remote) => {
            remote.address().map_or_else(String::new, |address| address.to_string())
        }
        Capture::Simulator(_) => "simulated household".to_owned(),
    }
}
