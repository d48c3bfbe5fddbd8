//! A gateway from its configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use energi_decoders::{Decoder, DecoderTable, Gate, Layout, RegisterError};
use energi_sinks::channel::Publisher;
use energi_sinks::runner::RetryPolicy;
use energi_sinks::stats::SinkStats;
use energi_sinks::status::StatusHandle;
use energi_sinks::{Context, SinkConfig};
use jiff::Timestamp;

use super::sinks::Hubs;
use super::status::RunningStatus;
use super::{Gateway, Output};
use crate::capture::Source;
use crate::capture::live::{self, LiveSettings, LiveSource};
#[cfg(feature = "nats")]
use crate::capture::nats::{self, NatsSource, SinkPositions};
use crate::capture::remote::{self, RemoteAddress, RemoteSettings, RemoteSource};
use crate::capture::replay::ReplaySource;
use crate::capture::simulator::{self, SimulatorSource};
use crate::capture::stop::Stop;
use crate::config::{Capture, Config, Devices, Remote};
use crate::pipeline::counters::Counters;
use crate::pipeline::device_filter::DeviceFilter;
use crate::pipeline::{FrameTap, Pipeline};
use crate::platform::exit::{Exit, Failure};
use crate::platform::systemd::Manager;
use crate::terminal::progress::{Bar, Readings};

/// Attempts to open a sink before a command that somebody waits for gives it up: about 40 s.
const REPLAY_TRIES: u64 = 8;

/// Puts a gateway together: what a configuration says, and what a program adds to it.
pub struct GatewayBuilder<'c> {
    config: &'c Config,
    decoders: DecoderTable,
    sinks: Vec<(String, Arc<dyn SinkConfig>)>,
    source: Option<Box<dyn Source>>,
    shows_progress: bool,
    is_service: bool,
}

impl<'c> GatewayBuilder<'c> {
    /// A builder of the gateway that `config` describes.
    ///
    /// # Errors
    /// The [`Failure`] of decoders that cannot stand beside each other.
    pub fn new(config: &'c Config) -> Result<Self, Failure> {
        let decoders = config.decoders.table().map_err(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Failure::message(Exit::Config, problems.join("\n"))
        })?;
        let sinks =
            config.sinks.iter().map(|sink| (sink.name.clone(), sink.config.shared())).collect();
        Ok(Self { config, decoders, sinks, source: None, shows_progress: true, is_service: false })
    }

    /// Adds a decoder.
    ///
    /// # Errors
    /// [`RegisterError`] where another decoder reads the same records, or a key has two meanings.
    pub fn decoder(mut self, decoder: Box<dyn Decoder>) -> Result<Self, RegisterError> {
        self.decoders.register(decoder)?;
        Ok(self)
    }

    /// Adds a sink.
    #[must_use]
    pub fn sink(mut self, name: &str, sink: Arc<dyn SinkConfig>) -> Self {
        self.sinks.push((name.to_owned(), sink));
        self
    }

    /// Leaves out the sinks that were given so far, the configuration's among them.
    #[must_use]
    pub fn without_sinks(mut self) -> Self {
        self.sinks.clear();
        self
    }

    /// Takes frames from `source` instead of the configuration's.
    #[must_use]
    pub fn source(mut self, source: Box<dyn Source>) -> Self {
        self.source = Some(source);
        self
    }

    /// Shows no progress bar over a replay.
    #[must_use]
    pub fn without_progress(mut self) -> Self {
        self.shows_progress = false;
        self
    }

    /// Makes the gateway one that others watch: it notifies the service manager that started it, and
    /// answers `energi-gateway health`.
    #[must_use]
    pub fn as_service(mut self) -> Self {
        self.is_service = true;
        self
    }

    /// Opens the capture source; the sinks open as they start.
    ///
    /// # Errors
    /// The [`Failure`] of a source that cannot be opened.
    pub fn build(self) -> Result<Gateway, Failure> {
        let Self { config, decoders, sinks, source, shows_progress, is_service } = self;
        let counters = Arc::default();
        let counts: Vec<_> = sinks.iter().map(|(name, _)| (name.clone(), Arc::default())).collect();
        let publisher = Publisher::default();
        let takes_frames = sinks.iter().any(|(_, sink)| sink.takes_frames());
        let frames = takes_frames.then(FrameTap::default);
        let hubs = Hubs {
            readings: publisher.hub(),
            frames: frames.as_ref().map(|tap| tap.publisher.hub()),
        };
        let sink_counts = sinks
            .iter()
            .zip(&counts)
            .map(|((_, sink), (_, counts))| (sink.takes_frames(), Arc::clone(counts)))
            .collect();
        let (source, progress) = match source {
            Some(source) => (source, None),
            None => open_source(config, &counters, &hubs, sink_counts)?,
        };
        let status = Arc::new(RunningStatus::new(
            Arc::clone(&counters),
            counts.clone(),
            !source.may_block(),
        ));
        let layouts: Arc<[Layout]> =
            decoders.iter().map(|decoder| decoder.layout().clone()).collect();
        let outputs = sinks
            .into_iter()
            .zip(counts)
            .map(|((name, sink), (_, stats))| Output {
                config: sink,
                context: Context {
                    layouts: Arc::clone(&layouts),
                    status: StatusHandle::new(Arc::clone(&status) as _),
                    ..config.context(&name)
                },
                stats,
                retry_policy: retry_policy(&config.capture),
            })
            .collect();
        Ok(Gateway {
            source,
            hubs,
            reports: config.capture.is_endless(),
            pipeline: Pipeline {
                decoders: decoders.with_products(config.devices.products()),
                device_filter: device_filter(&config.devices),
                gate: Gate::new(config.decoders.plausibility),
                counters,
                publisher,
                frames,
                backpressure: config.capture.backpressure(),
                stop: Stop::default(),
            },
            outputs,
            devices: config.devices.clone(),
            shutdown_timeout: config.shutdown_timeout.duration(),
            progress: progress.filter(|_| shows_progress),
            manager: is_service.then(Manager::from_environment).flatten(),
            is_service,
            status,
        })
    }
}

/// The counters of each sink, and whether the sink takes frames.
type SinkCounts = Vec<(bool, Arc<SinkStats>)>;

#[cfg_attr(
    not(feature = "nats"),
    expect(unused_variables, clippy::needless_pass_by_value, reason = "for acknowledgements only")
)]
fn open_source(
    config: &Config,
    counters: &Arc<Counters>,
    hubs: &Hubs,
    sinks: SinkCounts,
) -> Result<(Box<dyn Source>, Option<Bar>), Failure> {
    Ok(match &config.capture {
        #[cfg(feature = "nats")]
        Capture::Nats(consumer) => {
            let (readings, frames) = (hubs.readings.clone(), hubs.frames.clone());
            let positions = SinkPositions { readings, frames, sinks };
            let source = NatsSource::new((**consumer).clone(), positions);
            counters.watch(source.counters());
            (Box::new(source), None)
        }
        Capture::Live(live) => {
            let (interface, promiscuous) = (live.interface.clone(), live.promiscuous);
            let settings = LiveSettings { interface, promiscuous };
            let live = LiveSource::open(settings)?;
            counters.watch(live.counters());
            (Box::new(live), None)
        }
        Capture::Remote(remote) => {
            let source = RemoteSource::new(RemoteSettings::new(address(remote)?));
            counters.watch(source.counters());
            (Box::new(source), None)
        }
        Capture::Replay(replay) => {
            let source = ReplaySource::open(&replay.path, replay.speed)?;
            let scrolls = config.sinks.iter().any(|sink| sink.config.sink().writes_to_stdout());
            let readings = if scrolls { Readings::OnStdout } else { Readings::Elsewhere };
            let progress = source.progress();
            let bar = progress
                .total()
                .and_then(|total| Bar::new(total, move || progress.read(), readings));
            (Box::new(source), bar)
        }
        Capture::Simulator(wanted) => {
            let start = wanted
                .start
                .resolve(Timestamp::now(), &config.timezone)
                .map_err(|error| Failure::new(Exit::Config, error))?;
            let mut settings = simulator::Settings::new(start, config.timezone.clone());
            settings.of(&wanted.devices.products());
            settings.seed = wanted.seed;
            (Box::new(SimulatorSource::new(settings, wanted.speed)), None)
        }
    })
}

/// Somebody waits for the end of a recording; nobody for that of a gateway in a cupboard, nor of a
/// stream that another machine sends.
fn retry_policy(capture: &Capture) -> RetryPolicy {
    match capture {
        Capture::Replay(replay) if replay.path != Path::new("-") => {
            RetryPolicy::Attempts(REPLAY_TRIES)
        }
        _ => RetryPolicy::Forever,
    }
}

/// A configuration that was checked has an address.
fn address(remote: &Remote) -> Result<RemoteAddress, Failure> {
    let none = || Failure::message(Exit::Config, "capture: give `command` or `connect`");
    remote.address().ok_or_else(none)
}

fn device_filter(devices: &Devices) -> DeviceFilter {
    let listed: BTreeMap<_, _> =
        devices.list.iter().map(|device| (device.serial, device.mac)).collect();
    let filter = if devices.only_listed {
        DeviceFilter::listed_only(listed)
    } else {
        DeviceFilter::open(listed, devices.max as usize)
    };
    filter.with_products(devices.products().map(|(serial, _)| serial))
}

/// Tries the capture source without reading from it, and says what is there.
///
/// # Errors
/// The [`Failure`] that a run would end with, or for an interface that cannot be used now.
pub fn probe(capture: &Capture) -> Result<String, Failure> {
    match capture {
        Capture::Live(live) => {
            let probe = live::probe(&live.interface);
            match (&probe.forbidden, probe.is_ready()) {
                (Some(_), _) => Err(Failure::message(Exit::Permission, probe)),
                (None, false) => Err(Failure::message(Exit::Unavailable, probe)),
                (None, true) => Ok(probe.to_string()),
            }
        }
        Capture::Replay(replay) => {
            if replay.path == Path::new("-") {
                return Ok("standard input is read when the gateway runs".to_owned());
            }
            let path = replay.path.display();
            // Opening a pipe waits for its writer, and takes what it says from the run to come.
            if std::fs::metadata(&replay.path).is_ok_and(|it| !it.is_file() && !it.is_dir()) {
                return Ok(format!("{path} is a stream; it is read when the gateway runs"));
            }
            ReplaySource::open(&replay.path, replay.speed)?;
            Ok(format!("{path} can be opened"))
        }
        Capture::Remote(wanted) => {
            let tried = remote::probe(&address(wanted)?);
            tried.map_err(|error| Failure::message(Exit::Unavailable, error))
        }
        #[cfg(feature = "nats")]
        Capture::Nats(consumer) => {
            let tried = nats::probe(consumer);
            tried.map_err(|error| Failure::message(Exit::Unavailable, error))
        }
        Capture::Simulator(_) => Ok("a simulated household".to_owned()),
    }
}
