//! A gateway from its configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use energi_decoders::Gate;
use energi_sinks::channel::Publisher;
use energi_sinks::runner::RetryPolicy;
use energi_sinks::stats::SinkStats;
use jiff::Timestamp;

use crate::capture::Source;
use crate::capture::live::{self, LiveSettings, LiveSource};
use crate::capture::replay::ReplaySource;
use crate::capture::simulator::{self, Simulator};
use crate::capture::stop::Stop;
use crate::config::{Capture, Config, Devices};
use crate::gateway::{Gateway, Output};
use crate::pipeline::Pipeline;
use crate::pipeline::counters::Counters;
use crate::pipeline::device_filter::DeviceFilter;
use crate::platform::exit::{Exit, Failure};
use crate::platform::systemd::Manager;
use crate::terminal::progress::{Bar, Readings};

/// How often a sink is tried before a command that somebody waits for gives it up: about 40 s.
const REPLAY_TRIES: u64 = 8;

/// Opens the capture source and puts everything together; the sinks open as they start.
///
/// # Errors
/// The [`Failure`] of a source that cannot be opened.
pub fn gateway(config: &Config) -> Result<Gateway, Failure> {
    let decoders = config.decoders.table().map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Failure::message(Exit::Config, problems.join("\n"))
    })?;
    let counters = Arc::default();
    let (source, progress) = source(config, &counters)?;
    Ok(Gateway {
        source,
        pipeline: Pipeline {
            decoders,
            device_filter: device_filter(&config.devices),
            gate: Gate::new(config.decoders.plausibility),
            counters,
            publisher: Publisher::default(),
            backpressure: config.capture.backpressure(),
            stop: Stop::default(),
        },
        outputs: config
            .sinks
            .iter()
            .map(|sink| Output {
                config: sink.config.shared(),
                context: config.context(&sink.name),
                stats: Arc::new(SinkStats::default()),
                retry_policy: retry_policy(&config.capture),
            })
            .collect(),
        shutdown_timeout: config.shutdown_timeout.duration(),
        progress,
        manager: Manager::from_environment(),
    })
}

fn source(
    config: &Config,
    counters: &Arc<Counters>,
) -> Result<(Box<dyn Source>, Option<Bar>), Failure> {
    Ok(match &config.capture {
        Capture::Live(live) => {
            let (interface, promiscuous) = (live.interface.clone(), live.promiscuous);
            let settings = LiveSettings { interface, promiscuous };
            let live = LiveSource::open(settings)?;
            counters.watch(live.counters());
            (Box::new(live), None)
        }
        Capture::Replay(replay) => {
            let source = ReplaySource::open(&replay.path, replay.speed)?;
            let scrolls = config.sinks.iter().any(|sink| sink.config.type_name() == "stdout");
            let readings = if scrolls { Readings::OnStdout } else { Readings::Elsewhere };
            let bar = Bar::of(source.progress(), readings);
            (Box::new(source), bar)
        }
        Capture::Simulator(wanted) => {
            let start = wanted
                .start
                .resolve(Timestamp::now(), &config.timezone)
                .map_err(|error| Failure::new(Exit::Config, error))?;
            let mut settings = simulator::Settings::new(start, config.timezone.clone());
            settings.devices = wanted.devices;
            settings.seed = wanted.seed;
            (Box::new(Simulator::new(settings, wanted.speed)), None)
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
        Capture::Replay(_) | Capture::Live(_) | Capture::Simulator(_) => RetryPolicy::Forever,
    }
}

fn device_filter(devices: &Devices) -> DeviceFilter {
    let listed: BTreeMap<_, _> =
        devices.list.iter().map(|device| (device.serial, device.mac)).collect();
    if devices.only_listed {
        DeviceFilter::listed_only(listed)
    } else {
        DeviceFilter::open(listed, devices.max as usize)
    }
}

/// Tries the capture source without reading from it, and says what is there.
///
/// # Errors
/// The [`Failure`] that a run would end with, or for an interface that cannot be heard now.
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
        Capture::Simulator(_) => Ok("a simulated household".to_owned()),
    }
}
