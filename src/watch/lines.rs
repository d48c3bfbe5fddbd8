//! One line a device every interval of capture time, for pipes and terminals without a screen.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use energi_decoders::Reading;
use energi_sinks::SinkError;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{WatchedDevices, view};

/// Prints the newest values of every device whenever an interval of capture time has passed, so
/// that a replay of any speed prints the same lines.
#[derive(Debug)]
pub(crate) struct LinePrinter {
    devices: WatchedDevices,
    names: BTreeMap<u32, String>,
    timezone: TimeZone,
    interval: Duration,
    /// Capture time from which the next lines are due.
    due: Option<Timestamp>,
    /// True if values have arrived since the last lines.
    unprinted: bool,
}

impl LinePrinter {
    /// A printer that shows `names` instead of serial numbers and the time of day in `timezone`.
    pub(crate) fn new(
        names: BTreeMap<u32, String>,
        timezone: TimeZone,
        interval: Duration,
    ) -> Self {
        let devices = WatchedDevices::new(timezone.clone());
        Self { devices, names, timezone, interval, due: None, unprinted: false }
    }

    /// Takes a reading, after the lines that were due before it.
    pub(super) fn take(&mut self, reading: &Reading) -> Result<(), SinkError> {
        let result = match (reading.time, self.due) {
            (Some(time), Some(due)) if time >= due => {
                self.due = Some(time + self.interval);
                self.print()
            }
            (Some(time), None) => {
                self.due = Some(time + self.interval);
                Ok(())
            }
            // A clock that was set back must not silence the view.
            (Some(time), Some(due)) if due.duration_since(time).unsigned_abs() > self.interval => {
                self.due = Some(time + self.interval);
                Ok(())
            }
            _ => Ok(()),
        };
        self.devices.update(reading);
        self.unprinted = true;
        result
    }

    /// Prints what has arrived since the last lines.
    pub(super) fn finish(&mut self) -> Result<(), SinkError> {
        if self.unprinted { self.print() } else { Ok(()) }
    }

    fn print(&mut self) -> Result<(), SinkError> {
        let mut text = String::new();
        for (serial, device, flows) in self.devices.devices() {
            if let Some(time) = device.time {
                let local = time.to_zoned(self.timezone.clone());
                text += &local.strftime("%Y-%m-%d %H:%M:%S  ").to_string();
            }
            text += &view::name(&self.names, serial);
            for part in view::summary(device, flows) {
                text += "  ";
                text += &part;
            }
            text.push('\n');
        }
        self.unprinted = false;
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| {
            if error.kind() == ErrorKind::BrokenPipe {
                SinkError::Closed
            } else {
                SinkError::permanent(format!("cannot write to standard output: {error}"))
            }
        })
    }
}
