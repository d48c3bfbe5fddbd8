//! True energy of a simulation, to compare a history with.

use std::io::Write;

use jiff::civil::Date;

/// An amount of energy in joules, which are watt-seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Joules(pub u64);

impl Joules {
    /// Power held for two seconds; negative power is none.
    pub(super) fn step(watts: i32) -> Self {
        Self(u64::from(watts.max(0).unsigned_abs()) * u64::from(super::STEP))
    }

    /// Rounded to watt-hours.
    #[must_use]
    pub const fn watt_hours(self) -> u64 {
        (self.0 + 1800) / 3600
    }
}

impl std::ops::AddAssign for Joules {
    fn add_assign(&mut self, more: Self) {
        self.0 += more.0;
    }
}

/// One device's true energies of one date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayTruth {
    /// The device's serial number.
    pub serial: u32,
    /// The date.
    pub date: Date,
    /// Energy that the eddi gave to the heaters, from the device's own midnight to the next.
    pub diverted: Joules,
    /// Energy from the grid on the local date.
    pub import: Joules,
    /// Energy to the grid on the local date.
    pub export: Joules,
    /// Energy from the sun on the local date.
    pub generation: Joules,
}

/// One device's days as they pass. Two are under way: the device's own and the local one.
#[derive(Debug)]
pub(super) struct Ledger {
    serial: u32,
    days: Vec<DayTruth>,
    own: usize,
    local: usize,
}

impl Ledger {
    pub(super) fn new(serial: u32) -> Self {
        Self { serial, days: Vec::new(), own: 0, local: 0 }
    }

    pub(super) fn begin_own(&mut self, date: Date) {
        self.own = self.place(date);
    }

    pub(super) fn begin_local(&mut self, date: Date) {
        self.local = self.place(date);
    }

    fn place(&mut self, date: Date) -> usize {
        // It is one of the last two days, if there.
        if let Some(place) = self.days.iter().rposition(|day| day.date == date) {
            return place;
        }
        self.days.push(DayTruth {
            serial: self.serial,
            date,
            diverted: Joules::default(),
            import: Joules::default(),
            export: Joules::default(),
            generation: Joules::default(),
        });
        self.days.len() - 1
    }

    /// Two seconds at these powers.
    pub(super) fn step(&mut self, grid: i32, generation: i32, divert: i32) {
        if let Some(day) = self.days.get_mut(self.own) {
            day.diverted += Joules::step(divert);
        }
        if let Some(day) = self.days.get_mut(self.local) {
            day.import += Joules::step(grid);
            day.export += Joules::step(-grid);
            day.generation += Joules::step(generation);
        }
    }

    pub(super) fn days(&self) -> &[DayTruth] {
        &self.days
    }
}

/// Writes days as csv: `serial,date,diverted_kwh,import_kwh,export_kwh,generation_kwh`.
///
/// # Errors
/// Errors of the output.
pub fn write_csv(days: &[DayTruth], output: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(output);
    csv.write_record([
        "serial",
        "date",
        "diverted_kwh",
        "import_kwh",
        "export_kwh",
        "generation_kwh",
    ])?;
    for day in days {
        let energies = [day.diverted, day.import, day.export, day.generation].map(|energy| {
            let hours = energy.watt_hours();
            format!("{}.{:03}", hours / 1000, hours % 1000)
        });
        let [diverted, import, export, generation] = energies;
        let (serial, date) = (day.serial.to_string(), day.date.to_string());
        csv.write_record([serial, date, diverted, import, export, generation])?;
    }
    csv.flush()?;
    Ok(())
}
