//! The loop around a sink, in a time that passes as fast as nothing happens.

use std::sync::Arc;
use std::time::Duration;

use energi_sinks::channel::{CAPACITY, Publisher};
use energi_sinks::runner::{RetryPolicy, RunError, Runner};
use energi_sinks::stats::SinkStats;
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, Context};
use tokio::time::{Instant, sleep};

use super::reading;
use super::scripted::Answer::{Broken, Gone, Never, Retry, Yes};
use super::scripted::Call::{Close, Open, Write};
use super::scripted::Scripted;
use support::logs::Logs;

const SECOND: Duration = Duration::from_secs(1);

/// A sink's place at a channel, and what it counts.
fn runner(
    sink: &Scripted,
    publisher: &Publisher,
    retry_policy: RetryPolicy,
) -> (Runner, Arc<SinkStats>) {
    let context = Context {
        name: "mine".to_owned(),
        site: None,
        timezone: jiff::tz::TimeZone::UTC,
        device_names: Arc::default(),
        only_devices: None,
        layouts: Arc::default(),
        live: false,
        backpressure: Backpressure::Wait,
        tariff: None,
        status: StatusHandle::default(),
    };
    let stats = Arc::new(SinkStats::default());
    let subscription = publisher.hub().subscribe().unwrap();
    let config = Arc::new(sink.clone());
    (Runner::new(config, context, subscription, Arc::clone(&stats), retry_policy), stats)
}

/// Runs `sink` over readings 1 to `count`, after which the channel ends.
async fn run(
    sink: &Scripted,
    count: u32,
    retry_policy: RetryPolicy,
) -> (Result<(), RunError>, Arc<SinkStats>) {
    let publisher = Publisher::default();
    let (runner, stats) = runner(sink, &publisher, retry_policy);
    (1..=count).for_each(|number| publisher.publish(reading(number)));
    drop(publisher);
    (runner.run().await, stats)
}

/// Received, delivered, retried, rejected.
fn counts(stats: &SinkStats) -> [u64; 4] {
    [stats.received.get(), stats.delivered.get(), stats.retried.get(), stats.rejected.get()]
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_offered_until_it_is_taken() {
    let sink = Scripted::new().writes(&[Retry("full"), Retry("full")]);
    let (ended, stats) = run(&sink, 3, RetryPolicy::Forever).await;
    ended.unwrap();
    let batch = || vec![1, 2, 3];
    assert_eq!(
        sink.calls(),
        [
            Open(Yes),
            Write(batch(), Retry("full")),
            Write(batch(), Retry("full")),
            Write(batch(), Yes),
            Close(Yes)
        ]
    );
    assert_eq!(counts(&stats), [3, 3, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_reopened_sink_is_offered_the_same_batch() {
    let sink = Scripted::new().writes(&[Broken("moved")]);
    let (ended, stats) = run(&sink, 2, RetryPolicy::Forever).await;
    ended.unwrap();
    assert_eq!(
        sink.calls(),
        [
            Open(Yes),
            Write(vec![1, 2], Broken("moved")),
            Open(Yes),
            Write(vec![1, 2], Yes),
            Close(Yes)
        ]
    );
    assert_eq!(counts(&stats), [2, 2, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_opens_late_gets_what_came_before() {
    let sink = Scripted::new().opens(&[Retry("away"), Broken("away"), Retry("away")]);
    let (ended, stats) = run(&sink, 2, RetryPolicy::Forever).await;
    ended.unwrap();
    assert_eq!(sink.taken(), [[1, 2]]);
    assert_eq!(counts(&stats), [2, 2, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_gives_a_sink_up_after_its_attempts() {
    let sink = Scripted::new().writes(&[Retry("full"); 10]);
    let (ended, stats) = run(&sink, 2, RetryPolicy::Attempts(3)).await;
    assert!(matches!(ended, Err(RunError::GivenUp(error)) if error.to_string() == "full"));
    assert_eq!(sink.calls()[1..], vec![Write(vec![1, 2], Retry("full")); 3]);
    assert_eq!(counts(&stats), [2, 0, 2, 2]);

    let sink = Scripted::new().opens(&[Broken("not yours")]);
    let (ended, _) = run(&sink, 2, RetryPolicy::Attempts(3)).await;
    assert!(matches!(ended, Err(RunError::GivenUp(_))), "it does not pass by itself");
    assert_eq!(sink.calls(), [Open(Broken("not yours"))]);
}

#[tokio::test(start_paused = true)]
async fn after_a_success_the_attempts_begin_again() {
    let trouble = [Retry("full"), Retry("full"), Yes].repeat(5);
    let sink = Scripted::new().batching(1, Duration::ZERO).writes(&trouble);
    let publisher = Publisher::default();
    let (runner, stats) = runner(&sink, &publisher, RetryPolicy::Attempts(3));
    (1..=5).for_each(|number| publisher.publish(reading(number)));
    tokio::spawn(runner.run());
    sleep(60 * SECOND).await;
    assert_eq!(counts(&stats), [5, 5, 10, 0]);
    // Half a second, then a second, each time.
    let times = sink.times();
    assert!(times[13] - times[1] <= 5 * (SECOND + SECOND / 2), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn waits_grow_while_it_fails() {
    let sink = Scripted::new().writes(&[Retry("full"); 10]);
    let (ended, _) = run(&sink, 1, RetryPolicy::Forever).await;
    ended.unwrap();
    let times = sink.times();
    let waits: Vec<_> = times[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[0] <= SECOND && waits[9] <= SECOND, "the channel is closed: {waits:?}");

    let publisher = Publisher::default();
    let sink = Scripted::new().writes(&[Retry("full"); 10]);
    let (runner, _) = runner(&sink, &publisher, RetryPolicy::Forever);
    publisher.publish(reading(1));
    tokio::spawn(runner.run());
    sleep(600 * SECOND).await;
    let times = sink.times();
    let waits: Vec<_> = times[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[9] >= 30 * SECOND && waits[9] <= 61 * SECOND, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn each_failure_is_logged_once() {
    let logs = Logs::capture();
    let trouble = [Retry("full"), Retry("full"), Retry("gone"), Retry("gone"), Yes, Retry("gone")];
    let sink = Scripted::new().batching(1, Duration::ZERO).writes(&trouble);
    run(&sink, 2, RetryPolicy::Forever).await.0.unwrap();
    let expected = [
        ("WARN ", "sink=\"mine\" error=\"full\""),
        ("WARN ", "sink=\"mine\" error=\"gone\""),
        ("INFO ", "sink=\"mine\" failures=4"),
        ("WARN ", "sink=\"mine\" error=\"gone\""),
        ("INFO ", "sink=\"mine\" failures=1"),
    ];
    let lines = logs.lines();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, (level, fields)) in lines.iter().zip(expected) {
        assert!(line.starts_with(level) && line.ends_with(fields), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_sink_missed_is_logged_once() {
    let logs = Logs::capture();
    let sink = Scripted::new().batching(CAPACITY, Duration::ZERO);
    let publisher = Publisher::default();
    let (runner, stats) = runner(&sink, &publisher, RetryPolicy::Forever);
    let one = reading(7);
    (0..CAPACITY + 10).for_each(|_| publisher.publish(Arc::clone(&one)));
    let running = tokio::spawn(runner.run());
    sleep(SECOND).await;
    assert_eq!((stats.lagged.get(), stats.received.get()), (10, CAPACITY as u64));
    (0..CAPACITY + 5).for_each(|_| publisher.publish(Arc::clone(&one)));
    drop(publisher);
    running.await.unwrap().unwrap();
    assert_eq!((stats.lagged.get(), stats.delivered.get()), (15, 2 * CAPACITY as u64));
    let [line] = &logs.lines()[..] else { panic!("{:#?}", logs.lines()) };
    assert!(line.starts_with("WARN ") && line.ends_with("sink=\"mine\" missed=10"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_written_when_full_or_due() {
    let sink = Scripted::new().batching(3, 10 * SECOND);
    let publisher = Publisher::default();
    let (runner, stats) = runner(&sink, &publisher, RetryPolicy::Forever);
    let running = tokio::spawn(runner.run());
    let begin = Instant::now();
    for number in 1..=5 {
        publisher.publish(reading(number));
        sleep(SECOND).await;
    }
    assert_eq!(sink.taken(), [[1, 2, 3]], "the others still wait for company");
    assert_eq!(sink.times()[1] - begin, 2 * SECOND);
    sleep(10 * SECOND).await;
    assert_eq!(sink.taken(), [vec![1, 2, 3], vec![4, 5]]);
    assert_eq!(sink.times()[2] - begin, (3 + 10) * SECOND);
    publisher.publish(reading(6));
    drop(publisher);
    running.await.unwrap().unwrap();
    assert_eq!(sink.taken()[2], [6], "an end does not wait");
    assert_eq!(counts(&stats), [6, 6, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_sink_tries_at_once_when_the_gateway_ends() {
    let sink = Scripted::new().writes(&[Retry("away"); 12]);
    let publisher = Publisher::default();
    let hub = publisher.hub();
    let (runner, stats) = runner(&sink, &publisher, RetryPolicy::Forever);
    publisher.publish(reading(1));
    let running = tokio::spawn(runner.run());
    // After ten tries it waits for half a minute or more.
    while sink.times().len() < 11 {
        sleep(SECOND).await;
    }
    publisher.publish(reading(2));
    let end = Instant::now();
    hub.close();
    running.await.unwrap().unwrap();
    assert!(end.elapsed() <= 2 * SECOND, "{:?}", end.elapsed());
    assert_eq!(sink.taken(), [[1], [2]]);
    assert_eq!(counts(&stats), [2, 2, 12, 0]);
    drop(publisher);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_delivered_by_closing_again() {
    let sink = Scripted::new().closes(&[Retry("away"), Retry("away")]);
    let (ended, stats) = run(&sink, 1, RetryPolicy::Forever).await;
    ended.unwrap();
    assert_eq!(sink.calls()[2..], [Close(Retry("away")), Close(Retry("away")), Close(Yes)]);
    assert_eq!(counts(&stats), [1, 1, 2, 0]);

    let sink = Scripted::new().closes(&[Retry("away"); 9]);
    let (ended, _) = run(&sink, 1, RetryPolicy::Attempts(2)).await;
    assert!(matches!(ended, Err(RunError::GivenUp(_))));
}

#[tokio::test(start_paused = true)]
async fn a_sink_whose_reader_has_gone_ends_quietly() {
    let logs = Logs::capture();
    let sink = Scripted::new().batching(1, Duration::ZERO).writes(&[Yes, Gone]);
    let (ended, stats) = run(&sink, 3, RetryPolicy::Forever).await;
    assert!(matches!(ended, Err(RunError::Closed)));
    assert_eq!(counts(&stats), [2, 1, 0, 1]);
    assert_eq!(logs.lines(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_sink_costs_the_others_nothing() {
    let publisher = Publisher::default();
    let [hangs, fails, works] = [
        Scripted::new().writes(&[Never]),
        Scripted::new().opens(&[Retry("away"); 100]),
        Scripted::new(),
    ];
    for sink in [&hangs, &fails] {
        tokio::spawn(runner(sink, &publisher, RetryPolicy::Forever).0.run());
    }
    let (running, stats) = runner(&works, &publisher, RetryPolicy::Forever);
    let running = tokio::spawn(running.run());
    for number in 0..2 * u32::try_from(CAPACITY).unwrap() {
        publisher.publish(reading(number));
        if number % 1000 == 0 {
            tokio::task::yield_now().await;
        }
    }
    drop(publisher);
    running.await.unwrap().unwrap();
    let all: Vec<u32> = works.taken().concat();
    assert!(all.into_iter().eq(0..2 * u32::try_from(CAPACITY).unwrap()));
    assert_eq!(stats.lagged.get(), 0);
}
