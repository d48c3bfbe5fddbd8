//! The tutorials show code that compiles and runs.

#[path = "../../examples/custom_decoder.rs"]
#[allow(dead_code, reason = "its `main` is the example's")]
mod custom_decoder;
#[path = "../../examples/custom_sink.rs"]
#[allow(dead_code, reason = "its `main` is the example's")]
mod custom_sink;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use async_trait::async_trait;
use energi_gateway::config::{self, Config};
use energi_sinks::settings::QueueConfig;
use energi_sinks::{Backpressure, Context, Sink, SinkConfig, SinkError};

use crate::page::{pages, sources};
use support::gateway::{Sandbox, example_day};

#[test]
fn all_code_that_is_shown_is_code_that_compiles() {
    let sources = sources();
    let mut found = 0;
    for page in pages() {
        for block in page.blocks_of("rust") {
            assert!(sources.contains(block), "{}: in no file of the project:\n{block}", page.path);
            found += 1;
        }
    }
    assert!(found > 5, "{found} pieces are there");
}

/// The example day into a history.
fn example(sandbox: &Sandbox) -> Config {
    let text = format!(
        "timezone: Europe/London\ncapture: {{type: replay, path: \"{}\"}}\n\
         sinks: [{{type: sqlite, path: \"{}\"}}]\n",
        example_day().display(),
        sandbox.path("energi.db").display()
    );
    let config = config::parse(&text, Path::new("config.yaml"), &|_| None).unwrap();
    assert_eq!(config.capture.backpressure(), Backpressure::Wait);
    config
}

fn wait_for(run: impl Future<Output = anyhow::Result<()>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run).unwrap();
}

/// Collects lines, and sends the first connections away without an answer.
fn collect(listener: &TcpListener, lines: &mpsc::Sender<String>) {
    for (number, connection) in listener.incoming().enumerate() {
        let mut connection = connection.unwrap();
        if number < 3 {
            continue;
        }
        for line in BufReader::new(&connection).lines() {
            // Nobody counts any more once the test is over.
            let _over = lines.send(line.unwrap());
        }
        connection.write_all(b"ok\n").unwrap();
    }
}

#[test]
fn the_sink_of_the_tutorial_delivers_every_reading() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || collect(&listener, &sender));
    let queue = QueueConfig { path: sandbox.path("queue.db"), ..QueueConfig::default() };
    wait_for(custom_sink::run(&example(&sandbox), custom_sink::Collector { address, queue }));
    let mut lines: Vec<_> = lines.try_iter().collect();
    // A batch that is confirmed late is sent again.
    let mut seen = HashSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    let times = |line: &String| line.split('"').nth(3).map(str::to_owned);
    assert!(lines.is_sorted_by_key(times), "the oldest first");
    let history = rusqlite::Connection::open(sandbox.path("energi.db")).unwrap();
    let stored: i64 =
        history.query_row("SELECT count(*) FROM reading", [], |row| row.get(0)).unwrap();
    assert_eq!(i64::try_from(lines.len()).unwrap(), stored);
}

#[test]
fn the_decoder_of_the_tutorial_fills_a_history() {
    let sandbox = Sandbox::new();
    let config = example(&sandbox);
    let gateway = custom_decoder::builder(&config).unwrap().build().unwrap();
    wait_for(async { Ok(gateway.run(async || std::future::pending().await).await?) });
    let history = rusqlite::Connection::open(sandbox.path("energi.db")).unwrap();
    let last = |key: &str| -> f64 {
        let query = "SELECT value FROM sample WHERE key = ?1 ORDER BY time DESC LIMIT 1";
        history.query_row(query, [key], |row| row.get(0)).unwrap()
    };
    assert!((last("0x2C/diverted_kWh") - last("diverted_kWh")).abs() < 0.02);
    let found: u32 = history
        .query_row("SELECT count(*) FROM sample WHERE key = '0x2C/divert_pwr'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(found, 7200);
}

/// A sink that says what it is told may come, and wants nothing of it.
#[derive(Debug)]
struct Curious(mpsc::Sender<Vec<u8>>);

#[async_trait]
impl SinkConfig for Curious {
    async fn open(&self, context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        let mut lengths: Vec<_> =
            context.layouts.iter().filter_map(|layout| layout.length).collect();
        lengths.dedup();
        self.0.send(lengths).unwrap();
        Err(SinkError::Closed)
    }

    async fn probe(&self, _: &Context) -> Result<String, SinkError> {
        Ok(String::new())
    }
}

#[test]
fn every_sink_is_told_of_the_decoder_of_the_tutorial() {
    let sandbox = Sandbox::new();
    let config = example(&sandbox);
    let (tell, told) = mpsc::channel();
    let gateway = custom_decoder::builder(&config)
        .unwrap()
        .without_sinks()
        .sink("curious", Arc::new(Curious(tell)))
        .build()
        .unwrap();
    wait_for(async { Ok(gateway.run(async || std::future::pending().await).await?) });
    assert_eq!(told.recv().unwrap(), [0x1F, 0x20, 0x22, 0x2C]);
}
