//! The way to a broker: each address of its name, then encryption.
//!
//! rumqttc tries one address after the other within a single time limit, so that one dead address
//! hides all others, and cannot be given a connected socket. The connection is therefore made here;
//! rumqttc gets a local socket, which a task relays to the broker.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, lookup_host};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tracing::debug;

use super::broker::BrokerUrl;
use super::config::MqttConfig;
use super::failure::ConnectionFailure;

/// Time limit for each address.
const ADDRESS_LIMIT: Duration = Duration::from_secs(5);

/// Lead of an address before the next one is tried beside it (RFC 8305 recommends 250 ms).
const LEAD: Duration = Duration::from_millis(250);

/// Time that a closing connection has for its last bytes.
const LINGER: Duration = Duration::from_secs(1);

/// Connects to a broker, encrypted where `tls` is given.
pub(super) async fn dial(
    config: &MqttConfig,
    broker: &BrokerUrl,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Relay, ConnectionFailure> {
    let limit = config.connect_timeout.duration();
    let late = |_| ConnectionFailure::unanswered(config, broker);
    let reached = timeout(limit, reach(broker)).await.map_err(late)??;
    // A value that waits for more is a value that is late.
    let _ = reached.set_nodelay(true);
    let Some(tls) = tls else { return Relay::start(reached) };
    let failed = |error| ConnectionFailure::of_io(&error, config, broker, None);
    let name = ServerName::try_from(broker.host.clone())
        .map_err(|error| failed(io::Error::new(ErrorKind::InvalidInput, error)))?;
    let connecting = TlsConnector::from(tls).connect(name, reached);
    Relay::start(timeout(limit, connecting).await.map_err(late)?.map_err(failed)?)
}

/// Looks the broker's name up, and connects to the first address that answers.
async fn reach(broker: &BrokerUrl) -> Result<TcpStream, ConnectionFailure> {
    let found = lookup_host((&*broker.host, broker.port)).await;
    let found = found.map_err(|error| ConnectionFailure::unknown_name(&error, broker))?;
    let failed = |attempts: Vec<_>| ConnectionFailure::unreachable(&attempts, broker);
    race(found.collect()).await.map_err(failed)
}

/// Tries addresses in their order, the next one beside those that have not answered yet.
async fn race(addresses: Vec<SocketAddr>) -> Result<TcpStream, Vec<(SocketAddr, io::Error)>> {
    let mut untried = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failed = Vec::new();
    loop {
        if let Some(address) = untried.next() {
            debug!(%address, "trying");
            attempts.spawn(async move {
                let connected = timeout(ADDRESS_LIMIT, TcpStream::connect(address)).await;
                let late = || io::Error::new(ErrorKind::TimedOut, "no answer");
                (address, connected.unwrap_or_else(|_| Err(late())))
            });
        }
        tokio::select! {
            Some(attempt) = attempts.join_next() => match attempt {
                Ok((_, Ok(stream))) => return Ok(stream),
                Ok((address, Err(error))) => failed.push((address, error)),
                // Only when the program ends.
                Err(_) => {}
            },
            () = sleep(LEAD), if untried.len() > 0 => {}
            else => return Err(failed),
        }
    }
}

/// A local socket that stands for a connection, for one client of this process.
pub(super) struct Relay {
    /// Name of the socket in Linux's abstract namespace, as a path.
    pub(super) path: String,
    error: Arc<Mutex<Option<io::Error>>>,
    task: JoinHandle<()>,
}

impl Relay {
    fn start(
        mut remote: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, ConnectionFailure> {
        // Keyed by the operating system, differently for each instance.
        let random = || RandomState::new().hash_one(());
        let path = format!("\0energi-gateway-{:016x}{:016x}", random(), random());
        let listener = UnixListener::bind(&path).map_err(|error| {
            ConnectionFailure::transient(format!("no local socket for the connection: {error}"))
        })?;
        let error = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&error);
        let task = tokio::spawn(async move {
            let mut local = loop {
                let Ok((local, _)) = listener.accept().await else { return };
                // Another process may have found the name.
                let ours = i32::try_from(std::process::id()).ok();
                if local.peer_cred().is_ok_and(|peer| peer.pid() == ours) {
                    break local;
                }
            };
            drop(listener);
            if let Err(error) = copy_bidirectional(&mut local, &mut remote).await {
                // Before the local socket closes, so that who notices finds the reason.
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        });
        Ok(Self { path, error, task })
    }

    /// Takes the error that ended the connection; `None` where the broker closed it.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Encryption that ends without a goodbye, and a local socket that was closed first.
        error.filter(|error| {
            !matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe)
        })
    }

    /// Waits until the last bytes have been sent, once the local socket is closed.
    pub(super) async fn finish(mut self) {
        let _ = timeout(LINGER, &mut self.task).await;
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn the_next_address_is_tried_after_a_silent_one() {
        // The kernel answers no more than so many connections for a listener that accepts none.
        let dead = TcpSocket::new_v4().unwrap();
        dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let dead = dead.listen(1).unwrap();
        let silent = dead.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = timeout(LEAD, TcpStream::connect(silent)).await {
            waiting.push(stream.unwrap());
        }
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = good.local_addr().unwrap();
        let start = Instant::now();
        let reached = race(vec![silent, silent, address]).await.unwrap();
        assert_eq!(reached.peer_addr().unwrap(), address);
        assert!(start.elapsed() < ADDRESS_LIMIT, "before the others are given up");

        drop(good);
        assert_eq!(race(vec![address]).await.unwrap_err().len(), 1, "what is gone");
    }
}
