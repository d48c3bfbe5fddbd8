//! Requests to a server that is there, and their cost.

use std::sync::Arc;
use std::time::Duration;

use energi_decoders::Reading;
use energi_sinks::Backpressure;
use energi_sinks::settings::Secret;

use super::place::{Place, arrives, readings, set};
use support::fake_server::{FakeServer, Mood};
use support::readings::Device;

#[tokio::test]
async fn points_go_to_the_server_without_touching_the_disk() {
    let server = FakeServer::start(Mood::Takes(204));
    let mut place = Place::new(server.url());
    place.config.token = Some(Secret::from("hunter2".to_owned()));
    let readings = readings(5_000);
    let mut sink = place.open().await;
    let written = || {
        let length = |name| std::fs::metadata(place.directory.path().join(name)).unwrap().len();
        (length("influxdb.queue.db"), length("influxdb.queue.db-wal"))
    };
    let before = written();
    for batch in readings.chunks(500) {
        sink.write(batch).await.unwrap();
    }
    assert_eq!(written(), before);
    sink.close().await.unwrap();
    assert_eq!(set(server.taken()), place.lines(&readings));

    let requests = server.requests();
    assert_eq!(requests.iter().map(|request| request.points).collect::<Vec<_>>(), [500; 10]);
    let request = &requests[0];
    assert_eq!(request.target, "/api/v2/write?bucket=energy&org=home&precision=us");
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    assert_eq!(header("authorization"), Some("Token hunter2"));
    assert_eq!(header("content-encoding"), Some("gzip"));
    assert_eq!(header("content-type"), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn a_slow_server_gets_each_point_once() {
    let server = FakeServer::start(Mood::Slow(Duration::from_millis(700)));
    let mut place = Place::new(server.url());
    place.config.timeout = energi_sinks::settings::Period::from_secs(10);
    let readings = readings(2_000);
    let mut sink = place.open().await;
    for batch in readings.chunks(500) {
        sink.write(batch).await.unwrap();
    }
    Place::close(&mut *sink).await;
    assert_eq!(set(server.taken()), place.lines(&readings));
    assert!(server.taken().len() <= 2_500, "{}", server.taken().len());
}

#[tokio::test]
async fn readings_without_a_place_in_time_are_passed_over() {
    let server = FakeServer::start(Mood::Takes(204));
    let mut place = Place::new(server.url());
    let mut batch = readings(3);
    let mut timeless = Reading::clone(&batch[0]);
    timeless.time = None;
    batch.push(Arc::new(timeless));
    let mut sink = place.open().await;
    assert_eq!(sink.write(&batch).await.unwrap().skipped, 1);
    sink.close().await.unwrap();
    assert_eq!(server.taken().len(), 3);

    // A live clock that says less than the release's day is wrong; a recording's may.
    let early = [Device::default().powers("2020-01-01T00:00:00Z".parse().unwrap(), 1, 2, 3)];
    for (live, skipped) in [(true, 1), (false, 0)] {
        place.live = live;
        let mut sink = place.open().await;
        assert_eq!(sink.write(&early).await.unwrap().skipped, skipped);
        sink.close().await.unwrap();
    }
    assert_eq!(server.taken().len(), 4);
}

#[tokio::test]
async fn the_next_run_sends_what_a_live_gateway_stored() {
    let server = FakeServer::start(Mood::Refuses(503, "unavailable"));
    let mut place = Place::new(server.url());
    place.backpressure = Backpressure::DropOldest;
    let readings = readings(1_500);
    let (before, after) = readings.split_at(1_000);
    let mut sink = place.open().await;
    for batch in before.chunks(500) {
        sink.write(batch).await.unwrap();
    }
    sink.close().await.unwrap();
    assert_eq!((place.status().waiting, place.status().holder), (1_000, None));

    server.mood(Mood::Takes(204));
    let mut sink = place.open().await;
    // Without a reading, by itself.
    arrives(&server, 1_000).await;
    sink.write(after).await.unwrap();
    arrives(&server, 1_500).await;
    sink.close().await.unwrap();
    let lines: Vec<_> = server.taken();
    assert_eq!(set(lines.clone()), place.lines(&readings));
    let times: Vec<_> = lines.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert!(times.is_sorted(), "the oldest first, and fresh points behind them");
}
