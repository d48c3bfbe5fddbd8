//! A sink of your own with a queue on disk: every reading as a line of JSON to a collector, which
//! reads lines from a TCP connection and answers `ok`. docs/adding-a-sink.md explains it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use async_trait::async_trait;
use energi_decoders::{Reading, json::Json};
use energi_gateway::config::{self, Config};
use energi_gateway::gateway::GatewayBuilder;
use energi_gateway::platform::{logging, signals::Signals};
use energi_sinks::queue::Payload;
use energi_sinks::runner::{Encoder, Queued, QueuedOptions, Receipt, SendError};
use energi_sinks::settings::{QueueConfig, QueueOptions};
use energi_sinks::{Context, Sink, SinkConfig, SinkError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::{net::TcpStream, time::timeout};

const ANSWER: Duration = Duration::from_secs(10);

/// The sink's part of a configuration, which is all that its encoder has to know.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    pub(crate) address: String,
    pub(crate) queue: QueueConfig,
}

#[async_trait]
impl Encoder for Collector {
    type Item = Reading;

    fn destination(&self) -> &str {
        &self.address
    }

    fn encode(&self, readings: &[Arc<Reading>]) -> Payload {
        let line = |reading| [Json(reading).to_string(), "\n".to_owned()];
        Payload::from(readings.iter().flat_map(|reading| line(reading)).collect::<String>())
    }

    async fn send(&self, payload: &Payload) -> Result<Receipt, SendError> {
        let exchange = async {
            let mut stream = TcpStream::connect(&self.address).await?;
            stream.write_all(&payload.data).await?;
            stream.shutdown().await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        match timeout(ANSWER, exchange).await.unwrap_or_else(|late| Err(late.into())) {
            Ok(answer) if answer.trim() == "ok" => Ok(Receipt::default()),
            Ok(answer) => Err(SendError::Invalid(format!("refused: {answer}"))),
            Err(error) => Err(SendError::transient(format!("{}: {error}", self.address))),
        }
    }

    async fn probe(&self) -> Result<String, SendError> {
        self.send(&Payload::default()).await.map(|_| format!("{} answers", self.address))
    }
}

#[async_trait]
impl SinkConfig for Collector {
    fn queue(&self) -> Option<QueueOptions> {
        Some(self.queue.options("lines"))
    }

    async fn open(&self, context: &Context) -> Result<Box<dyn Sink>, SinkError> {
        let options = QueuedOptions::new(self.queue.options("lines"));
        Ok(Box::new(Queued::open(self.clone(), options, context).await?))
    }

    async fn probe(&self, _context: &Context) -> Result<String, SinkError> {
        Queued::probe(self, &self.queue.path).await
    }
}

pub(crate) async fn run(config: &Config, collector: Collector) -> Result<()> {
    let sink = Arc::new(collector);
    let gateway = GatewayBuilder::new(config)?.sink("collector", sink).build()?;
    let mut signals = Signals::listen()?;
    Ok(gateway.run(async || signals.next().await).await?)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [configuration, address] = &*arguments else {
        bail!("usage: custom_sink CONFIG.yaml HOST:PORT")
    };
    logging::start(logging::LogFormat::Text);
    let queue = QueueConfig { path: "collector.queue.db".into(), ..QueueConfig::default() };
    let collector = Collector { address: address.clone(), queue };
    let config = config::load(configuration.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&config, collector))
}
