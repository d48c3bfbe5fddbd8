//! Many simulated sites in one process, each with the sinks and the queues of a site's
//! configuration: a load for brokers and databases.
//!
//! `cargo run --release --example fleet --features postgres -- -c examples/fleet/postgres/site.yaml`
//!
//! `${SITE}`, `${SERIAL}` and `${STATE_DIRECTORY}` in the configuration differ from site to site:
//! `site-0001`, the serial number of its eddi, and a folder. All other variables are the
//! environment's. The capture section is not used: every site has an eddi of its own.
//!
//! The same arguments give the same readings, `--start` given: `--expect` writes what should arrive.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use energi_decoders::{DecoderTable, Frame, Gate, Reading, Value, Verdict};
use energi_gateway::capture::simulator::{Household, Settings};
use energi_gateway::config::{self, Config};
use energi_gateway::platform::logging::{self, LogFormat};
use energi_sinks::channel::{Hub, Publisher};
use energi_sinks::runner::{RetryPolicy, RunError, Runner};
use energi_sinks::stats::SinkStats;
use energi_sinks::{Backpressure, CapturedFrame, Context, Item, SinkConfig};
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::task::JoinSet;

#[derive(Parser)]
#[command(about = "Run many simulated sites through the sinks of a site's configuration")]
struct Arguments {
    /// The configuration of a site
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Number of sites
    #[arg(long, default_value_t = 1000)]
    sites: u32,
    /// The number of the first site
    #[arg(long, default_value_t = 1)]
    first: u32,
    /// Time for which each site sends frames
    #[arg(long = "for", value_name = "DURATION", default_value = "1m")]
    duration: SignedDuration,
    /// Speed of the sites' time; at 1 each sends 1.7 frames a second
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// The time over which the sites begin, one after the other
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    ramp: SignedDuration,
    /// The time of the first frame [default: now]
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// The same seed gives the same sites
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// The sinks to run, by name [default: all]
    #[arg(long = "sink", value_name = "NAME")]
    sinks: Vec<String>,
    /// Folder in which each site has one for its queues
    #[arg(long, value_name = "FOLDER", default_value = "fleet")]
    state: PathBuf,
    /// Time that the sinks may take to finish
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    drain: SignedDuration,
    /// Write what should arrive, a line a value, and send nothing
    #[arg(long)]
    expect: bool,
}

/// Readings that wait for a site's slowest sink at most.
const WAITING: usize = 1024;

/// The serial number before that of site 1.
const SERIALS: u32 = 20_000_000;

/// A site and its frames.
struct Site {
    name: String,
    household: Household,
    /// Shift of the times of its frames: no two sites share them.
    phase: SignedDuration,
    /// Start of its first second, and the time from which it sends nothing.
    span: (Timestamp, Timestamp),
    gate: Gate,
    publisher: Publisher,
    /// Destination of its frames, if a sink takes those.
    frames: Option<Publisher<CapturedFrame>>,
}

impl Site {
    fn new(index: u32, start: Timestamp, arguments: &Arguments, config: &Config) -> Result<Self> {
        let number = arguments.first + index;
        let stagger = arguments.ramp * i32::try_from(index)? / i32::try_from(arguments.sites)?;
        let begin = start.checked_add(stagger)?;
        let simulated =
            SignedDuration::try_from_secs_f64(arguments.duration.as_secs_f64() * arguments.speed)?;
        let second = Timestamp::from_second(begin.as_second())?;
        let mut settings = Settings::new(second, config.timezone.clone());
        settings.serial = SERIALS + number;
        settings.seed = arguments.seed.wrapping_add(number.into());
        Ok(Self {
            name: name(number),
            household: Household::new(settings),
            phase: begin.duration_since(second),
            span: (begin, begin.checked_add(simulated)?),
            gate: Gate::new(config.decoders.plausibility),
            publisher: Publisher::new(WAITING),
            frames: None,
        })
    }

    /// Makes the next frame; `None` after the last.
    fn advance(&mut self) -> Option<Timestamp> {
        let (time, _) = self.household.next_frame()?;
        let time = time.checked_add(self.phase).ok()?;
        (time < self.span.1).then_some(time)
    }

    /// The readings of the frame that was made last, as the gateway's pipeline has them.
    fn readings(&mut self, time: Timestamp, table: &DecoderTable, mut each: impl FnMut(Reading)) {
        let Ok(frame) = Frame::parse(self.household.frame()) else { return };
        for record in frame.records() {
            for mut reading in table.decode(&record).flatten() {
                (reading.time, reading.mac) = (Some(time), frame.source());
                if self.gate.pass(&mut reading, |_| ()) == Verdict::Pass {
                    each(reading);
                }
            }
        }
    }
}

fn name(number: u32) -> String {
    format!("site-{number:04}")
}

/// Counts of what was sent.
#[derive(Default)]
struct Sent {
    frames: u64,
    readings: u64,
    values: u64,
    /// Delay of the latest frame.
    late: Duration,
}

/// The sinks of all sites that share a name, counted.
type Counts = BTreeMap<String, Vec<Arc<SinkStats>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    logging::start(LogFormat::Text);
    let arguments = Arguments::parse();
    if arguments.sites == 0 || arguments.speed <= 0.0 {
        bail!("take one site at least, and a speed above 0");
    }
    // Each queue is a database of three files.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;

    let text = fs::read_to_string(&arguments.config)
        .with_context(|| arguments.config.display().to_string())?;
    let first = configuration(&text, arguments.first, &arguments)?;
    let table = first.decoders.table().map_err(|_| anyhow::anyhow!("decoders"))?;
    let start = Timestamp::from_second(match arguments.start {
        Some(start) => start.as_second(),
        None => Timestamp::now().as_second() + 1,
    })?;
    let mut sites = (0..arguments.sites)
        .map(|index| Site::new(index, start, &arguments, &first))
        .collect::<Result<Vec<_>>>()?;
    if arguments.expect {
        return expect(&mut sites, &table);
    }
    // Where the first frame is of the next second, that is when it is sent.
    if arguments.start.is_none() {
        let ahead = Timestamp::now().duration_until(start);
        tokio::time::sleep(Duration::try_from(ahead).unwrap_or_default()).await;
    }
    let layouts = first.context("").layouts;
    let begun = Instant::now();
    let mut counts = Counts::new();
    let mut tasks = Tasks::new();
    for (number, site) in (arguments.first..).zip(&mut sites) {
        let config = configuration(&text, number, &arguments)?;
        let given = Context { live: false, layouts: Arc::clone(&layouts), ..config.context("") };
        for sink in config.sinks {
            if !arguments.sinks.is_empty() && !arguments.sinks.contains(&sink.name) {
                continue;
            }
            let stats = Arc::<SinkStats>::default();
            counts.entry(sink.name.clone()).or_default().push(Arc::clone(&stats));
            let at = begun + Duration::try_from(site.span.0.duration_since(start))?;
            let (name, sink) = (sink.name, sink.config.shared());
            let context = Context {
                name,
                // A queue is sent to its end.
                backpressure: match sink.queue() {
                    Some(_) => Backpressure::Wait,
                    None => Backpressure::DropOldest,
                },
                ..given.clone()
            };
            if sink.takes_frames() {
                let frames = site.frames.get_or_insert_with(|| Publisher::new(WAITING)).hub();
                run(&mut tasks, &frames, sink, context, stats, at);
            } else {
                run(&mut tasks, &site.publisher.hub(), sink, context, stats, at);
            }
        }
    }
    let speed = arguments.speed;
    let sender = thread::spawn(move || send(sites, &table, begun, start, speed));
    let sent = tokio::task::spawn_blocking(move || sender.join()).await?;
    let Ok(sent) = sent else { bail!("the thread that sends has died") };
    let drained = tokio::time::timeout(Duration::try_from(arguments.drain)?, async {
        while tasks.join_next().await.is_some() {}
    });
    let _out_of_time = drained.await;
    report(&sent, &counts, tasks.len(), begun)
}

/// The sinks that run.
type Tasks = JoinSet<Result<(), RunError>>;

/// Runs a sink from `at` on.
fn run<T: Item>(
    tasks: &mut Tasks,
    hub: &Hub<T>,
    sink: Arc<dyn SinkConfig>,
    context: Context,
    stats: Arc<SinkStats>,
    at: Instant,
) {
    let Some(subscription) = hub.subscribe() else { return };
    tasks.spawn(async move {
        tokio::time::sleep_until(at.into()).await;
        Runner::new(sink, context, subscription, stats, RetryPolicy::Forever).run().await
    });
}

/// The configuration of a site, whose folder is made.
fn configuration(text: &str, number: u32, arguments: &Arguments) -> Result<Config> {
    let folder = std::path::absolute(arguments.state.join(name(number)))?;
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let environment = |variable: &str| match variable {
        "SITE" => Some(name(number)),
        "SERIAL" => Some((SERIALS + number).to_string()),
        "STATE_DIRECTORY" => folder.to_str().map(str::to_owned),
        other => std::env::var(other).ok(),
    };
    Ok(config::parse(text, &arguments.config, &environment)?)
}

/// Sends the frames of all sites when they are due.
fn send(
    mut sites: Vec<Site>,
    table: &DecoderTable,
    begun: Instant,
    start: Timestamp,
    speed: f64,
) -> Sent {
    let mut sent = Sent::default();
    let due = |site: &Site, time: Timestamp| {
        let (wait, passed) = (site.span.0.duration_since(start), time.duration_since(site.span.0));
        begun
            + Duration::from_secs_f64((wait.as_secs_f64() + passed.as_secs_f64() / speed).max(0.0))
    };
    let mut queue: BinaryHeap<_> = (0..)
        .zip(&mut sites)
        .filter_map(|(index, site): (usize, _)| {
            let time = site.advance()?;
            Some(Reverse((due(site, time), time, index)))
        })
        .collect();
    while let Some(Reverse((at, time, index))) = queue.pop() {
        match at.checked_duration_since(Instant::now()) {
            Some(early) => thread::sleep(early),
            None => sent.late = sent.late.max(at.elapsed()),
        }
        let Some(site) = sites.get_mut(index) else { continue };
        if let Some(frames) = &site.frames {
            let bytes = site.household.frame().into();
            frames.publish(Arc::new(CapturedFrame { time: Some(time), interface: None, bytes }));
        }
        let mut readings = Vec::new();
        site.readings(time, table, |reading| readings.push(reading));
        sent.frames += 1;
        for reading in readings {
            sent.readings += 1;
            sent.values += reading.fields().count() as u64;
            site.publisher.publish(Arc::new(reading));
        }
        if let Some(time) = site.advance() {
            queue.push(Reverse((due(site, time), time, index)));
        } else {
            site.publisher.hub().close();
            site.frames.iter().for_each(|frames| frames.hub().close());
        }
    }
    sent
}

/// Writes what should arrive: serial number, time, packet, key, number, word and site, as `COPY` of
/// `PostgreSQL` reads them.
fn expect(sites: &mut [Site], table: &DecoderTable) -> Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    for site in sites {
        let name = site.name.clone();
        let mut lines = String::new();
        while let Some(time) = site.advance() {
            site.readings(time, table, |reading| {
                let (serial, packet) = (reading.serial, reading.packet());
                for (field, value) in reading.fields() {
                    let (number, word) = match value {
                        Value::Choice(choice) => ("\\N".to_owned(), choice.word()),
                        number => (number.as_f64().to_string(), "\\N"),
                    };
                    let key = field.key();
                    // Writing to a text does not fail.
                    let _infallible = writeln!(
                        lines,
                        "{serial}\t{time:.6}\t0x{packet:02X}\t{key}\t{number}\t{word}\t{name}"
                    );
                }
            });
        }
        output.write_all(lines.as_bytes())?;
    }
    Ok(output.flush()?)
}

/// Writes a line of JSON: what was sent, what became of it, and what that took.
fn report(sent: &Sent, counts: &Counts, unfinished: usize, begun: Instant) -> Result<()> {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let status = fs::read_to_string("/proc/self/status")?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let sinks: BTreeMap<_, _> = counts
        .iter()
        .map(|(name, stats)| {
            let sum = |count: fn(&SinkStats) -> u64| stats.iter().map(|it| count(it)).sum::<u64>();
            let counts = json!({
                "received": sum(|stats| stats.received.get()),
                "delivered": sum(|stats| stats.delivered.get()),
                "waiting": sum(|stats| stats.waiting.get()),
                "skipped": sum(|stats| stats.skipped.get()),
                "rejected": sum(|stats| stats.rejected.get()),
                "lagged": sum(|stats| stats.lagged.get()),
                "retried": sum(|stats| stats.retried.get()),
            });
            (name, counts)
        })
        .collect();
    let line = json!({
        "frames": sent.frames,
        "readings": sent.readings,
        "values": sent.values,
        "late_ms": sent.late.as_millis(),
        "sinks": sinks,
        "unfinished": unfinished,
        "seconds": begun.elapsed().as_secs(),
        "cpu_seconds": cpu.tv_sec,
        "peak_memory": memory.map(str::trim),
    });
    println!("{line}");
    // Tasks that ran out of time are left as a power cut would leave them.
    std::process::exit(i32::from(unfinished > 0));
}
