//! A server that plays what an InfluxDB may answer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;

/// Behaviour of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// Takes every point, and answers with this status.
    Takes(u16),
    /// Takes nothing: status and words.
    Refuses(u16, &'static str),
    /// Reads no batch with this in one of its points.
    CannotRead(String),
    /// The same, and it takes no points for a success, as `InfluxDB` 1 does.
    CannotReadNorAsks(String),
    /// Takes so many points in a request and no more.
    TakesAtMost(usize),
    /// Takes every point but those with this in them, and says how many.
    LeavesOut(String),
    /// Reads no batch with this in one of its points, and has no time for each third one.
    CannotReadAndIsBusy(String),
    /// Takes the request and never answers.
    Hangs,
    /// Closes the connection without an answer, as one that is killed does.
    Dies,
    /// The same, but it has taken every point.
    TakesAndDies,
    /// Takes every point, says so, and closes the connection that was to stay open.
    TakesAndCloses,
    /// Takes every point but answers after so long.
    Slow(Duration),
    /// Shows this page, with the status of a success.
    ShowsPage(&'static str),
    /// Wants this token.
    Wants(&'static str),
}

/// A request that had points in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub target: String,
    /// Headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub points: usize,
    pub status: u16,
}

#[derive(Debug)]
struct Stage {
    mood: Mood,
    requests: Vec<Request>,
    taken: Vec<String>,
}

/// The server. It ends with this.
pub struct FakeServer {
    stage: Arc<Mutex<Stage>>,
    port: u16,
    over: Arc<AtomicBool>,
}

impl FakeServer {
    /// Begins to listen where nobody else does.
    pub fn start(mood: Mood) -> Self {
        Self::listen(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), mood)
    }

    /// Begins to listen on a port.
    pub fn start_on(port: u16, mood: Mood) -> Self {
        Self::listen(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap(), mood)
    }

    fn listen(listener: TcpListener, mood: Mood) -> Self {
        let port = listener.local_addr().unwrap().port();
        let stage = Stage { mood, requests: Vec::new(), taken: Vec::new() };
        let server = Self { stage: Arc::new(Mutex::new(stage)), port, over: Arc::default() };
        let (stage, over) = (Arc::clone(&server.stage), Arc::clone(&server.over));
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (stage, over) = (Arc::clone(&stage), Arc::clone(&over));
                // A client that goes away ends it.
                thread::spawn(move || serve(&connection, &stage, &over));
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends as by a crash: nobody listens any more, and nobody is answered.
    pub fn ends(&self) {
        self.over.store(true, Ordering::SeqCst);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Changes the answer from the next request on.
    pub fn mood(&self, mood: Mood) {
        self.stage().mood = mood;
    }

    /// Every line that it took, in order.
    pub fn taken(&self) -> Vec<String> {
        self.stage().taken.clone()
    }

    /// Every request that had points in it.
    pub fn requests(&self) -> Vec<Request> {
        self.stage().requests.clone()
    }

    /// Waits until it has taken so many lines.
    pub fn has_taken(&self, lines: usize) {
        let begun = Instant::now();
        while self.stage().taken.len() < lines {
            assert!(begun.elapsed() < Duration::from_mins(1), "{} taken", self.taken().len());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// Answers the requests of a connection until either end has enough.
fn serve(connection: &TcpStream, stage: &Mutex<Stage>, over: &AtomicBool) -> Option<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let target = head.split(' ').nth(1)?.to_owned();
        let headers: BTreeMap<_, _> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let body = body(&mut reader, &headers)?;
        let lines: Vec<_> = body.lines().map(str::to_owned).collect();
        let mood = stage.lock().unwrap().mood.clone();
        let (status, words, taken) = {
            let nth = stage.lock().unwrap().requests.len();
            answer(&mood, nth, &headers, lines.clone())
        };
        match mood {
            Mood::Dies => return None,
            Mood::Hangs => {
                while !over.load(Ordering::SeqCst) && stage.lock().unwrap().mood == Mood::Hangs {
                    thread::sleep(Duration::from_millis(5));
                }
                return None;
            }
            Mood::Slow(pause) => thread::sleep(pause),
            _ => {}
        }
        {
            let mut stage = stage.lock().unwrap();
            if !lines.is_empty() {
                let points = lines.len();
                stage.requests.push(Request { target, headers, points, status });
            }
            stage.taken.extend(taken);
        }
        if mood == Mood::TakesAndDies {
            return None;
        }
        if over.load(Ordering::SeqCst) {
            return None;
        }
        let json = format!(r#"{{"code":"played","message":"{words}"}}"#);
        let body = match mood {
            Mood::ShowsPage(page) => page,
            _ if status == 204 => "",
            _ => &json,
        };
        let length = if status == 204 {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let mut connection = connection;
        write!(connection, "HTTP/1.1 {status} Played\r\n{length}\r\n{body}").ok()?;
        if mood == Mood::TakesAndCloses {
            return None;
        }
    }
}

/// Status, words, and the lines that are taken of the request with this number.
fn answer(
    mood: &Mood,
    nth: usize,
    headers: &BTreeMap<String, String>,
    lines: Vec<String>,
) -> (u16, String, Vec<String>) {
    let no = |status: u16, words: &str| (status, words.to_owned(), Vec::new());
    match mood {
        Mood::Refuses(status, words) => no(*status, words),
        Mood::ShowsPage(_) => no(200, ""),
        Mood::Wants(token) if headers.get("authorization") != Some(&format!("Token {token}")) => {
            no(401, "unauthorized access")
        }
        Mood::CannotReadNorAsks(_) if lines.is_empty() => no(204, ""),
        // As InfluxDB answers a probe, once it has looked at everything else.
        _ if lines.is_empty() => no(400, "writing requires points"),
        Mood::CannotReadAndIsBusy(_) if nth % 3 == 2 => no(429, "slow down"),
        Mood::CannotRead(poison)
        | Mood::CannotReadNorAsks(poison)
        | Mood::CannotReadAndIsBusy(poison)
            if lines.iter().any(|line| line.contains(poison)) =>
        {
            no(400, "unable to parse a point")
        }
        Mood::TakesAtMost(most) if lines.len() > *most => no(413, "too large"),
        Mood::LeavesOut(refused) => {
            let (out, taken): (Vec<_>, Vec<_>) =
                lines.into_iter().partition(|line| line.contains(refused));
            match out.len() {
                0 => (204, String::new(), taken),
                dropped => (422, format!("partial write: dropped={dropped}"), taken),
            }
        }
        Mood::Takes(status) => (*status, String::new(), lines),
        Mood::Hangs | Mood::Dies => no(204, ""),
        Mood::Slow(_)
        | Mood::TakesAndDies
        | Mood::TakesAndCloses
        | Mood::Wants(_)
        | Mood::CannotRead(_)
        | Mood::CannotReadNorAsks(_)
        | Mood::CannotReadAndIsBusy(_)
        | Mood::TakesAtMost(_) => (204, String::new(), lines),
    }
}

/// Returns what is in a request, unpacked.
fn body(reader: &mut impl BufRead, headers: &BTreeMap<String, String>) -> Option<String> {
    let mut bytes = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|how| how == "chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let start = bytes.len();
            bytes.resize(start + size, 0);
            reader.read_exact(&mut bytes[start..]).ok()?;
            reader.read_line(&mut String::new()).ok()?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = headers.get("content-length") {
        bytes.resize(length.parse().ok()?, 0);
        reader.read_exact(&mut bytes).ok()?;
    }
    let mut text = String::new();
    match headers.get("content-encoding").map(String::as_str) {
        Some("gzip") => GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).ok()?,
        _ => bytes.as_slice().read_to_string(&mut text).ok()?,
    };
    Some(text)
}
