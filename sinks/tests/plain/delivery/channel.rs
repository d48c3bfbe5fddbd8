//! The channel between the capture and the sinks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use energi_sinks::channel::{CAPACITY, Delivery, Hub, Publisher, Subscription};
use proptest::prelude::*;

use super::reading;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Takes readings until the channel closes, and says so after each `stride`.
async fn take_all(mut subscription: Subscription, stride: usize) -> Vec<u32> {
    let mut taken = Vec::new();
    loop {
        match subscription.next().await {
            Delivery::Item(reading) => taken.push(reading.serial),
            Delivery::Lagged(missed) => panic!("{missed} were lost"),
            Delivery::Closed => return taken,
        }
        if taken.len().is_multiple_of(stride) {
            subscription.taken();
        }
    }
}

/// Publishes until the channel is full.
fn fill(publisher: &mut Publisher) {
    let one = reading(1);
    while publisher.wait_for_room(|| false) {
        publisher.publish(Arc::clone(&one));
    }
}

/// Returns what the subscription gives without waiting: readings, those missed, whether it is
/// closed.
fn drained(subscription: &mut Subscription) -> (usize, u64, bool) {
    let (mut readings, mut missed) = (0, 0);
    loop {
        match subscription.try_next() {
            Some(Delivery::Item(_)) => readings += 1,
            Some(Delivery::Lagged(more)) => missed += more,
            Some(Delivery::Closed) => return (readings, missed, true),
            None => return (readings, missed, false),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_replay_waits_for_its_slowest_sink(
        strides in prop::collection::vec(1..5_000_usize, 1..4),
        count in 1..3 * u32::try_from(CAPACITY).unwrap(),
    ) {
        let mut publisher = Publisher::default();
        let hub = publisher.hub();
        thread::scope(|scope| {
            let subscribers: Vec<_> = strides
                .iter()
                .map(|stride| {
                    let subscription = hub.subscribe().unwrap();
                    scope.spawn(|| block_on(take_all(subscription, *stride)))
                })
                .collect();
            scope.spawn(move || {
                for number in 0..count {
                    assert!(publisher.wait_for_room(|| true));
                    publisher.publish(reading(number));
                }
            });
            for subscriber in subscribers {
                assert!(subscriber.join().unwrap().into_iter().eq(0..count));
            }
        });
    }
}

#[test]
fn without_a_subscriber_nobody_waits() {
    let mut publisher = Publisher::default();
    for _ in 0..2 * CAPACITY {
        assert!(publisher.wait_for_room(|| false));
        publisher.publish(reading(1));
    }
}

#[test]
fn a_sink_that_ends_lets_a_waiting_recording_go_on() {
    let mut publisher = Publisher::default();
    let subscription = publisher.hub().subscribe().unwrap();
    fill(&mut publisher);
    let asked = AtomicBool::new(false);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            publisher.wait_for_room(|| {
                asked.store(true, Ordering::SeqCst);
                true
            })
        });
        while !asked.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        drop(subscription);
        assert!(waiting.join().unwrap());
    });
}

#[test]
fn a_recording_that_is_stopped_waits_no_longer() {
    let mut publisher = Publisher::default();
    let mut subscription = publisher.hub().subscribe().unwrap();
    fill(&mut publisher);
    let mut asked = 0;
    let patience = std::cell::RefCell::new(&mut asked);
    assert!(!publisher.wait_for_room(|| {
        **patience.borrow_mut() += 1;
        **patience.borrow() < 3
    }));
    assert_eq!(asked, 3);
    let (readings, missed, _) = drained(&mut subscription);
    assert!(readings > CAPACITY / 2 && missed == 0, "{readings} {missed}");
    assert!(publisher.wait_for_room(|| false), "there is room again");
}

#[test]
fn live_a_slow_sink_is_told_how_much_it_missed() {
    let publisher = Publisher::default();
    let hub = publisher.hub();
    let (mut slow, mut quick) = (hub.subscribe().unwrap(), hub.subscribe().unwrap());
    for number in 0..u32::try_from(CAPACITY + 100).unwrap() {
        publisher.publish(reading(number));
        assert!(matches!(quick.try_next(), Some(Delivery::Item(it)) if it.serial == number));
    }
    assert!(matches!(slow.try_next(), Some(Delivery::Lagged(100))));
    assert!(matches!(slow.try_next(), Some(Delivery::Item(it)) if it.serial == 100));
    assert_eq!(drained(&mut slow), (CAPACITY - 1, 0, false));
    assert_eq!(drained(&mut quick), (0, 0, false));
}

#[test]
fn a_closed_channel_is_read_to_its_end() {
    // The publisher's thread may block on its input forever.
    let closed_by: [fn(Publisher, &Hub) -> Option<Publisher>; 2] = [
        |publisher, hub| {
            hub.close();
            Some(publisher)
        },
        |publisher, _| {
            drop(publisher);
            None
        },
    ];
    for close in closed_by {
        let publisher = Publisher::default();
        let hub = publisher.hub();
        let waiting = hub.subscribe().unwrap();
        let subscription = hub.subscribe().unwrap();
        (0..3).for_each(|number| publisher.publish(reading(number)));
        let waiting = thread::spawn(|| block_on(take_all(waiting, 1)));
        assert!(!subscription.is_closing());
        let publisher = close(publisher, &hub);
        block_on(subscription.closing());
        assert_eq!(block_on(take_all(subscription, 1)), [0, 1, 2]);
        assert_eq!(waiting.join().unwrap(), [0, 1, 2]);
        assert_eq!(hub.subscribe().is_some(), publisher.is_some());
    }
}
