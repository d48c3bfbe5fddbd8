//! What is put in comes out, in its order, once it is settled no more, and never more than may be.

use energi_sinks::SinkError;
use energi_sinks::outbox::{self, Aside, MOST_ASIDE, Outbox, Parcel, Ticket};
use energi_sinks::settings::Size;
use jiff::Timestamp;

use super::{numbers, parcel, plan};

#[tokio::test]
async fn the_oldest_come_first_as_many_as_are_wanted_until_they_are_settled() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(plan(directory.path())).await.unwrap();
    assert_eq!(outbox.oldest(Ticket::default(), 10).await.unwrap(), None);
    for number in 0..5 {
        outbox.push(parcel(number)).await.unwrap();
    }
    assert_eq!(outbox.waiting(), 15);
    for (most, items) in [(0, 3), (3, 3), (5, 3), (6, 6), (100, 15)] {
        let bundle = outbox.oldest(Ticket::default(), most).await.unwrap().unwrap();
        assert_eq!((bundle.parcel.items, bundle.parcel.text.lines().count()), (items, items));
    }
    let first = outbox.oldest(Ticket::default(), 6).await.unwrap().unwrap();
    outbox.settle(first.through, Vec::new()).await.unwrap();
    assert_eq!((outbox.waiting(), numbers(&outbox).await), (9, vec![2, 3, 4]));
    outbox.settle(first.through, Vec::new()).await.unwrap();
    assert_eq!(outbox.waiting(), 9, "what is settled is settled");

    outbox.close().await.unwrap();
    assert!(matches!(outbox.push(parcel(5)).await, Err(SinkError::Permanent(_))));
    let outbox = Outbox::open(plan(directory.path())).await.unwrap();
    assert_eq!((outbox.waiting(), numbers(&outbox).await), (9, vec![2, 3, 4]));
    let all = outbox.oldest(Ticket::default(), 100).await.unwrap().unwrap();
    outbox.settle(all.through, Vec::new()).await.unwrap();
    outbox.push(parcel(6)).await.unwrap();
    let next = outbox.oldest(all.through, 1).await.unwrap().unwrap();
    assert_eq!(next.parcel, parcel(6), "no place is given twice");
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest() {
    let directory = tempfile::tempdir().unwrap();
    let mut plan = plan(directory.path());
    plan.max_bytes = Size::from_mib(1);
    let outbox = Outbox::open(plan.clone()).await.unwrap();
    let large = |number: usize| {
        let text = format!("item {number} {}\n", "x".repeat(996)).repeat(50);
        Parcel { text, items: 50 }
    };
    for number in 0..100 {
        outbox.push(large(number)).await.unwrap();
        let size = std::fs::metadata(&plan.path).unwrap().len();
        assert!(size <= (1 << 20) + 128 * 1024, "{size}");
    }
    let left = numbers(&outbox).await;
    assert!((15..=20).contains(&left.len()), "{left:?}");
    assert_eq!(left, (100 - left.len()..100).collect::<Vec<_>>());
    assert_eq!(outbox.waiting(), 50 * left.len() as u64);
    assert_eq!(outbox.dropped(), 5_000 - outbox.waiting());
    outbox.settle(Ticket::default(), Vec::new()).await.unwrap();
    let all = outbox.oldest(Ticket::default(), 10_000).await.unwrap().unwrap();
    outbox.settle(all.through, Vec::new()).await.unwrap();
    outbox.close().await.unwrap();
    let size = std::fs::metadata(&plan.path).unwrap().len();
    assert!(size < 128 * 1024, "the space is given back: {size}");
}

#[tokio::test]
async fn what_no_destination_takes_is_set_aside_with_its_words() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path());
    assert_eq!(outbox::status(&plan.path).unwrap(), None);
    let outbox = Outbox::open(plan.clone()).await.unwrap();
    outbox.push(parcel(1)).await.unwrap();
    outbox.push(parcel(2)).await.unwrap();
    let time = Timestamp::constant(1_781_953_323, 0);
    let aside = |number: usize| Aside {
        time,
        item: format!("item {number}"),
        reason: "400: no".to_owned(),
    };
    let first = outbox.oldest(Ticket::default(), 1).await.unwrap().unwrap();
    outbox.settle(first.through, (0..MOST_ASIDE + 7).map(aside).collect()).await.unwrap();
    outbox.close().await.unwrap();

    let status = outbox::status(&plan.path).unwrap().unwrap();
    assert_eq!((status.waiting, status.set_aside as usize), (3, MOST_ASIDE));
    assert_eq!(status.last_aside, Some(aside(MOST_ASIDE + 6)));
    assert!(status.oldest.is_some_and(|oldest| oldest <= Timestamp::now()));
    assert_eq!(outbox::purge(&plan).unwrap(), (3, MOST_ASIDE as u64));
    assert_eq!(outbox::status(&plan.path).unwrap(), None);
    assert_eq!(outbox::probe(&plan.path).unwrap(), format!("{} will be made", plan.path.display()));
    let outbox = Outbox::open(plan).await.unwrap();
    outbox.push(parcel(3)).await.unwrap();
    assert_eq!(numbers(&outbox).await, [3]);
}

#[tokio::test]
async fn what_is_set_aside_never_crowds_out_what_can_be_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let mut plan = plan(directory.path());
    plan.max_bytes = Size::from_mib(1);
    let outbox = Outbox::open(plan.clone()).await.unwrap();
    let time = Timestamp::constant(1_781_953_323, 0);
    let aside = |number: usize| Aside {
        time,
        item: format!("item {number} {}", "x".repeat(3_000)),
        reason: "400: no".to_owned(),
    };
    let through = Ticket::default();
    outbox.settle(through, (0..MOST_ASIDE).map(aside).collect()).await.unwrap();
    for number in 0..100 {
        outbox.push(parcel(number)).await.unwrap();
    }
    assert_eq!((outbox.waiting(), outbox.dropped()), (300, 0));
    outbox.close().await.unwrap();
    let status = outbox::status(&plan.path).unwrap().unwrap();
    assert!((40..45).contains(&status.set_aside), "an eighth of the room: {}", status.set_aside);
    assert_eq!(status.last_aside, Some(aside(MOST_ASIDE - 1)));
}
