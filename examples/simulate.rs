//! Writes a capture of a simulated household, and beside it what really happened.
//!
//! Without options it makes the committed example day, whose seed was chosen for its clouds, its
//! boost in the morning, its stop at noon and its use of both heaters:
//!
//! ```sh
//! cargo run --release --example simulate -- examples/captures/eddi-day.pcapng.gz \
//!     --truth examples/captures/eddi-day.truth.csv
//! ```

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use energi_decoders::Product;
use energi_gateway::capture::pcapng;
use energi_gateway::capture::simulator::{Household, Settings, truth};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

#[derive(Parser)]
#[command(about = "Write a capture of a simulated household")]
struct Arguments {
    /// The capture, pcapng; compressed where its name ends in .gz
    output: PathBuf,
    /// Write what really happened, a line for each device and day
    #[arg(long, value_name = "FILE.csv")]
    truth: Option<PathBuf>,
    /// The first local day
    #[arg(long, default_value = "2026-06-20")]
    start: Date,
    /// Number of local days
    #[arg(long, default_value_t = 1)]
    days: u32,
    /// Time zone of the house
    #[arg(long, default_value = "Europe/London")]
    timezone: String,
    /// The devices: eddi, zappi and harvi, any number of each
    #[arg(long, value_delimiter = ',', default_value = "eddi,zappi,harvi", value_parser = product)]
    devices: Vec<Product>,
    /// The same seed gives the same household
    #[arg(long, default_value_t = 60)]
    seed: u64,
}

fn product(name: &str) -> Result<Product> {
    let known = [Product::Eddi, Product::Zappi, Product::Harvi];
    let found = known.into_iter().find(|product| product.name() == name);
    found.context("write eddi, zappi or harvi")
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let timezone = TimeZone::get(&arguments.timezone)?;
    let first = arguments.start;
    let last = first.checked_add(Span::new().try_days(arguments.days)?)?;
    let midnight = |date: Date| anyhow::Ok(date.to_zoned(timezone.clone())?.timestamp());
    let end = midnight(last)?;

    let mut settings = Settings::new(midnight(first)?, timezone.clone());
    settings.of(&arguments.devices);
    settings.seed = arguments.seed;
    let mut household = Household::new(settings);
    let place = || arguments.output.display().to_string();
    let file = BufWriter::new(File::create(&arguments.output).with_context(place)?);
    if arguments.output.extension() == Some(OsStr::new("gz")) {
        let zipped = GzEncoder::new(file, Compression::best());
        let zipped = simulate(&mut household, end, zipped).with_context(place)?;
        zipped.finish().with_context(place)?.flush().with_context(place)?;
    } else {
        simulate(&mut household, end, file).with_context(place)?.flush().with_context(place)?;
    }
    if let Some(path) = &arguments.truth {
        let mut days = household.truth();
        // The first frame past the end has begun another day.
        days.retain(|day| day.date < last);
        let file = File::create(path).with_context(|| path.display().to_string())?;
        truth::write_csv(&days, file).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Writes all frames before `end`.
fn simulate<W: Write>(household: &mut Household, end: Timestamp, output: W) -> io::Result<W> {
    let mut capture = pcapng::PcapngWriter::new(output, None)?;
    while let Some((time, frame)) = household.next_frame()
        && time < end
    {
        capture.write(time, frame)?;
    }
    Ok(capture.into_inner())
}
