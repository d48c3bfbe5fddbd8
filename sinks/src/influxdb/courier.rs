//! Delivers what waits in the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tracing::{info, warn};

use super::answer::Answer;
use super::client::Client;
use super::delivery::{Consignment, Delivery, Trouble};
use super::lines::Lines;
use crate::backoff::Backoff;
use crate::outbox::{Aside, MOST_ASIDE, Outbox, Ticket};
use crate::sink::SinkError;

/// How many bundles behind are tried before the next pause, where the server is held suspect.
const SCOUTED: usize = 8;

/// How a courier waits between tries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pauses {
    /// Between the tries of what somebody must mend.
    pub(super) refused: Duration,
    /// An answer that took longer than this is not waited for by who has fresh points.
    pub(super) swift: Duration,
}

/// What couriers and those with fresh points tell one another.
#[derive(Debug, Default)]
pub(super) struct Road {
    /// Whether the server took the last points at once, so that fresh ones may go straight to it.
    pub(super) clear: AtomicBool,
    /// Told when something was put in the queue.
    pub(super) queued: Notify,
    /// Points that the server has given up, or that were given up as poison.
    pub(super) rejected: AtomicU64,
    /// Points that the server has taken from the queue.
    pub(super) delivered: AtomicU64,
    /// Tries that were made again.
    pub(super) retried: AtomicU64,
}

/// Takes the oldest points to the server, and again until it has them.
#[derive(Debug)]
pub(super) struct Courier {
    pub(super) sink: String,
    pub(super) outbox: Outbox,
    pub(super) client: Arc<Client>,
    pub(super) delivery: Delivery,
    pub(super) batch_size: usize,
    pub(super) pauses: Pauses,
    pub(super) road: Arc<Road>,
    pub(super) progress: Progress,
    /// The trouble said last, until points are taken again.
    pub(super) said: Option<String>,
    pub(super) backoff: Backoff,
}

/// How far a courier has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Dealt with up to here.
    through: Ticket,
    /// The oldest points behind that, up to the place beside them, where a try to deliver them has
    /// begun.
    under_way: Option<(Consignment, Ticket)>,
    /// How many points those are.
    points: usize,
    /// Looked behind for a point that the server takes up to here.
    scouted: Ticket,
    /// Points of those that are to be set aside.
    aside: Vec<Aside>,
    /// Whether the queue has yet to be told: a full disk may keep it from forgetting, and must not
    /// keep points from being delivered.
    untold: bool,
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Points are dealt with; there may be more.
    Onward,
    /// Nothing waits.
    Rest,
    /// Nothing has to be delivered any more, but the queue cannot forget what was, for this reason.
    Unforgotten(String),
}

impl Courier {
    /// Delivers until it is told to stop, and is there to go on then; `None` once the queue cannot
    /// be used any more.
    pub(super) async fn run(mut self, mut called: oneshot::Receiver<()>) -> Option<Self> {
        loop {
            let taken = tokio::select! {
                biased;
                // Whether it was told to or left alone.
                _ = &mut called => return Some(self),
                taken = self.step() => taken,
            };
            let road = Arc::clone(&self.road);
            let pause = match taken {
                Ok(Step::Onward) => continue,
                Ok(Step::Rest) => None,
                Ok(Step::Unforgotten(why)) => Some(self.wait(&Trouble::Passing(why))),
                Err(Trouble::Queue(SinkError::Permanent(_) | SinkError::Closed)) => return None,
                Err(trouble) => Some(self.wait(&trouble)),
            };
            let wait = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => road.queued.notified().await,
                }
            };
            tokio::select! {
                _ = &mut called => return Some(self),
                () = wait => {}
            }
            if pause.is_some() {
                self.road.retried.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Says what is the matter, once, and how long to wait.
    fn wait(&mut self, trouble: &Trouble) -> Duration {
        let text = trouble.to_string();
        if self.said.as_ref() != Some(&text) {
            warn!(sink = self.sink, waiting = self.outbox.waiting(), "{text}; trying again");
            self.said = Some(text);
        }
        let growing = self.backoff.next_wait();
        match trouble {
            Trouble::Lasting(_) | Trouble::Suspect(_) => self.pauses.refused.max(growing),
            Trouble::Passing(_) | Trouble::Queue(_) => growing,
        }
    }

    /// Deals with the oldest points.
    ///
    /// # Errors
    /// [`Trouble`]: they wait on.
    pub(super) async fn step(&mut self) -> Result<Step, Trouble> {
        self.take_up().await.map_err(Trouble::Queue)?;
        let Some((consignment, through)) = &mut self.progress.under_way else {
            return match self.tell().await {
                Ok(()) => Ok(Step::Rest),
                Err(SinkError::Transient { message: why, .. }) => Ok(Step::Unforgotten(why)),
                Err(error) => Err(Trouble::Queue(error)),
            };
        };
        let through = *through;
        let dealt = match self.delivery.deliver(consignment).await {
            Ok(dealt) => dealt,
            Err(trouble) => {
                self.road.clear.store(false, Ordering::Relaxed);
                if let Trouble::Suspect(_) = trouble {
                    self.progress.under_way = None;
                    if self.scout(through).await? {
                        return Ok(Step::Onward);
                    }
                }
                if let Trouble::Lasting(_) | Trouble::Suspect(_) = trouble
                    && let Err(error) = self.client.renew().await
                {
                    return Err(Trouble::Lasting(error.to_string()));
                }
                return Err(trouble);
            }
        };
        self.recovered();
        if let Some(took) = dealt.took {
            self.road.clear.store(took < self.pauses.swift, Ordering::Relaxed);
        }
        if let Some(Aside { item, reason, .. }) = dealt.aside.first() {
            let (points, address) = (dealt.aside.len(), self.client.address());
            warn!(
                sink = self.sink,
                points, "{address} cannot read points; they are set aside ({reason}): {item}"
            );
        }
        let failed = dealt.left_out + dealt.aside.len();
        self.road.rejected.fetch_add(failed as u64, Ordering::Relaxed);
        let delivered = self.progress.points.saturating_sub(failed);
        self.road.delivered.fetch_add(delivered as u64, Ordering::Relaxed);
        self.progress.under_way = None;
        self.progress.through = through;
        self.progress.aside.extend(dealt.aside);
        self.progress.untold = true;
        match self.tell().await {
            // Told again when nothing else is left to do, which says it if it fails then too.
            Ok(()) | Err(SinkError::Transient { .. }) => Ok(Step::Onward),
            Err(error) => Err(Trouble::Queue(error)),
        }
    }

    /// Takes up the oldest points, unless some are under way.
    async fn take_up(&mut self) -> Result<(), SinkError> {
        let Progress { through, under_way, points, .. } = &mut self.progress;
        if under_way.is_none() {
            let oldest = self.outbox.oldest(*through, self.batch_size).await?;
            *points = oldest.as_ref().map_or(0, |bundle| bundle.parcel.items);
            *under_way = oldest.map(|bundle| (Lines::from(bundle.parcel).into(), bundle.through));
        }
        Ok(())
    }

    /// Looks for a point behind that the server takes, so that points which it cannot read never
    /// block those that it can. That one is sent again in its turn.
    async fn scout(&mut self, behind: Ticket) -> Result<bool, Trouble> {
        for _ in 0..SCOUTED {
            let after = self.progress.scouted.max(behind);
            let next = self.outbox.oldest(after, self.batch_size).await;
            let Some(bundle) = next.map_err(Trouble::Queue)? else {
                self.progress.scouted = Ticket::default();
                break;
            };
            self.progress.scouted = bundle.through;
            let mut point = Lines::from(bundle.parcel);
            while let Some((_, last)) = point.halves() {
                point = last;
            }
            if let Answer::Taken | Answer::TakenInPart { .. } = self.client.write(&point).await {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells the queue how far it may forget.
    async fn tell(&mut self) -> Result<(), SinkError> {
        let Progress { through, aside, untold, .. } = &mut self.progress;
        if *untold {
            // More than the queue keeps need not be kept for it.
            aside.drain(..aside.len().saturating_sub(MOST_ASIDE));
            self.outbox.settle(*through, aside.clone()).await?;
            aside.clear();
            *untold = false;
        }
        Ok(())
    }

    fn recovered(&mut self) {
        if self.said.take().is_some() {
            let address = self.client.address();
            info!(sink = self.sink, waiting = self.outbox.waiting(), "{address} takes points");
        }
        self.backoff.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influxdb::Config;
    use crate::outbox::Plan;
    use crate::settings::Size;

    async fn courier(directory: &std::path::Path) -> Courier {
        let minimal = r#"{"url": "http://127.0.0.1:9", "org": "home", "bucket": "energy"}"#;
        let config: Config = serde_json::from_str(minimal).unwrap();
        let max_bytes = Size::from_mib(1);
        let plan = Plan { path: directory.join("queue.db"), max_bytes, items: "points" };
        let client = Arc::new(Client::new(config).await);
        let pauses = Pauses { refused: Duration::from_mins(1), swift: Duration::from_millis(500) };
        Courier {
            sink: "influxdb".to_owned(),
            outbox: Outbox::open(plan).await.unwrap(),
            client: Arc::clone(&client),
            delivery: Delivery::new("influxdb".to_owned(), client),
            batch_size: 500,
            pauses,
            road: Arc::default(),
            progress: Progress::default(),
            said: None,
            backoff: Backoff::default(),
        }
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_after_pauses_that_grow_to_a_minute_and_the_rest_once_a_minute()
    {
        let directory = tempfile::tempdir().unwrap();
        let mut courier = courier(directory.path()).await;
        let minute = Duration::from_mins(1);
        let away = || Trouble::Passing("it is away".to_owned());
        let pauses: Vec<_> = (0..20).map(|_| courier.wait(&away())).collect();
        assert!(pauses[0] <= Duration::from_millis(500), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= minute), "{pauses:?}");
        let last = &pauses[10..];
        assert!(last.iter().all(|pause| *pause >= minute / 2), "{pauses:?}");
        assert!(last.iter().any(|pause| *pause != last[0]), "without jitter: {pauses:?}");

        courier.recovered();
        for lasting in [Trouble::Lasting("no token".into()), Trouble::Suspect("a proxy".into())] {
            assert_eq!(courier.wait(&lasting), minute);
        }
        courier.recovered();
        assert!(courier.wait(&away()) <= Duration::from_millis(500), "it begins again");
    }
}
