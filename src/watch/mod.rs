//! A live view of the devices: a sink that keeps the newest values, and two ways to show them.
//!
//! On a terminal [`screen`] draws powers as bars, the state, the energy and the age of the
//! last frame. Elsewhere [`lines`] prints one line a device every interval of capture time.

pub(crate) mod lines;
pub(crate) mod screen;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use energi_decoders::Reading;
use energi_sinks::current::{CurrentDevice, CurrentValues};
use energi_sinks::energy::TodaysFlows;
use energi_sinks::runner::AT_ONCE;
use energi_sinks::{Batching, Context, Sink, SinkConfig, SinkError, Written};
use jiff::tz::TimeZone;

use lines::LinePrinter;

/// Newest values of all devices, and today's energy by their powers.
#[derive(Debug)]
pub(crate) struct WatchedDevices {
    timezone: TimeZone,
    values: CurrentValues,
    flows: BTreeMap<u32, TodaysFlows>,
    /// Arrival of the last reading of each device, by the monotonic clock.
    arrived: BTreeMap<u32, Instant>,
}

impl WatchedDevices {
    /// Starts without a reading; days begin at midnight in `timezone`.
    pub(crate) fn new(timezone: TimeZone) -> Self {
        let (flows, arrived) = (BTreeMap::new(), BTreeMap::new());
        Self { timezone, values: CurrentValues::default(), flows, arrived }
    }

    fn update(&mut self, reading: &Reading) {
        self.values.update(reading);
        self.arrived.insert(reading.serial, Instant::now());
        self.flows
            .entry(reading.serial)
            .or_insert_with(|| TodaysFlows::new(self.timezone.clone()))
            .add(reading);
    }

    /// Serial number, newest values and today's energy of each device.
    fn devices(&self) -> impl Iterator<Item = (u32, &CurrentDevice, Option<&TodaysFlows>)> {
        self.values.devices().map(|(serial, device)| (serial, device, self.flows.get(&serial)))
    }
}

/// Devices shared between the sink that fills them and the thread that draws.
pub(crate) type SharedDevices = Arc<Mutex<WatchedDevices>>;

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The view as a sink: one more subscriber of the channel, so that readings reach the view as they
/// reach every other sink.
#[derive(Debug, Clone)]
pub(crate) enum WatchSink {
    /// A thread draws the newest values several times a second.
    Screen(SharedDevices),
    /// Lines are printed as capture time passes.
    Lines(Arc<Mutex<LinePrinter>>),
}

#[async_trait]
impl SinkConfig for WatchSink {
    async fn open(&self, _context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(self.clone()))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        Ok("the terminal".to_owned())
    }
}

#[async_trait]
impl Sink for WatchSink {
    fn batching(&self) -> Batching {
        AT_ONCE
    }

    async fn write(&mut self, batch: &[Arc<Reading>]) -> Result<Written, SinkError> {
        match self {
            Self::Screen(devices) => {
                let mut devices = lock(devices);
                for reading in batch {
                    devices.update(reading);
                }
            }
            Self::Lines(printer) => {
                let mut printer = lock(printer);
                batch.iter().try_for_each(|reading| printer.take(reading))?;
            }
        }
        Ok(Written::all(batch.len()))
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        match self {
            Self::Screen(_) => Ok(()),
            Self::Lines(printer) => lock(printer).finish(),
        }
    }
}
