//! `web`: a page to look at, a read-only API, and metrics for Prometheus.
//!
//! The sink keeps the newest values of each device in memory and shows them; everything older comes
//! from a history that a `sqlite` sink keeps. Delivered means: a browser that asks now sees the
//! reading. Nothing waits for a client: one that is too slow misses readings of the stream.
//!
//! `server` accepts connections within limits, `guard` decides who may ask, `page`, `api` and
//! `metrics` answer from `state` and `history`.

mod api;
mod config;
mod events;
mod format;
mod guard;
mod history;
mod metrics;
mod page;
mod problem;
mod server;
mod state;

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use energi_decoders::Reading;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::runner::AT_ONCE;
use crate::settings::{Problem, resolve};
use crate::sink::{Batching, Context, Sink, SinkConfig, SinkError, Written};

pub use config::WebConfig;
use guard::{Credentials, Guard};
use problem::Problem as Answer;
use server::Server;
use state::Shared;

#[async_trait]
impl SinkConfig for WebConfig {
    fn validate(&self) -> Vec<Problem> {
        self.problems()
    }

    fn warnings(&self) -> Vec<String> {
        self.exposure().into_iter().collect()
    }

    async fn open(&self, context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        let guard = Guard::new(self, self.credentials()?);
        let listener = self.bind().await?;
        if let Some(warning) = self.exposure() {
            warn!(sink = context.name, "{warning}");
        }
        let shared = Arc::new(Shared::open(self, context).await);
        let server = Server::start(listener, router(&shared, guard), self.max_clients, &shared);
        info!(sink = context.name, url = format!("http://{}/", server.address()), "page is up");
        Ok(Box::new(Web { shared, server }))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        self.credentials()?;
        let listener = self.bind().await?;
        let address = listener.local_addr().unwrap_or(self.listen);
        Ok(format!("would listen on http://{address}/"))
    }
}

impl WebConfig {
    async fn bind(&self) -> Result<TcpListener, SinkError> {
        TcpListener::bind(self.listen).await.map_err(|error| {
            SinkError::transient(format!(
                "cannot listen on {}: {error}; choose an address of this machine and a port that \
                 no other program uses",
                self.listen
            ))
        })
    }

    fn credentials(&self) -> Result<Option<Credentials>, SinkError> {
        let password = resolve("password", self.password.as_ref(), self.password_file.as_deref())
            .map_err(|error| SinkError::permanent(error.to_string()))?;
        Ok(self
            .username
            .clone()
            .zip(password)
            .map(|(name, password)| Credentials::new(name, password)))
    }
}

/// The open sink.
struct Web {
    shared: Arc<Shared>,
    server: Server,
}

#[async_trait]
impl Sink for Web {
    fn batching(&self) -> Batching {
        AT_ONCE
    }

    async fn write(&mut self, batch: &[Arc<Reading>]) -> Result<Written, SinkError> {
        self.shared.take(batch);
        Ok(Written::all(batch.len()))
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        self.server.stop().await;
        Ok(())
    }
}

/// Every path that is answered.
fn router(shared: &Arc<Shared>, guard: Guard) -> Router {
    Router::new()
        .route("/", get(page::show))
        .route("/live", get(events::page))
        .route("/fragments/day", get(page::day))
        .route("/assets/style.css", get(style))
        .route("/assets/page.js", get(script))
        .route("/assets/icon.svg", get(icon))
        .route("/metrics", get(metrics::show))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .nest("/api/v1", api::router())
        .fallback(nothing_here)
        .layer(from_fn_with_state(Arc::new(guard), guard::check))
        .with_state(Arc::clone(shared))
}

async fn nothing_here(uri: Uri) -> Answer {
    Answer::new(StatusCode::NOT_FOUND, format!("there is no page at {}", uri.path()))
}

async fn style() -> Response {
    asset("text/css; charset=utf-8", page::STYLE.as_str())
}

async fn script() -> Response {
    asset("text/javascript; charset=utf-8", page::SCRIPT)
}

async fn icon() -> Response {
    asset("image/svg+xml", page::ICON)
}

/// A part of the page that only changes with the program: its address has the version in it.
fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "max-age=31536000, immutable")];
    (headers, text).into_response()
}

/// Returns whether no task of the gateway is stuck. Silence on the wire is healthy.
async fn health(shared: axum::extract::State<Arc<Shared>>) -> Response {
    let stuck = shared.context.status.snapshot().stuck;
    if stuck.is_empty() {
        return "healthy\n".into_response();
    }
    let text = format!("stuck: {}\n", stuck.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// Returns whether the source is open and every sink has been open.
async fn ready(shared: axum::extract::State<Arc<Shared>>) -> Response {
    if shared.context.status.snapshot().ready {
        return "ready\n".into_response();
    }
    let text = "not ready: the source or a sink is not open yet\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
