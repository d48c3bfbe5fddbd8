//! Hands points to the server, and makes of its answers what they mean for each point.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::answer::{Answer, left_out};
use super::client::Client;
use super::lines::Lines;
use crate::outbox::Aside;
use crate::sink::SinkError;

/// How many points a server that has never taken one may call unreadable before that is held
/// against the server: a proxy, say, or one that expects encryption.
const SUSPECTS: usize = 8;

/// Points on their way to a server.
#[derive(Debug)]
pub(super) struct Delivery {
    sink: String,
    client: Arc<Client>,
    /// Whether the server has ever taken points.
    trusted: bool,
}

/// What became of points that were dealt with.
#[derive(Debug, Default)]
pub struct Dealt {
    /// Those that the server cannot read.
    pub aside: Vec<Aside>,
    /// How many it left out for good.
    pub left_out: usize,
    /// How long it took over the last of them; `None` where it took none.
    pub(super) took: Option<Duration>,
}

/// Why points wait.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may pass by itself.
    Passing(String),
    /// Somebody must mend it.
    Lasting(String),
    /// The queue cannot be used.
    Queue(SinkError),
}

impl Delivery {
    pub(super) fn new(sink: String, client: Arc<Client>) -> Self {
        Self { sink, client, trusted: false }
    }

    /// Sends points in one piece, or else in pieces: halves of what is too large or holds a point
    /// that cannot be read, down to that point.
    ///
    /// # Errors
    /// [`Trouble`]: some or all of them have to be sent again.
    pub(super) async fn deliver(&mut self, lines: Lines) -> Result<Dealt, Trouble> {
        let mut dealt = Dealt::default();
        let mut pieces = vec![lines];
        while let Some(piece) = pieces.pop() {
            let begun = Instant::now();
            let answer = self.client.write(&piece).await;
            let address = self.client.address();
            match answer {
                Answer::Taken => {
                    self.trusted = true;
                    dealt.took = Some(begun.elapsed());
                }
                Answer::TakenInPart(said) => {
                    self.trusted = true;
                    let points = left_out(&said, piece.count());
                    dealt.left_out += points;
                    warn!(sink = self.sink, points, "{address} left points out for good ({said})");
                }
                Answer::Malformed(said) | Answer::TooLarge(said) => match piece.halves() {
                    Some((first, second)) => pieces.extend([second, first]),
                    None => dealt.aside.push(poison(&piece, said)),
                },
                Answer::Refused(said) => {
                    return Err(Trouble::Lasting(format!("{address}: {said}")));
                }
                Answer::Away(said) => return Err(Trouble::Passing(format!("{address}: {said}"))),
            }
            let last = pieces.is_empty();
            if let Some(suspect) = dealt.aside.last()
                && !self.trusted
                && (last || dealt.aside.len() >= SUSPECTS)
            {
                return Err(Trouble::Lasting(format!(
                    "{address} takes no point at all ({}): is it an InfluxDB server, and `url` its \
                     address?",
                    suspect.reason
                )));
            }
        }
        Ok(dealt)
    }
}

fn poison(point: &Lines, reason: String) -> Aside {
    Aside { time: Timestamp::now(), item: point.text().trim_end().to_owned(), reason }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passing(text) | Self::Lasting(text) => f.write_str(text),
            Self::Queue(error) => error.fmt(f),
        }
    }
}

impl From<Trouble> for SinkError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Passing(text) => Self::Retry(text),
            Trouble::Lasting(text) => Self::Broken(text),
            Trouble::Queue(error) => error,
        }
    }
}
