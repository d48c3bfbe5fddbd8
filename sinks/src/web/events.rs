//! Server-sent events: the page's live part, and every reading for programs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use energi_decoders::Reading;
use energi_decoders::json::Json;
use futures_util::stream::{self, Stream};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use utoipa::ToSchema;

use super::page;
use super::problem::Problem;
use super::state::Shared;

/// Interval at which a client is sent something at least, so that a lost connection shows.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Shortest time between two views of the page.
const APART: Duration = Duration::from_millis(250);

/// Age of a view without a new value at which another is drawn: ages and silent devices change,
/// too.
const REFRESH: Duration = Duration::from_secs(5);

fn full() -> Problem {
    let detail = "as many clients follow live values as `max_clients` allows; close another page";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}

fn answer(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}

/// One that follows the page's live part.
struct Viewer {
    shared: Arc<Shared>,
    changed: watch::Receiver<()>,
    stop: watch::Receiver<bool>,
    begun: bool,
    _place: OwnedSemaphorePermit,
}

/// The part of the page that shows the present, sent again whenever it changes.
pub(super) async fn page(State(shared): State<Arc<Shared>>) -> Response {
    let Some(place) = shared.client() else { return full().into_response() };
    let (changed, stop) = (shared.changed.subscribe(), shared.stop.subscribe());
    let viewer = Viewer { shared, changed, stop, begun: false, _place: place };
    answer(stream::unfold(viewer, |mut viewer| async move {
        if viewer.begun {
            tokio::select! {
                () = next_view(&mut viewer.changed) => {}
                _ = viewer.stop.wait_for(|stop| *stop) => return None,
            }
        }
        viewer.begun = true;
        let view = page::present(&viewer.shared).into_string();
        Some((Ok(Event::default().event("now").data(view)), viewer))
    }))
}

async fn next_view(changed: &mut watch::Receiver<()>) {
    tokio::time::sleep(APART).await;
    // Its sender lives as long as what the viewer shares.
    let _ = tokio::time::timeout(REFRESH, changed.changed()).await;
}

/// One that follows every reading.
struct Follower {
    readings: broadcast::Receiver<Arc<Reading>>,
    stop: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// An event of the stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is written as text")]
pub(super) struct EventDto {
    event: EventKind,
    /// Of `reading`: the reading as JSON, the same as a line of the stdout sink. Of `missed`: the
    /// number of readings that a slow client has missed.
    data: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes what is written as text")]
enum EventKind {
    Reading,
    Missed,
}

/// Every reading as it comes
///
/// Server-sent events, described one by one. Nothing is sent again.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    tag = "live",
    responses(
        (status = 200, description = "Events until the client goes away", content_type = "text/event-stream", body = EventDto),
        (status = 503, description = "As many clients follow as `max_clients` allows", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn readings(State(shared): State<Arc<Shared>>) -> Response {
    let Some(place) = shared.client() else { return full().into_response() };
    let (readings, stop) = (shared.readings(), shared.stop.subscribe());
    let follower = Follower { readings, stop, _place: place };
    answer(stream::unfold(follower, |mut follower| async move {
        let received = tokio::select! {
            received = follower.readings.recv() => received,
            _ = follower.stop.wait_for(|stop| *stop) => return None,
        };
        let event = match received {
            Ok(reading) => Event::default().event("reading").data(Json(&reading).to_string()),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                Event::default().event("missed").data(missed.to_string())
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((Ok(event), follower))
    }))
}
