//! State shared by all requests: the newest values, their subscribers, and access to the history.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use energi_decoders::{Product, Reading};
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

use super::config::WebConfig;
use super::history::HistoryFile;
use crate::current::{CurrentDevice, CurrentValues};
use crate::energy::{Energy, FlowKwh, TodaysFlows};
use crate::sink::Context;

/// Readings that a client of the stream may be behind before it misses some.
const STREAM: usize = 1024;

/// Everything that answers are made from.
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) history: Option<HistoryFile>,
    /// Set once, when the sink closes.
    pub(super) stop: watch::Sender<bool>,
    /// Marked whenever a value may have changed.
    pub(super) changed: watch::Sender<()>,
    readings: broadcast::Sender<Arc<Reading>>,
    clients: Arc<Semaphore>,
    device_timeout: Duration,
    /// Energy of today that the history had when the sink was opened, so that a restart of the
    /// gateway does not begin the day again.
    before: BTreeMap<u32, Energy>,
    opened_on: Date,
    live: Mutex<Live>,
}

/// The present.
#[derive(Default)]
pub(super) struct Live {
    current: CurrentValues,
    today: BTreeMap<u32, Today>,
    /// The latest time of a reading.
    newest: Option<Timestamp>,
}

/// Energy of a device's day.
struct Today {
    flows: TodaysFlows,
    /// Energy that the history had of a date.
    before: Option<(Date, Energy)>,
}

impl Today {
    fn energy(&self) -> Energy {
        let FlowKwh { import, export, generation } = self.flows.kwh();
        let since = Energy { diverted: None, import, export, generation };
        match self.before {
            Some((date, before)) if self.flows.date() == Some(date) => {
                Energy { diverted: None, ..before } + since
            }
            _ => since,
        }
    }
}

impl Shared {
    pub(super) async fn open(config: &WebConfig, context: &Context) -> Self {
        let history = config.history.clone().map(HistoryFile::new);
        let opened_on = context.timezone.to_datetime(Timestamp::now()).date();
        let before = match &history {
            Some(history) if context.live => history.day(opened_on).await,
            _ => BTreeMap::new(),
        };
        Self {
            context: context.clone(),
            history,
            stop: watch::Sender::new(false),
            changed: watch::Sender::new(()),
            readings: broadcast::Sender::new(STREAM),
            clients: Arc::new(Semaphore::new(config.max_clients)),
            device_timeout: config.device_timeout.duration(),
            before,
            opened_on,
            live: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes readings over.
    pub(super) fn take(&self, batch: &[Arc<Reading>]) {
        let followed = self.readings.receiver_count() > 0;
        let mut live = self.lock();
        for reading in batch {
            live.newest = live.newest.max(reading.time);
            live.current.update(reading);
            let today = live.today.entry(reading.serial).or_insert_with(|| Today {
                flows: TodaysFlows::new(self.context.timezone.clone()),
                before: self.before.get(&reading.serial).map(|energy| (self.opened_on, *energy)),
            });
            today.flows.add(reading);
            if followed {
                // Without a client left there is nobody to miss it.
                let _ = self.readings.send(Arc::clone(reading));
            }
        }
        drop(live);
        self.changed.send_replace(());
    }

    /// The present, without devices that have been silent for too long.
    pub(super) fn live(&self) -> Present<'_> {
        let mut live = self.lock();
        let now = self.now(&live);
        live.current.forget_silent(now, self.device_timeout);
        let Live { current, today, .. } = &mut *live;
        today.retain(|serial, _| current.device(*serial).is_some());
        Present { live, now }
    }

    /// The time that ages are counted from: a recording has its own.
    fn now(&self, live: &Live) -> Timestamp {
        match live.newest {
            Some(newest) if !self.context.live => newest,
            _ => Timestamp::now(),
        }
    }

    /// A place among those that follow live values; `None` where all are taken.
    pub(super) fn client(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.clients).try_acquire_owned().ok()
    }

    /// Readings from now on.
    pub(super) fn readings(&self) -> broadcast::Receiver<Arc<Reading>> {
        self.readings.subscribe()
    }

    /// Name of a device, where the configuration has one.
    pub(super) fn name(&self, serial: u32) -> Option<&str> {
        self.context.device_names.get(&serial).map(String::as_str)
    }

    /// Product of a device, as far as it is received now.
    pub(super) fn product(&self, serial: u32) -> Product {
        self.lock().current.device(serial).map_or(Product::Unknown, |device| device.product)
    }
}

/// The present at one moment. Readings wait while this is held: it is dropped before an answer is
/// sent.
pub(super) struct Present<'a> {
    live: MutexGuard<'a, Live>,
    pub(super) now: Timestamp,
}

impl Present<'_> {
    /// Devices by serial number, the lowest first.
    pub(super) fn devices(&self) -> impl Iterator<Item = (u32, &CurrentDevice)> {
        self.live.current.devices()
    }

    pub(super) fn device(&self, serial: u32) -> Option<&CurrentDevice> {
        self.live.current.device(serial)
    }

    /// Energy of today: diverted by the device's own counter, the rest by its powers.
    pub(super) fn today(&self, serial: u32) -> Energy {
        let diverted = self
            .device(serial)
            .and_then(|device| device.get("diverted_kWh"))
            .map(energi_decoders::Value::as_f64);
        let flows = self.live.today.get(&serial).map(Today::energy).unwrap_or_default();
        Energy { diverted, ..flows }
    }
}
