//! The stream itself: a command's output, or a TCP connection.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;

use super::RemoteAddress;

/// Time that each address of a name has to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time that a command may take to end after SIGTERM.
const TERM_GRACE: Duration = Duration::from_secs(1);

/// The longest line of a command that is kept.
const MAX_LINE: u64 = 1024;

/// Reason why no stream began.
#[derive(Debug, Error)]
pub(super) enum ConnectError {
    #[error("`{0}` cannot be started: {1}")]
    Start(String, io::Error),
    #[error("{0} cannot be looked up: {1}")]
    Lookup(String, io::Error),
    #[error("{0} does not answer: {1}")]
    Connect(String, io::Error),
}

/// An open stream and how to end it.
pub(super) struct Connection {
    pub(super) stream: Box<dyn Read + Send>,
    pub(super) handle: Handle,
}

/// The other end of a stream.
#[derive(Debug, Clone)]
pub(super) enum Handle {
    Command(Arc<Mutex<RunningCommand>>),
    Socket(Arc<TcpStream>),
}

#[derive(Debug)]
pub(super) struct RunningCommand {
    child: Child,
    ended_by_us: bool,
    /// Last line that the command wrote to standard error.
    last_line: Arc<Mutex<String>>,
    listener: Option<thread::JoinHandle<()>>,
}

impl Connection {
    /// Starts the command or connects. Lines that the command writes on standard error go to `say`.
    pub(super) fn open(
        address: &RemoteAddress,
        say: impl Fn(String) + Send + 'static,
    ) -> Result<Self, ConnectError> {
        match address {
            RemoteAddress::Command(words) => start(words, say),
            RemoteAddress::Connect(address) => connect(address),
        }
    }
}

fn start(
    words: &[String],
    say: impl Fn(String) + Send + 'static,
) -> Result<Connection, ConnectError> {
    let (program, arguments) =
        words.split_first().map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: Ctrl-C is for this program, and what the command starts ends with it.
    let mut child = command
        .process_group(0)
        .spawn()
        .map_err(|error| ConnectError::Start(program.to_owned(), error))?;
    let stream: Box<dyn Read + Send> = match child.stdout.take() {
        Some(stdout) => Box::new(stdout),
        None => Box::new(io::empty()),
    };
    let last_line = Arc::<Mutex<String>>::default();
    let listener = child.stderr.take().map(|stderr| {
        let last_line = Arc::clone(&last_line);
        thread::spawn(move || listen(stderr, &last_line, say))
    });
    let command = RunningCommand { child, ended_by_us: false, last_line, listener };
    Ok(Connection { stream, handle: Handle::Command(Arc::new(Mutex::new(command))) })
}

/// Passes on what a command writes on standard error, line by line.
fn listen(stderr: ChildStderr, last_line: &Mutex<String>, say: impl Fn(String)) {
    let mut stderr = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match stderr.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if !line.is_empty() {
            line.clone_into(&mut last_line.lock().unwrap_or_else(PoisonError::into_inner));
            say(line);
        }
    }
}

fn connect(address: &str) -> Result<Connection, ConnectError> {
    let lookup = |error| ConnectError::Lookup(address.to_owned(), error);
    let mut result = Err(lookup(io::Error::other("it has no address")));
    for each in address.to_socket_addrs().map_err(lookup)? {
        match TcpStream::connect_timeout(&each, CONNECT_TIMEOUT) {
            Ok(stream) => {
                // A peer that is switched off says nothing; the stall ends it at the latest.
                let alive = TcpKeepalive::new().with_time(Duration::from_secs(30));
                let _ = SockRef::from(&stream).set_tcp_keepalive(&alive);
                let stream = Arc::new(stream);
                let handle = Handle::Socket(Arc::clone(&stream));
                return Ok(Connection { stream: Box::new(SharedStream(stream)), handle });
            }
            Err(error) => result = Err(ConnectError::Connect(each.to_string(), error)),
        }
    }
    result
}

/// A stream that another thread may shut down.
struct SharedStream(Arc<TcpStream>);

impl Read for SharedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Handle {
    /// Ends the stream: its reader comes to the end.
    pub(super) fn end(&self) {
        match self {
            Self::Command(command) => {
                let mut command = lock(command);
                if matches!(command.child.try_wait(), Ok(None)) {
                    command.ended_by_us = true;
                }
                command.end();
            }
            Self::Socket(stream) => {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Ends what is left after the stream's end. Returns what a command that ended by itself had to
    /// say.
    pub(super) fn finish(&self) -> Option<String> {
        let Self::Command(command) = self else {
            self.end();
            return None;
        };
        let mut command = lock(command);
        // The stream ends a moment before the command does.
        let start = Instant::now();
        while matches!(command.child.try_wait(), Ok(None)) && !command.ended_by_us {
            if start.elapsed() >= TERM_GRACE {
                command.ended_by_us = true;
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        command.end();
        let status = command.child.wait().ok()?;
        if let Some(listener) = command.listener.take() {
            // Its output has ended with it, unless something that it started holds it open.
            let start = Instant::now();
            while !listener.is_finished() && start.elapsed() < TERM_GRACE {
                thread::sleep(Duration::from_millis(5));
            }
        }
        let last_line = lock(&command.last_line).clone();
        if command.ended_by_us || status.success() && last_line.is_empty() {
            return None;
        }
        let words = if last_line.is_empty() { String::new() } else { format!(": {last_line}") };
        Some(format!("the command ended ({status}){words}"))
    }
}

impl RunningCommand {
    /// Ends the command and what it started.
    fn end(&mut self) {
        let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        // A group that is gone already is no error.
        let _ = kill_process_group(group, Signal::TERM);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < TERM_GRACE {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
