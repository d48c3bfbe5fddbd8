//! The read-only API below `/api/v1`.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue, LINK};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use energi_decoders::{Product, Value};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::events;
use super::problem::Problem;
use super::state::{Present, Shared};
use crate::current::CurrentDevice;
use crate::energy::{Energy, EnergyDay, PeriodLength, PeriodTotal, totals};
use crate::sqlite::{DaySelection, minute_keys};

/// The longest span of minutes in one answer.
const MINUTES_SPAN: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "energi-gateway",
        description = "What a gateway has received from myenergi devices. Read-only.",
        license(name = "Unlicense", identifier = "Unlicense"),
    ),
    paths(devices, device, events::readings, energy, minutes),
    components(schemas(Problem, events::EventDto)),
    tags(
        (name = "live", description = "The present."),
        (name = "history", description = "The past, where the sink has a `history`."),
    )
)]
struct Description;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/openapi.json", get(description))
        .route("/devices", get(devices))
        .route("/devices/{serial}", get(device))
        .route("/stream", get(events::readings))
        .route("/energy", get(energy))
        .route("/minutes", get(minutes))
}

async fn description() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}

/// A value that a device has sent.
#[derive(Debug, Serialize, ToSchema)]
struct ValueDto {
    /// The value: a number, a flag or a word.
    #[schema(value_type = Value)]
    value: serde_json::Value,
    /// Unit of a number; empty for flags, words and numbers without one.
    unit: String,
    /// Name for people.
    label: String,
    /// Capture time of the frame that had it; null where the input has no times.
    #[schema(value_type = Option<String>, format = DateTime)]
    time: Option<Timestamp>,
}

/// Energy in kWh, null while it is unknown.
#[expect(clippy::struct_field_names, reason = "the names of the history's public columns")]
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct EnergyDto {
    /// Sent to the heaters, by the device's own counter.
    diverted_kwh: Option<f64>,
    /// From the grid.
    import_kwh: Option<f64>,
    /// To the grid.
    export_kwh: Option<f64>,
    /// From the generator.
    generation_kwh: Option<f64>,
}

impl From<Energy> for EnergyDto {
    fn from(energy: Energy) -> Self {
        Self {
            diverted_kwh: meaningful(energy.diverted),
            import_kwh: meaningful(energy.import),
            export_kwh: meaningful(energy.export),
            generation_kwh: meaningful(energy.generation),
        }
    }
}

/// To the watt-hour: what lies below is noise of the sums.
fn meaningful(kwh: Option<f64>) -> Option<f64> {
    kwh.map(|kwh| (kwh * 1000.0).round() / 1000.0 + 0.0)
}

/// A device and its newest values.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceDto {
    /// Serial number.
    #[schema(value_type = i64, minimum = 0, maximum = 4_294_967_295_i64)]
    serial: u32,
    /// Name from the configuration.
    name: Option<String>,
    /// eddi, zappi or harvi; null while it is unknown.
    product: Option<&'static str>,
    /// State of an eddi: Stopped, Boosting, Diverting or Paused; null while it is unknown.
    state: Option<&'static str>,
    /// Capture time of the newest frame.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_frame: Option<Timestamp>,
    /// Energy since local midnight.
    today: EnergyDto,
    /// Newest values by key.
    values: BTreeMap<String, ValueDto>,
}

fn describe(
    shared: &Shared,
    present: &Present<'_>,
    serial: u32,
    device: &CurrentDevice,
) -> DeviceDto {
    let json = |value| match value {
        Value::Float(value) => serde_json::Value::from(value),
        Value::Integer(value) => value.into(),
        Value::Flag(value) => value.into(),
        Value::Choice(choice) => choice.word().into(),
    };
    let values = device.values().map(|(key, current)| {
        let (unit, label) = (current.unit.clone(), current.label.clone());
        (key.to_owned(), ValueDto { value: json(current.value), unit, label, time: current.time })
    });
    DeviceDto {
        serial,
        name: shared.name(serial).map(str::to_owned),
        product: (device.product != Product::Unknown).then(|| device.product.name()),
        state: device.state().map(crate::eddi_state::EddiState::word),
        last_frame: device.time,
        today: present.today(serial).into(),
        values: values.collect(),
    }
}

/// Every device with its newest values
///
/// A device that has been silent for `device_timeout` is not listed.
#[utoipa::path(
    get,
    path = "/api/v1/devices",
    tag = "live",
    responses((status = 200, description = "The devices by serial number", body = Vec<DeviceDto>))
)]
async fn devices(State(shared): State<Arc<Shared>>) -> Json<Vec<DeviceDto>> {
    let present = shared.live();
    let devices = present.devices();
    Json(devices.map(|(serial, device)| describe(&shared, &present, serial, device)).collect())
}

/// One device with its newest values
#[utoipa::path(
    get,
    path = "/api/v1/devices/{serial}",
    tag = "live",
    params((
        "serial" = i64, Path, minimum = 0, maximum = 4_294_967_295_i64, description = "Serial number",
    )),
    responses(
        (status = 200, description = "The device", body = DeviceDto),
        (status = 404, description = "No such device is received now", content_type = "application/problem+json", body = Problem),
    )
)]
async fn device(
    State(shared): State<Arc<Shared>>,
    serial: Result<Path<u32>, PathRejection>,
) -> Result<Json<DeviceDto>, Problem> {
    let Path(serial) = serial?;
    let present = shared.live();
    let device = present.device(serial).ok_or_else(|| {
        Problem::not_found(format!(
            "no device {serial} is received now; /api/v1/devices lists them"
        ))
    })?;
    Ok(Json(describe(&shared, &present, serial, device)))
}

/// Format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// An array of objects.
    #[default]
    Json,
    /// Comma-separated values with a header; unknown is empty.
    Csv,
}

/// Length of the periods of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    /// A local date each.
    #[default]
    Day,
    /// A calendar month each.
    Month,
    /// A calendar year each.
    Year,
}

impl From<Step> for PeriodLength {
    fn from(step: Step) -> Self {
        match step {
            Step::Day => Self::Day,
            Step::Month => Self::Month,
            Step::Year => Self::Year,
        }
    }
}

/// Selection of energy.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EnergyQuery {
    /// Length of the periods.
    #[serde(default)]
    #[param(inline)]
    step: Step,
    /// First local date; 30 days before the last by default.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Date>,
    /// Last local date, itself included; today by default.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Date>,
    /// Serial number; every device by default.
    #[param(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_i64)]
    serial: Option<u32>,
    /// Format of the table.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// Energy of a device in a period, as `report --format json` has it.
#[derive(Debug, Serialize, ToSchema)]
struct PeriodDto {
    /// Serial number.
    #[schema(value_type = i64, minimum = 0, maximum = 4_294_967_295_i64)]
    serial: u32,
    /// `2026-06-20`, `2026-06` or `2026`.
    period: String,
    #[serde(flatten)]
    energy: EnergyDto,
    /// Days in the history.
    days: u32,
    /// Days among them on which the device was received all day.
    complete_days: u32,
}

impl From<&PeriodTotal> for PeriodDto {
    fn from(total: &PeriodTotal) -> Self {
        Self {
            serial: total.serial,
            period: total.period.to_string(),
            energy: total.energy.into(),
            days: total.days,
            complete_days: total.complete_days,
        }
    }
}

/// Energy by day, month or year
///
/// Months and years are sums of the days between `from` and `to`.
#[utoipa::path(
    get,
    path = "/api/v1/energy",
    tag = "history",
    params(EnergyQuery),
    responses(
        (status = 200, description = "The periods by serial number and time", content(
            (Vec<PeriodDto> = "application/json"),
            (String = "text/csv"),
        )),
        (status = 400, description = "The request cannot be meant", content_type = "application/problem+json", body = Problem),
        (status = 404, description = "No history or device of this kind, or `from` is after `to`", content_type = "application/problem+json", body = Problem),
        (status = 503, description = "The history cannot be read now", content_type = "application/problem+json", body = Problem),
    )
)]
async fn energy(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<EnergyQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let today = shared.context.timezone.to_datetime(Timestamp::now()).date();
    let to = query.to.unwrap_or(today);
    let from = query.from.unwrap_or_else(|| to.saturating_sub(jiff::Span::new().days(30)));
    let days = energy_days(&shared, from, to, query.serial).await?;
    let totals = totals(&days, query.step.into());
    let rows = totals.iter().map(PeriodDto::from);
    Ok(match query.format {
        Format::Json => Json(rows.collect::<Vec<_>>()).into_response(),
        Format::Csv => {
            let head = "serial,period,diverted_kwh,import_kwh,export_kwh,generation_kwh,days,\
                        complete_days\n";
            let mut text = head.to_owned();
            for row in rows {
                let EnergyDto { diverted_kwh, import_kwh, export_kwh, generation_kwh } = row.energy;
                let energy = [diverted_kwh, import_kwh, export_kwh, generation_kwh]
                    .map(|kwh| kwh.map(|kwh| kwh.to_string()).unwrap_or_default())
                    .join(",");
                let (serial, period) = (row.serial, row.period);
                let (days, complete) = (row.days, row.complete_days);
                // Writing to text cannot fail.
                let _ = writeln!(text, "{serial},{period},{energy},{days},{complete}");
            }
            csv("energy.csv", text)
        }
    })
}

/// The days between two dates, once the request makes sense.
async fn energy_days(
    shared: &Shared,
    from: Date,
    to: Date,
    serial: Option<u32>,
) -> Result<Vec<EnergyDay>, Problem> {
    if from > to {
        return Err(reversed(from, to));
    }
    let history = shared.history.as_ref().ok_or_else(no_history)?;
    let serials = serial.into_iter().collect();
    let days = history.days(DaySelection { from: Some(from), to: Some(to), serials }).await?;
    if let (Some(serial), true) = (serial, days.is_empty())
        && !history.serials().await?.contains(&serial)
    {
        return Err(no_device(serial));
    }
    Ok(days)
}

/// A period that ends before it begins: each date is valid, but nothing lies between the two.
fn reversed(from: impl Display, to: impl Display) -> Problem {
    Problem::not_found(format!("no such period: `from` ({from}) is after `to` ({to})"))
}

fn no_device(serial: u32) -> Problem {
    Problem::not_found(format!("the history has no device {serial}"))
}

fn no_history() -> Problem {
    Problem::not_found("this web sink has no `history`; name the file of a sqlite sink there")
}

/// Selection of minutes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MinutesQuery {
    /// Serial number.
    #[param(value_type = i64, minimum = 0, maximum = 4_294_967_295_i64, example = 17_589_669)]
    serial: u32,
    /// Confirmed key.
    #[param(example = "grid_pwr")]
    key: String,
    /// First moment; a day before the last by default.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Moment after the last; now by default.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Format of the table.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// The mean of a minute.
#[derive(Debug, Serialize, ToSchema)]
struct MinuteDto {
    /// Start of the minute.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// Mean of the values in it.
    mean: f64,
}

/// Minute means of a key
///
/// Confirmed keys only. Minutes without a value are left out. An answer has at most 7 days; where the
/// device has later minutes in the period, the header `Link` has the address of the next answer.
#[utoipa::path(
    get,
    path = "/api/v1/minutes",
    tag = "history",
    params(MinutesQuery),
    responses(
        (status = 200, description = "The minutes, the oldest first", content(
            (Vec<MinuteDto> = "application/json"),
            (String = "text/csv"),
        ), headers(("Link" = String, description = "Where more follows: `<address>; rel=\"next\"`"))),
        (status = 400, description = "The request cannot be meant", content_type = "application/problem+json", body = Problem),
        (status = 404, description = "No history, device or key of this kind, or `from` is after `to`", content_type = "application/problem+json", body = Problem),
        (status = 503, description = "The history cannot be read now", content_type = "application/problem+json", body = Problem),
    )
)]
async fn minutes(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<MinutesQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let to = query.to.unwrap_or_else(Timestamp::now);
    let day = SignedDuration::from_hours(24);
    let from = query.from.unwrap_or_else(|| to.saturating_sub(day).unwrap_or(Timestamp::MIN));
    if from > to {
        return Err(reversed(from, to));
    }
    let history = shared.history.as_ref().ok_or_else(no_history)?;
    let (serial, format) = (query.serial, query.format);
    let Some(key) = minute_keys().find(|key| *key == query.key) else {
        let keys = minute_keys().collect::<Vec<_>>().join(", ");
        let detail = format!("the history has no minutes of `{}`, only of {keys}", query.key);
        return Err(Problem::not_found(detail));
    };
    let (means, rest) = history.some_minutes(serial, key, (from, to), MINUTES_SPAN).await?;
    if means.is_empty() && !history.serials().await?.contains(&serial) {
        return Err(no_device(serial));
    }
    let mut response = match format {
        Format::Json => {
            let rows = means.into_iter().map(|(time, mean)| MinuteDto { time, mean });
            Json(rows.collect::<Vec<_>>()).into_response()
        }
        Format::Csv => {
            let rows = means.iter().map(|(time, mean)| format!("{time},{mean}\n"));
            csv("minutes.csv", std::iter::once("time,mean\n".to_owned()).chain(rows).collect())
        }
    };
    if let Some(from) = rest {
        let format = if format == Format::Csv { "&format=csv" } else { "" };
        let address = format!("?serial={serial}&key={key}&from={from}&to={to}{format}");
        if let Ok(link) = HeaderValue::try_from(format!("<{address}>; rel=\"next\"")) {
            response.headers_mut().insert(LINK, link);
        }
    }
    Ok(response)
}

fn csv(name: &str, text: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers =
        [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, disposition)];
    (headers, text).into_response()
}
