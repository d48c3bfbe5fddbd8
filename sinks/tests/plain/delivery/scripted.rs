//! A sink that does what a test tells it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use energi_decoders::Reading;
use energi_sinks::runner::AT_ONCE;
use energi_sinks::{Batching, Context, Sink, SinkConfig, SinkError, Written};
use tokio::time::Instant;

/// Answer of the sink when it is asked to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    Retry(&'static str),
    Broken(&'static str),
    /// Nobody reads the output any more.
    Gone,
    /// Hangs.
    Never,
}

/// Call of the sink, and its answer. A batch is the serial numbers in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Open(Answer),
    Write(Vec<u32>, Answer),
    Close(Answer),
}

/// The sink, shared with the test. Where the script says nothing it answers [`Answer::Yes`].
#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    script: Arc<Mutex<Script>>,
    batching: Batching,
}

#[derive(Debug, Default)]
struct Script {
    opens: VecDeque<Answer>,
    writes: VecDeque<Answer>,
    closes: VecDeque<Answer>,
    calls: Vec<(Instant, Call)>,
}

impl Scripted {
    pub(crate) fn new() -> Self {
        Self { script: Arc::default(), batching: AT_ONCE }
    }

    pub(crate) fn batching(self, readings: usize, wait: Duration) -> Self {
        Self { batching: Batching { readings, wait }, ..self }
    }

    pub(crate) fn opens(self, answers: &[Answer]) -> Self {
        self.script().opens.extend(answers);
        self
    }

    pub(crate) fn writes(self, answers: &[Answer]) -> Self {
        self.script().writes.extend(answers);
        self
    }

    pub(crate) fn closes(self, answers: &[Answer]) -> Self {
        self.script().closes.extend(answers);
        self
    }

    /// Everything that was asked of it, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.script().calls.iter().map(|(_, call)| call.clone()).collect()
    }

    /// Returns when each thing was asked of it.
    pub(crate) fn times(&self) -> Vec<Instant> {
        self.script().calls.iter().map(|(time, _)| *time).collect()
    }

    /// The batches that it took.
    pub(crate) fn taken(&self) -> Vec<Vec<u32>> {
        let taken = |call| match call {
            Call::Write(batch, Answer::Yes) => Some(batch),
            _ => None,
        };
        self.calls().into_iter().filter_map(taken).collect()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    async fn answer(
        &self,
        of: impl FnOnce(&mut Script) -> &mut VecDeque<Answer>,
        call: impl FnOnce(Answer) -> Call,
    ) -> Result<(), SinkError> {
        let answer = {
            let mut script = self.script();
            let answer = of(&mut script).pop_front().unwrap_or(Answer::Yes);
            script.calls.push((Instant::now(), call(answer)));
            answer
        };
        match answer {
            Answer::Yes => Ok(()),
            Answer::Retry(why) => Err(SinkError::transient(why.to_owned())),
            Answer::Broken(why) => Err(SinkError::permanent(why.to_owned())),
            Answer::Gone => Err(SinkError::Closed),
            Answer::Never => std::future::pending().await,
        }
    }
}

#[async_trait]
impl SinkConfig for Scripted {
    async fn open(&self, _: &Context) -> Result<Box<dyn Sink>, SinkError> {
        self.answer(|script| &mut script.opens, Call::Open).await?;
        Ok(Box::new(self.clone()))
    }

    async fn probe(&self, _: &Context) -> Result<String, SinkError> {
        Ok(String::new())
    }
}

#[async_trait]
impl Sink for Scripted {
    fn batching(&self) -> Batching {
        self.batching
    }

    async fn write(&mut self, batch: &[Arc<Reading>]) -> Result<Written, SinkError> {
        let serials = batch.iter().map(|reading| reading.serial).collect();
        self.answer(|script| &mut script.writes, |answer| Call::Write(serials, answer)).await?;
        Ok(Written::all(batch.len()))
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        self.answer(|script| &mut script.closes, Call::Close).await
    }
}
