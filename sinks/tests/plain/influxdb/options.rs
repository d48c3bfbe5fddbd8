//! Options for servers that differ, and what a log holds of points that are rejected.

use energi_sinks::Backpressure;
use energi_sinks::influxdb::ProxyConfig;
use support::fake_server::{FakeServer, Mood};
use support::logs::Logs;

use super::place::{Place, readings, set};

#[tokio::test]
async fn a_server_may_ask_for_a_name_with_a_password() {
    let fake = FakeServer::start(Mood::Takes(204));
    let mut place = Place::new(fake.url());
    let file = place.directory.path().join("password");
    std::fs::write(&file, "\u{feff}secret\r\n").unwrap();
    place.config.username = Some("energi".to_owned());
    place.config.password_file = Some(file);
    let readings = readings(10);
    let mut sink = place.open().await;
    sink.write(&readings).await.unwrap();
    sink.close().await.unwrap();
    assert_eq!(set(fake.taken()), place.lines(&readings));
    let headers = &fake.requests()[0].headers;
    // What `printf energi:secret | base64` says.
    assert_eq!(headers["authorization"], "Basic ZW5lcmdpOnNlY3JldA==");

    fake.mood(Mood::Refuses(401, "unauthorized"));
    let mut sink = place.open().await;
    sink.write(&readings).await.unwrap();
    let said = sink.close().await.unwrap_err().to_string();
    assert!(said.contains("`username`") && said.contains("`password`"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[tokio::test]
async fn points_go_uncompressed_where_that_is_configured() {
    let fake = FakeServer::start(Mood::Takes(204));
    let mut place = Place::new(fake.url());
    place.config.gzip = false;
    let readings = readings(10);
    let mut sink = place.open().await;
    sink.write(&readings).await.unwrap();
    sink.close().await.unwrap();
    assert_eq!(set(fake.taken()), place.lines(&readings));
    assert_eq!(fake.requests()[0].headers.get("content-encoding"), None);
}

#[tokio::test]
async fn a_proxy_is_used_where_one_is_configured() {
    let proxy = FakeServer::start(Mood::Takes(204));
    let mut place = Place::new("http://influx.invalid:8086".to_owned());
    place.config.proxy = ProxyConfig::Address(proxy.url());
    let readings = readings(10);
    let mut sink = place.open().await;
    sink.write(&readings).await.unwrap();
    sink.close().await.unwrap();
    assert_eq!(set(proxy.taken()), place.lines(&readings));
    let target = &proxy.requests()[0].target;
    assert!(target.starts_with("http://influx.invalid:8086/api/v2/write?"), "{target}");
}

#[tokio::test]
async fn the_error_of_a_proxy_names_the_proxy() {
    let proxy = FakeServer::start(Mood::Refuses(407, "who are you"));
    let mut place = Place::new("http://influx.invalid:8086".to_owned());
    place.config.proxy = ProxyConfig::Address(proxy.url());
    let mut sink = place.open().await;
    sink.write(&readings(10)).await.unwrap();
    let said = sink.close().await.unwrap_err().to_string();
    assert!(said.contains(&proxy.url()), "{said}");
}

#[tokio::test]
async fn repeated_rejections_are_logged_once() {
    let all = Mood::LeavesOut("myenergi".to_owned());
    let invalid = Mood::CannotRead("diverted_kWh".to_owned());
    for mood in [all, invalid] {
        let logs = Logs::capture();
        let fake = FakeServer::start(Mood::Takes(204));
        let mut place = Place::new(fake.url());
        place.backpressure = Backpressure::Wait;
        let readings = readings(500);
        let mut sink = place.open().await;
        sink.write(&readings[..1]).await.unwrap();
        fake.mood(mood.clone());
        for batch in readings.chunks(25) {
            sink.write(batch).await.unwrap();
        }
        Place::close(&mut *sink).await;
        let rejected = sink.queue_stats().rejected;
        assert!(rejected > 20, "{rejected}");
        let warnings: Vec<_> =
            logs.lines().into_iter().filter(|line| line.contains("WARN")).collect();
        // The first one with the server's words, and in the end the number of the others.
        assert_eq!(warnings.len(), 2, "{mood:?}: {warnings:?}");
        assert!(warnings[0].contains("reason=\"4"), "{warnings:?}");
    }
}
