//! Hands points to the server, and makes of its answers what they mean for each point.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::answer::Answer;
use super::client::Client;
use super::lines::Lines;
use crate::outbox::Aside;
use crate::sink::SinkError;

/// How many points a server that has never taken one may call unreadable before that is held
/// against the server: a proxy, say, or one that expects encryption.
const SUSPECTS: usize = 8;

/// A way for points to a server.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    sink: String,
    client: Arc<Client>,
}

/// Points on their way. What was dealt with stays so where the rest has to wait: a server that now
/// and then has no time would otherwise never see the end of a search for a point that it cannot
/// read.
#[derive(Debug)]
pub(super) struct Consignment {
    /// What is still to be sent, the last of them first.
    pieces: Vec<Lines>,
    /// Whether a piece was too large for one request.
    too_large: bool,
    /// What became of the others.
    dealt: Dealt,
}

impl From<Lines> for Consignment {
    fn from(lines: Lines) -> Self {
        Self { pieces: vec![lines], too_large: false, dealt: Dealt::default() }
    }
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
    /// It may be that somebody must mend it, or that these points are poison and others are not.
    Suspect(String),
    /// The queue cannot be used.
    Queue(SinkError),
}

impl Delivery {
    pub(super) fn new(sink: String, client: Arc<Client>) -> Self {
        Self { sink, client }
    }

    /// Sends points in one piece, or else in pieces: halves of what is too large or holds a point
    /// that cannot be read, down to that point.
    ///
    /// # Errors
    /// [`Trouble`]: those that are left have to be sent again; all of them where it is
    /// [`Trouble::Suspect`].
    pub(super) async fn deliver(&self, consignment: &mut Consignment) -> Result<Dealt, Trouble> {
        let Consignment { pieces, too_large, dealt } = consignment;
        let address = self.client.address();
        loop {
            if let Some(suspect) = dealt.aside.last()
                && (pieces.is_empty() || dealt.aside.len() >= SUSPECTS)
                && !self.is_trusted(*too_large).await
            {
                return Err(Trouble::Suspect(format!(
                    "{address} takes no point at all ({}): is it an InfluxDB server, and `url` its \
                     address?",
                    suspect.reason
                )));
            }
            // It stays among the pieces until there is an answer: who waits for that may give up.
            let Some(piece) = pieces.last().cloned() else { return Ok(std::mem::take(dealt)) };
            let begun = Instant::now();
            let answer = self.client.write(&piece).await;
            *too_large |= matches!(answer, Answer::TooLarge(_));
            match answer {
                Answer::Taken => {
                    pieces.pop();
                    dealt.took = Some(begun.elapsed());
                }
                Answer::TakenInPart { said, dropped } => {
                    pieces.pop();
                    dealt.left_out += self.left_out(&said, dropped, &piece);
                }
                Answer::Malformed(said) | Answer::TooLarge(said) => {
                    pieces.pop();
                    if let Some((first, second)) = piece.halves() {
                        pieces.extend([second, first]);
                    } else {
                        dealt.aside.push(poison(&piece, said));
                        // Bad points come in a row: the next try is elsewhere.
                        if !self.client.takes_points() && !pieces.is_empty() {
                            pieces.rotate_left(1);
                        }
                    }
                }
                Answer::Refused(said) => {
                    return Err(Trouble::Lasting(format!("{address}: {said}")));
                }
                Answer::Away(said) => return Err(Trouble::Passing(format!("{address}: {said}"))),
            }
        }
    }

    /// Counts what a server left out of a piece, and says it.
    pub(super) fn left_out(&self, said: &str, dropped: Option<usize>, piece: &Lines) -> usize {
        let points = dropped.map_or(piece.count(), |dropped| dropped.min(piece.count()));
        let address = self.client.address();
        warn!(sink = self.sink, points, "{address} left points out for good ({said})");
        points
    }

    /// Whether a point that the server does not take is the point's own fault.
    async fn is_trusted(&self, too_large: bool) -> bool {
        if too_large || self.client.reads_points() {
            return self.client.takes_points() || !too_large;
        }
        // Only what it means for trust counts here.
        let _said = self.client.probe().await;
        self.client.reads_points()
    }
}

fn poison(point: &Lines, reason: String) -> Aside {
    Aside { time: Timestamp::now(), item: point.text().trim_end().to_owned(), reason }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passing(text) | Self::Lasting(text) | Self::Suspect(text) => f.write_str(text),
            Self::Queue(error) => error.fmt(f),
        }
    }
}

impl From<Trouble> for SinkError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Passing(text) => Self::transient(text),
            Trouble::Lasting(text) | Trouble::Suspect(text) => Self::Permanent(text),
            Trouble::Queue(error) => error,
        }
    }
}
