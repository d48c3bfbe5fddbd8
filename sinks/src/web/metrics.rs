//! `/metrics`: what the devices measure and what the gateway counts, for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use energi_decoders::{Class, Value};
use prometheus::core::Collector;
use prometheus::{CounterVec, Encoder, GaugeVec, Opts, TEXT_FORMAT, TextEncoder, proto};

use super::problem::Problem;
use super::state::{Present, Shared};
use crate::energy::Energy;
use crate::status::Snapshot;

/// Labels of everything that a device measures.
const DEVICE: [&str; 3] = ["serial", "name", "key"];

/// Answers a scrape.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Response {
    let mut families = Vec::new();
    let collected = {
        let present = shared.live();
        measured(&shared, &present, &mut families)
    }
    .and_then(|()| counted(&shared.context.status.snapshot(), &mut families));
    let mut text = Vec::new();
    match collected.and_then(|()| TextEncoder::new().encode(&families, &mut text)) {
        Ok(()) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            let detail = format!("the metrics cannot be written: {error}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
        }
    }
}

type Families = Vec<proto::MetricFamily>;

/// One family of gauges, written only where it has a sample: an empty one is an error to the
/// encoder.
fn gauges(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
    GaugeVec::new(Opts::new(name, help), labels)
}

fn finish(family: &impl Collector, families: &mut Families) {
    families.extend(family.collect().into_iter().filter(|family| !family.get_metric().is_empty()));
}

/// Name, help and the class that a family of measured values is of.
const MEASURED: [(&str, &str); 9] = [
    ("energi_power_watts", "Power as measured."),
    ("energi_voltage_volts", "Voltage as measured."),
    ("energi_frequency_hertz", "Frequency as measured."),
    ("energi_current_amperes", "Current as measured."),
    ("energi_temperature_celsius", "Temperature as measured."),
    ("energi_device_energy_kwh", "Energy counter of a device; it restarts from zero."),
    ("energi_duration", "Span of time as the device counts it."),
    ("energi_flag", "Flag of a device: 1 is on."),
    ("energi_value", "Number whose meaning is not known."),
];

/// Index of the family of a class in [`MEASURED`].
fn family(class: Class) -> Option<usize> {
    Some(match class {
        Class::Power | Class::Rating => 0,
        Class::Voltage => 1,
        Class::Frequency => 2,
        Class::Current => 3,
        Class::Temperature => 4,
        Class::EnergyToday | Class::Energy => 5,
        Class::Duration => 6,
        Class::Running | Class::Flag => 7,
        Class::Unknown => 8,
        Class::Identifier | Class::Choice(_) => return None,
    })
}

fn measured(
    shared: &Shared,
    present: &Present<'_>,
    families: &mut Families,
) -> prometheus::Result<()> {
    let measured = MEASURED
        .iter()
        .map(|(name, help)| gauges(name, help, &DEVICE))
        .collect::<prometheus::Result<Vec<_>>>()?;
    let state = gauges(
        "energi_state",
        "State of a device: 1 for the one that holds.",
        &["serial", "name", "key", "state"],
    )?;
    let today =
        gauges("energi_today_kwh", "Energy since local midnight.", &["serial", "name", "kind"])?;
    let seen = gauges(
        "energi_last_frame_timestamp_seconds",
        "Time of the device's newest frame, in seconds since 1970.",
        &["serial", "name"],
    )?;
    for (serial, device) in present.devices() {
        let (number, name) = (serial.to_string(), shared.name(serial).unwrap_or_default());
        for (key, current) in device.values() {
            let labels = [number.as_str(), name, key];
            match (family(current.class), current.value) {
                (Some(index), value) => {
                    measured[index].with_label_values(&labels).set(number_of(value));
                }
                (None, Value::Choice(choice)) => {
                    let labels = [number.as_str(), name, key, choice.word()];
                    state.with_label_values(&labels).set(1.0);
                }
                (None, _) => {}
            }
        }
        if let Some(word) = device.state().map(crate::eddi_state::EddiState::word) {
            state.with_label_values(&[number.as_str(), name, "status", word]).set(1.0);
        }
        let Energy { diverted, import, export, generation } = present.today(serial);
        for (kind, kwh) in [
            ("diverted", diverted),
            ("import", import),
            ("export", export),
            ("generation", generation),
        ] {
            if let Some(kwh) = kwh {
                today.with_label_values(&[number.as_str(), name, kind]).set(kwh);
            }
        }
        if let Some(time) = device.time {
            let seconds = time.as_duration().as_secs_f64();
            seen.with_label_values(&[number.as_str(), name]).set(seconds);
        }
    }
    for family in measured.iter().chain([&state, &today, &seen]) {
        finish(family, families);
    }
    Ok(())
}

fn number_of(value: Value) -> f64 {
    value.as_f64()
}

fn counted(snapshot: &Snapshot, families: &mut Families) -> prometheus::Result<()> {
    let counters =
        |name: &str, help: &str, labels: &[&str]| CounterVec::new(Opts::new(name, help), labels);
    let records = counters(
        "energi_records_total",
        "Records by length byte and what became of them.",
        &["length", "outcome"],
    )?;
    for record in &snapshot.records {
        let length = format!("0x{:02X}", record.length);
        add(&records, &[&length, record.outcome], record.count);
    }
    let unused =
        counters("energi_unused_total", "Frames and readings not used, by reason.", &["reason"])?;
    for (reason, count) in &snapshot.unused {
        add(&unused, &[reason], *count);
    }
    let withheld = counters(
        "energi_withheld_values_total",
        "Values that the quality gate withheld.",
        &["key"],
    )?;
    for (key, count) in &snapshot.withheld {
        add(&withheld, &[key], *count);
    }
    let readings = counters("energi_readings_total", "Readings given to the sinks.", &[])?;
    add(&readings, &[], snapshot.readings);
    let drops = counters("energi_kernel_drops_total", "Frames that the kernel dropped.", &[])?;
    add(&drops, &[], snapshot.kernel_drops);
    for family in [&records, &unused, &withheld, &readings, &drops] {
        finish(family, families);
    }
    let devices = gauges("energi_devices", "Devices received since the start.", &[])?;
    devices.with_label_values::<&str>(&[]).set(count(snapshot.devices));
    let away = gauges("energi_interface_away", "1 while the network interface is away.", &[])?;
    away.with_label_values::<&str>(&[]).set(f64::from(u8::from(snapshot.interface_away)));
    let stuck = gauges("energi_stuck_tasks", "Tasks of the gateway that are stuck.", &[])?;
    #[expect(clippy::cast_precision_loss, reason = "a handful of tasks")]
    stuck.with_label_values::<&str>(&[]).set(snapshot.stuck.len() as f64);
    let build = gauges("energi_build_info", "The program that runs.", &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    for family in [&devices, &away, &stuck, &build] {
        finish(family, families);
    }
    sinks(snapshot, families)
}

fn sinks(snapshot: &Snapshot, families: &mut Families) -> prometheus::Result<()> {
    type Count = fn(&crate::status::SinkSnapshot) -> u64;
    let totals: [(&str, &str, Count); 6] = [
        ("energi_sink_received_total", "Readings that a sink took.", |sink| sink.received),
        ("energi_sink_delivered_total", "Readings delivered.", |sink| sink.delivered),
        ("energi_sink_skipped_total", "Readings without a place there.", |sink| sink.skipped),
        ("energi_sink_rejected_total", "Readings given up.", |sink| sink.rejected),
        ("energi_sink_lagged_total", "Readings that a slow sink missed.", |sink| sink.lagged),
        ("energi_sink_retried_total", "Tries made again.", |sink| sink.retried),
    ];
    for (name, help, of) in totals {
        let family = CounterVec::new(Opts::new(name, help), &["sink"])?;
        for sink in &snapshot.sinks {
            add(&family, &[&sink.name], of(sink));
        }
        finish(&family, families);
    }
    let waiting = gauges("energi_sink_waiting", "Readings in a sink's queue.", &["sink"])?;
    for sink in &snapshot.sinks {
        waiting.with_label_values(&[&sink.name]).set(count(sink.waiting));
    }
    finish(&waiting, families);
    Ok(())
}

fn add(family: &CounterVec, labels: &[&str], total: u64) {
    family.with_label_values(labels).inc_by(count(total));
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn count(count: u64) -> f64 {
    count as f64
}
