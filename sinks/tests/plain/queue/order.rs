//! Batches come out as they were put in, in their order, none once it is settled, and never more
//! than may be.

use energi_sinks::SinkError;
use energi_sinks::queue::{self, DeadLetter, DiskQueue, MOST_DEAD_LETTERS, Payload, QueuePosition};
use energi_sinks::settings::Size;
use jiff::Timestamp;

use super::{batch, numbers, options};

#[tokio::test]
async fn the_oldest_come_first_until_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let queue = DiskQueue::open(options(directory.path())).await.unwrap();
    assert_eq!(queue.oldest(QueuePosition::default(), 10).await.unwrap(), None);
    for number in 0..5 {
        queue.push(batch(number)).await.unwrap();
    }
    assert_eq!(queue.waiting(), 15);
    for (most, items) in [(0, 3), (3, 3), (5, 3), (6, 6), (100, 15)] {
        let oldest = queue.oldest(QueuePosition::default(), most).await.unwrap().unwrap();
        assert_eq!((oldest.payload.items, oldest.payload.text().lines().count()), (items, items));
    }
    let first = queue.oldest(QueuePosition::default(), 6).await.unwrap().unwrap();
    queue.ack(first.through, Vec::new()).await.unwrap();
    assert_eq!((queue.waiting(), numbers(&queue).await), (9, vec![2, 3, 4]));
    queue.ack(first.through, Vec::new()).await.unwrap();
    assert_eq!(queue.waiting(), 9, "what is settled is settled");

    queue.close().await.unwrap();
    assert!(matches!(queue.push(batch(5)).await, Err(SinkError::Permanent(_))));
    let queue = DiskQueue::open(options(directory.path())).await.unwrap();
    assert_eq!((queue.waiting(), numbers(&queue).await), (9, vec![2, 3, 4]));
    let all = queue.oldest(QueuePosition::default(), 100).await.unwrap().unwrap();
    queue.ack(all.through, Vec::new()).await.unwrap();
    queue.push(batch(6)).await.unwrap();
    let next = queue.oldest(all.through, 1).await.unwrap().unwrap();
    assert_eq!(next.payload, batch(6), "no place is given twice");
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path());
    options.max_bytes = Size::from_mib(1);
    let queue = DiskQueue::open(options.clone()).await.unwrap();
    let large = |number: usize| {
        let text = format!("item {number} {}\n", "x".repeat(996)).repeat(50);
        Payload { data: text.into_bytes(), items: 50 }
    };
    for number in 0..100 {
        queue.push(large(number)).await.unwrap();
        let size = std::fs::metadata(&options.path).unwrap().len();
        assert!(size <= (1 << 20) + 128 * 1024, "{size}");
    }
    let left = numbers(&queue).await;
    assert!((15..=20).contains(&left.len()), "{left:?}");
    assert_eq!(left, (100 - left.len()..100).collect::<Vec<_>>());
    assert_eq!(queue.waiting(), 50 * left.len() as u64);
    assert_eq!(queue.dropped(), 5_000 - queue.waiting());
    queue.ack(QueuePosition::default(), Vec::new()).await.unwrap();
    let all = queue.oldest(QueuePosition::default(), 10_000).await.unwrap().unwrap();
    queue.ack(all.through, Vec::new()).await.unwrap();
    queue.close().await.unwrap();
    let size = std::fs::metadata(&options.path).unwrap().len();
    assert!(size < 128 * 1024, "the space is given back: {size}");
}

#[tokio::test]
async fn what_no_destination_takes_is_kept_with_its_words() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    assert_eq!(queue::status(&options.path).unwrap(), None);
    let queue = DiskQueue::open(options.clone()).await.unwrap();
    queue.push(batch(1)).await.unwrap();
    queue.push(batch(2)).await.unwrap();
    let time = Timestamp::constant(1_781_953_323, 0);
    let dead_letter = |number: usize| DeadLetter {
        time,
        item: format!("item {number}"),
        reason: "400: no".to_owned(),
    };
    let first = queue.oldest(QueuePosition::default(), 1).await.unwrap().unwrap();
    queue.ack(first.through, (0..MOST_DEAD_LETTERS + 7).map(dead_letter).collect()).await.unwrap();
    queue.close().await.unwrap();

    let status = queue::status(&options.path).unwrap().unwrap();
    assert_eq!((status.waiting, status.dead_letters as usize), (3, MOST_DEAD_LETTERS));
    assert_eq!(status.last_dead_letter, Some(dead_letter(MOST_DEAD_LETTERS + 6)));
    assert!(status.oldest.is_some_and(|oldest| oldest <= Timestamp::now()));
    assert_eq!(queue::purge(&options).unwrap(), (3, MOST_DEAD_LETTERS as u64));
    assert_eq!(queue::status(&options.path).unwrap(), None);
    let said = queue::probe(&options.path).await.unwrap();
    assert!(said.starts_with(options.path.to_str().unwrap()) && said.contains("created"), "{said}");
    let queue = DiskQueue::open(options).await.unwrap();
    queue.push(batch(3)).await.unwrap();
    assert_eq!(numbers(&queue).await, [3]);
}

#[tokio::test]
async fn dead_letters_never_crowd_out_what_can_be_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path());
    options.max_bytes = Size::from_mib(1);
    let queue = DiskQueue::open(options.clone()).await.unwrap();
    let time = Timestamp::constant(1_781_953_323, 0);
    let dead_letter = |number: usize| DeadLetter {
        time,
        item: format!("item {number} {}", "x".repeat(3_000)),
        reason: "400: no".to_owned(),
    };
    let through = QueuePosition::default();
    queue.ack(through, (0..MOST_DEAD_LETTERS).map(dead_letter).collect()).await.unwrap();
    for number in 0..100 {
        queue.push(batch(number)).await.unwrap();
    }
    assert_eq!((queue.waiting(), queue.dropped()), (300, 0));
    queue.close().await.unwrap();
    let status = queue::status(&options.path).unwrap().unwrap();
    assert!(
        (40..45).contains(&status.dead_letters),
        "an eighth of the room: {}",
        status.dead_letters
    );
    assert_eq!(status.last_dead_letter, Some(dead_letter(MOST_DEAD_LETTERS - 1)));
}
