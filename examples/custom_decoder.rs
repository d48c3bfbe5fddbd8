//! A custom decoder: a record that the gateway does not know, in every sink of a configuration.
//!
//! `cargo run --release --example custom_decoder -- config.example.yaml | grep 0x2C/`
//!
//! docs/adding-a-decoder.md walks through it.

use std::path::PathBuf;

use anyhow::{Result, bail};
use energi_decoders::field::Confidence::C;
use energi_decoders::field::Raw::{I16, U16};
use energi_decoders::metric::{DIVERT_PWR, ENERGY};
use energi_decoders::{DecodeError, Decoder, Field, Layout, Reading, Record, TableDecoder};
use energi_gateway::config::{self, Config};
use energi_gateway::gateway::GatewayBuilder;
use energi_gateway::platform::logging;
use energi_gateway::platform::signals::Signals;

/// Fields of a record of 0x2C bytes, as far as docs/research.md found out.
static LAYOUT: Layout = Layout::experimental(0x2C, "eddi data 5", FIELDS);

const FIELDS: &[Field] = &[
    Field::unconfirmed("0x2C/diverted_kWh", &ENERGY, 0x22, U16, C).per(100.0),
    Field::unconfirmed("0x2C/divert_pwr", &DIVERT_PWR, 0x34, I16, C).per(1.0 / 60.0),
];

/// The types of record that were seen with these fields; others of that length are left alone.
const TYPES: [u16; 2] = [0x7878, 0x3510];

/// Reads by the table what is of one of those types.
#[derive(Debug)]
struct OfSomeTypes(TableDecoder);

impl Decoder for OfSomeTypes {
    fn layout(&self) -> &Layout {
        self.0.layout()
    }

    fn decode(&self, record: &Record<'_>) -> Result<Reading, DecodeError> {
        let record_type = record.record_type();
        if !TYPES.contains(&record_type) {
            return Err(DecodeError::RecordType(record_type));
        }
        self.0.decode(record)
    }
}

/// The gateway of a configuration with this decoder beside those that it switches on.
pub(crate) fn builder(config: &Config) -> Result<GatewayBuilder<'_>> {
    let decoder = OfSomeTypes(TableDecoder::new(&LAYOUT));
    Ok(GatewayBuilder::new(config)?.decoder(Box::new(decoder))?)
}

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [configuration] = &*arguments else { bail!("usage: custom_decoder CONFIG.yaml") };
    logging::start(logging::LogFormat::Text);
    let config = config::load(configuration)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        builder(&config)?.build()?.run(async || signals.next().await).await?;
        Ok(())
    })
}
