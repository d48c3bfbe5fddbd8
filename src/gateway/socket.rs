//! A socket in the runtime directory, over which `energi-gateway health` asks the running gateway.
//!
//! A client that connects gets one line of JSON, and the connection is closed.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use energi_sinks::status::{GatewayStatus, SinkSnapshot};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tracing::debug;

const NAME: &str = "health.sock";

/// The directory where a service that has none in its environment keeps its own.
const SYSTEM: &str = "/run/energi-gateway";

/// Longest time that the gateway may take to answer; its thread has other work.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answer of a gateway about its health.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HealthAnswer {
    /// Stuck tasks.
    pub(crate) stuck: Vec<String>,
    /// True if the source and all sinks are open.
    pub(crate) ready: bool,
    pub(crate) interface_away: bool,
    pub(crate) devices: u64,
    pub(crate) readings: u64,
    /// The sinks, in the order of the configuration.
    pub(crate) sinks: Vec<SinkProgress>,
}

/// Progress of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SinkProgress {
    /// Name in the configuration.
    pub(crate) name: String,
    /// `true` once the sink has been open.
    pub(crate) opened: bool,
    /// Readings delivered.
    pub(crate) delivered: u64,
    /// Readings that wait for delivery, on disk as well.
    pub(crate) waiting: u64,
}

impl From<SinkSnapshot> for SinkProgress {
    fn from(sink: SinkSnapshot) -> Self {
        let SinkSnapshot { name, opened, delivered, waiting, .. } = sink;
        Self { name, opened, delivered, waiting }
    }
}

/// The socket that a running gateway answers on.
#[derive(Debug)]
pub(super) struct StatusSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl StatusSocket {
    /// Listens where [`ask`] looks first; `None` where there is no place for it, or another gateway
    /// of this user answers there.
    pub(super) fn bind() -> Option<Self> {
        let directory = directories().into_iter().next()?;
        Self::bind_in(&directory)
            .inspect_err(|error| {
                let directory = directory.display();
                debug!(%directory, %error, "no socket for `energi-gateway health`");
            })
            .ok()
    }

    fn bind_in(directory: &Path) -> io::Result<Self> {
        if !directory.exists() {
            std::fs::create_dir(directory)?;
        }
        let path = directory.join(NAME);
        if UnixStream::connect(&path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another gateway answers there"));
        }
        // Nobody listens there: a gateway that was killed left it.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        Ok(Self { listener, path })
    }

    /// Waits for somebody to ask, and answers; without a socket nobody ever does.
    pub(super) async fn answer(socket: Option<&Self>, status: &dyn GatewayStatus) {
        let Some(Self { listener, .. }) = socket else { return std::future::pending().await };
        match listener.accept().await {
            Ok((stream, _)) => {
                let snapshot = status.snapshot();
                let answer = HealthAnswer {
                    stuck: snapshot.stuck,
                    ready: snapshot.ready,
                    interface_away: snapshot.interface_away,
                    devices: snapshot.devices,
                    readings: snapshot.readings,
                    sinks: snapshot.sinks.into_iter().map(SinkProgress::from).collect(),
                };
                let mut line = serde_json::to_vec(&answer).unwrap_or_default();
                line.push(b'\n');
                // A new socket has room for a line; nobody is waited for.
                let _ = stream.try_write(&line);
            }
            // Out of descriptors: it is not worth a busy loop.
            Err(error) => {
                debug!(%error, "cannot accept a question for health");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

impl Drop for StatusSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Returns where the socket may be, the likeliest place first. A service manager's word is the
/// last.
fn directories() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    // systemd gives a list, of which this service has one.
    let service =
        variable("RUNTIME_DIRECTORY").and_then(|list| std::env::split_paths(&list).next());
    if let Some(service) = service {
        return vec![service];
    }
    let user = variable("XDG_RUNTIME_DIR").map(|run| PathBuf::from(run).join("energi-gateway"));
    [user, Some(PathBuf::from(SYSTEM))].into_iter().flatten().collect()
}

/// Asks the gateway that runs, in the first place where one answers.
///
/// # Errors
/// No gateway answers, or none in time. The text names the places.
pub(crate) fn ask() -> Result<HealthAnswer, String> {
    let mut said = Vec::new();
    for path in directories().into_iter().map(|directory| directory.join(NAME)) {
        match ask_at(&path) {
            Ok(answer) => return Ok(answer),
            Err(error) => said.push(format!("{}: {error}", path.display())),
        }
    }
    Err(said.join("; "))
}

fn ask_at(path: &Path) -> io::Result<HealthAnswer> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    stream.read_to_string(&mut line).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s")
        }
        _ => error,
    })?;
    serde_json::from_str(&line).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use energi_sinks::status::Snapshot;

    use super::*;

    #[derive(Debug)]
    struct Stuck;

    impl GatewayStatus for Stuck {
        fn snapshot(&self) -> Snapshot {
            Snapshot { stuck: vec!["sink mine".to_owned()], ..Snapshot::default() }
        }
    }

    #[tokio::test]
    async fn the_socket_of_a_killed_gateway_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        // Closed without being removed, as after kill -9.
        drop(std::os::unix::net::UnixListener::bind(directory.path().join(NAME)).unwrap());
        let socket = StatusSocket::bind_in(directory.path()).unwrap();
        assert!(StatusSocket::bind_in(directory.path()).is_err(), "it is in use");
        let path = directory.path().join(NAME);
        let asked = tokio::task::spawn_blocking(move || ask_at(&path));
        // The look of the second gateway comes first.
        StatusSocket::answer(Some(&socket), &Stuck).await;
        StatusSocket::answer(Some(&socket), &Stuck).await;
        assert_eq!(asked.await.unwrap().unwrap().stuck, ["sink mine"]);
        drop(socket);
        assert!(ask_at(&directory.path().join(NAME)).is_err());
    }
}
