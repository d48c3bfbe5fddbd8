//! Whatever a server answers, in the end it has every point that it can read.

use std::time::Duration;

use energi_sinks::settings::Secret;
use energi_sinks::{SinkConfig, SinkError};

use super::place::{Place, readings, set};
use support::fake_server::{FakeServer, Mood};

const BATCH: usize = 500;

/// Writes three batches, one of them in the mood.
async fn through(mood: Mood, restart: bool) -> (Place, FakeServer) {
    let fake = FakeServer::start(Mood::Takes(204));
    let place = Place::new(fake.url());
    let readings = readings(3 * BATCH);
    let mut sink = place.open().await;
    for (number, batch) in readings.chunks(BATCH).enumerate() {
        if number == 1 {
            fake.mood(mood.clone());
        }
        sink.write(batch).await.unwrap();
    }
    assert!(
        matches!(sink.close().await, Err(SinkError::Transient { message: said, .. }) if said.contains("1000 points wait"))
    );
    if restart {
        drop(sink);
        sink = place.open().await;
    }
    fake.mood(Mood::Takes(204));
    Place::close(&mut *sink).await;
    assert_eq!(set(fake.taken()), place.lines(&readings), "{mood:?}");
    assert_eq!(place.status().waiting, 0, "{mood:?}");
    (place, fake)
}

#[tokio::test]
async fn every_point_arrives_whatever_the_server_answers() {
    for mood in [
        Mood::Refuses(503, "unavailable"),
        Mood::Refuses(500, "internal error"),
        Mood::Refuses(429, "slow down"),
        Mood::Refuses(401, "unauthorized access"),
        Mood::Refuses(403, "insufficient permissions"),
        Mood::Refuses(404, "bucket energy not found"),
        Mood::Refuses(302, "elsewhere"),
        Mood::Refuses(418, "a teapot"),
        Mood::Refuses(415, "unsupported media type"),
        Mood::ShowsPage("<!DOCTYPE html><title>Please log in</title>"),
        Mood::Hangs,
        Mood::Dies,
        Mood::TakesAndDies,
    ] {
        through(mood.clone(), false).await;
        through(mood, true).await;
    }
}

#[tokio::test]
async fn any_2xx_is_a_success() {
    for status in [200, 202, 204] {
        let fake = FakeServer::start(Mood::Takes(status));
        let place = Place::new(fake.url());
        let readings = readings(BATCH);
        let mut sink = place.open().await;
        sink.write(&readings).await.unwrap();
        sink.close().await.unwrap();
        assert_eq!(fake.taken().len(), BATCH, "once");
    }
}

#[tokio::test]
async fn only_an_invalid_point_becomes_a_dead_letter() {
    let readings = readings(2 * BATCH);
    let fake = FakeServer::start(Mood::Takes(204));
    let place = Place::new(fake.url());
    let all = place.lines(&readings);
    let poison = all.iter().nth(321).unwrap();
    fake.mood(Mood::CannotRead(poison.rsplit(' ').next().unwrap().to_owned()));
    let mut sink = place.open().await;
    for batch in readings.chunks(BATCH) {
        sink.write(batch).await.unwrap();
    }
    sink.close().await.unwrap();
    let mut taken = set(fake.taken());
    taken.insert(poison.clone());
    assert_eq!(taken, all);
    assert_eq!(sink.queue_stats().rejected, 1);
    // Twice down a binary tree of 500, where the batch was tried straight before.
    assert!(fake.requests().len() < 30, "{}", fake.requests().len());
    let status = place.status();
    let aside = status.last_dead_letter.unwrap();
    assert_eq!((status.waiting, status.dead_letters, &aside.item), (0, 1, poison));
    assert!(aside.reason.contains("400: unable to parse"), "{aside:?}");
}

#[tokio::test]
async fn an_overloaded_server_finds_an_invalid_point() {
    let readings = readings(BATCH);
    let fake = FakeServer::start(Mood::Refuses(503, "unavailable"));
    let place = Place::new(fake.url());
    let mut all = place.lines(&readings);
    let mut sink = place.open().await;
    sink.write(&readings).await.unwrap();
    let poison = all.iter().nth(321).unwrap().clone();
    fake.mood(Mood::CannotReadAndIsBusy(poison.rsplit(' ').next().unwrap().to_owned()));
    Place::close(&mut *sink).await;
    all.remove(&poison);
    let taken = fake.taken();
    assert_eq!(taken.len(), all.len(), "each point once");
    assert_eq!(set(taken), all);
    assert_eq!((place.status().dead_letters, place.status().waiting), (1, 0));
}

#[tokio::test]
async fn a_server_that_closes_connections_has_every_point() {
    let fake = FakeServer::start(Mood::TakesAndCloses);
    let place = Place::new(fake.url());
    let readings = readings(20 * 50);
    let mut sink = place.open().await;
    for batch in readings.chunks(50) {
        sink.write(batch).await.unwrap();
    }
    Place::close(&mut *sink).await;
    assert_eq!(set(fake.taken()), place.lines(&readings));
}

#[tokio::test]
async fn a_server_that_can_read_nothing_costs_no_point() {
    // A proxy, say, or one that expects encryption.
    for mood in [
        Mood::Refuses(400, "Client sent an HTTP request to an HTTPS server."),
        Mood::TakesAtMost(0),
    ] {
        let fake = FakeServer::start(mood);
        let place = Place::new(fake.url());
        let readings = readings(2 * BATCH);
        let mut sink = place.open().await;
        for batch in readings.chunks(BATCH) {
            sink.write(batch).await.unwrap();
        }
        let Err(SinkError::Transient { message: said, .. }) = sink.close().await else {
            panic!("it is still there")
        };
        assert!(said.contains("no item"), "{said}");
        assert_eq!((place.status().waiting, place.status().dead_letters), (1000, 0));
        fake.mood(Mood::Takes(204));
        Place::close(&mut *sink).await;
        assert_eq!(set(fake.taken()), place.lines(&readings));
    }
}

#[tokio::test]
async fn a_batch_that_is_too_large_goes_in_parts() {
    let fake = FakeServer::start(Mood::TakesAtMost(100));
    let place = Place::new(fake.url());
    let readings = readings(2 * BATCH);
    let mut sink = place.open().await;
    for batch in readings.chunks(BATCH) {
        sink.write(batch).await.unwrap();
    }
    sink.close().await.unwrap();
    assert_eq!(set(fake.taken()), place.lines(&readings));
    assert_eq!((place.status().dead_letters, sink.queue_stats().rejected), (0, 0));
}

#[tokio::test]
async fn what_a_server_leaves_out_is_not_sent_again() {
    let readings = readings(BATCH);
    let fake = FakeServer::start(Mood::Takes(204));
    let place = Place::new(fake.url());
    let all: Vec<_> = place.lines(&readings).into_iter().collect();
    fake.mood(Mood::LeavesOut(all[7].rsplit(' ').next().unwrap().to_owned()));
    let mut sink = place.open().await;
    sink.write(&readings).await.unwrap();
    sink.close().await.unwrap();
    assert_eq!(set(fake.taken()).len(), BATCH - 1);
    assert_eq!((sink.queue_stats().rejected, place.status().dead_letters), (1, 0));
    assert_eq!(fake.requests().len(), 1, "neither queued nor sent again");
}

#[tokio::test]
async fn a_partial_write_of_an_influxdb_1_is_not_sent_again() {
    let readings = readings(BATCH);
    let words = "partial write: field type conflict dropped=3";
    let fake = FakeServer::start(Mood::Refuses(400, words));
    let place = Place::new(fake.url());
    let mut sink = place.open().await;
    sink.write(&readings).await.unwrap();
    Place::close(&mut *sink).await;
    assert_eq!((sink.queue_stats().rejected, place.status().dead_letters), (3, 0));
    assert_eq!(place.status().waiting, 0);
}

#[tokio::test]
async fn invalid_points_never_block_those_behind_them() {
    // All of the first hundred seconds, which are several batches and queued before any other.
    let poison = " 17689032";
    for mood in [Mood::CannotRead(poison.to_owned()), Mood::CannotReadNorAsks(poison.to_owned())] {
        let readings = readings(200);
        let fake = FakeServer::start(Mood::Refuses(503, "unavailable"));
        let mut place = Place::new(fake.url());
        place.config.batch_size = 10;
        let mut sink = place.open().await;
        for batch in readings.chunks(10) {
            sink.write(batch).await.unwrap();
        }
        fake.mood(mood);
        Place::close(&mut *sink).await;
        let (bad, good): (Vec<_>, Vec<_>) =
            place.lines(&readings).into_iter().partition(|line| line.contains(poison));
        assert!(bad.len() > 20, "{}", bad.len());
        assert_eq!(set(fake.taken()), set(good));
        assert_eq!(u64::from(place.status().dead_letters), bad.len() as u64);
    }
}

#[tokio::test]
async fn a_missing_token_file_costs_no_point() {
    let fake = FakeServer::start(Mood::Wants("new"));
    let mut place = Place::new(fake.url());
    let file = place.directory.path().join("token");
    place.config.token_file = Some(file.clone());
    let readings = readings(BATCH);
    let said = place.config.probe(&place.context()).await.unwrap_err().to_string();
    assert!(said.contains("token_file"), "{said}");
    let mut sink = place.open().await;
    sink.write(&readings).await.unwrap();
    assert_eq!(sink.queue_stats().waiting, 500);
    let Err(SinkError::Transient { message: said, .. }) = sink.close().await else {
        panic!("there is no token")
    };
    assert!(said.contains("token_file") && said.contains("500 points wait"), "{said}");
    std::fs::write(&file, "new\n").unwrap();
    Place::close(&mut *sink).await;
    assert_eq!(set(fake.taken()), place.lines(&readings));
}

#[tokio::test]
async fn a_token_that_is_renewed_in_its_file_is_found() {
    let fake = FakeServer::start(Mood::Wants("new"));
    let mut place = Place::new(fake.url());
    let file = place.directory.path().join("token");
    std::fs::write(&file, "old\n").unwrap();
    place.config.token_file = Some(file.clone());
    let readings = readings(BATCH);
    let mut sink = place.open().await;
    sink.write(&readings).await.unwrap();
    let Err(SinkError::Transient { message: said, .. }) = sink.close().await else {
        panic!("the token is wrong")
    };
    assert!(said.contains("token is wrong") && !said.contains("old"), "{said}");
    std::fs::write(&file, "new\n").unwrap();
    Place::close(&mut *sink).await;
    assert_eq!(set(fake.taken()), place.lines(&readings));
    place.config.token = Some(Secret::from("new".to_owned()));
    assert!(!format!("{:?}", place.config).contains("new"));
}

#[tokio::test]
async fn a_server_that_hangs_delays_a_write_by_a_second() {
    let fake = FakeServer::start(Mood::Takes(204));
    let place = Place::new(fake.url());
    let readings = readings(3 * BATCH);
    let mut sink = place.open().await;
    fake.mood(Mood::Hangs);
    let mut slowest = Duration::ZERO;
    for batch in readings.chunks(BATCH) {
        let begun = std::time::Instant::now();
        sink.write(batch).await.unwrap();
        slowest = slowest.max(begun.elapsed());
    }
    assert_eq!((sink.queue_stats().waiting, place.status().waiting), (1500, 1500));
    // A busy machine's second.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    drop(sink);
}

#[tokio::test]
async fn a_full_disk_costs_no_point() {
    let fake = FakeServer::start(Mood::Refuses(503, "unavailable"));
    let mut place = Place::new(fake.url());
    let disk = place.directory.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = std::process::Command::new(program).args(arguments).arg(&disk).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !run("mount", &["-t", "tmpfs", "-o", "size=512k", "tmpfs"]) {
        return support::skip::skip("only root can mount a small disk");
    }
    place.config.queue.path = disk.join("influxdb.queue.db");
    let readings = readings(8_000);
    let mut sink = place.open().await;
    let mut full = 0;
    for batch in readings.chunks(BATCH) {
        while let Err(error) = sink.write(batch).await {
            assert!(
                matches!(&error, SinkError::Transient { message: said, .. } if said.contains("make room")),
                "{error:?}"
            );
            full += 1;
            // With the server back, the batch that found no place goes to it past the queue.
            fake.mood(Mood::Takes(204));
        }
    }
    assert_eq!(full, 1);
    Place::close(&mut *sink).await;
    drop(sink);
    assert_eq!(set(fake.taken()), place.lines(&readings));
    assert!(run("umount", &[]));
}
