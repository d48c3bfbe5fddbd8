//! Brokers that go, come back, refuse or do not answer.

use std::net::TcpListener;
use std::time::Duration;

use energi_sinks::{Backpressure, Sink, SinkConfig};
use serde_json::json;

use super::household::{SERIAL, config, context, eventually, hears, open, powers, topic};
use support::gate::Gate;
use support::logs::Logs;
use support::mosquitto::{Mosquitto, retained};

const BRIDGE: &str = "myenergi/bridge/state";

/// Waits until a line was logged.
async fn says(logs: &Logs, words: &str) {
    eventually(words, || logs.lines().iter().any(|line| line.contains(words))).await;
}

fn count(logs: &Logs, words: &str) -> usize {
    logs.lines().iter().filter(|line| line.contains(words)).count()
}

#[tokio::test]
async fn live_an_absent_broker_gets_the_newest_values() {
    let logs = Logs::capture();
    let Some(mut broker) = Mosquitto::stopped("allow_anonymous true\n") else { return };
    let mut sink =
        open(&broker, Backpressure::DropOldest, &json!({"interval": 0, "retain": true})).await;
    for second in 0..1000 {
        let grid = i16::try_from(second).unwrap();
        assert_eq!(sink.write(&[powers(second, [grid, 1, 1])]).await.unwrap().skipped, 1);
    }
    says(&logs, "listens at 127.0.0.1").await;
    broker.run();
    let listener = broker.listen();
    hears(&listener, &topic("grid_pwr"), "999").await;
    assert_eq!(listener.of(&topic("grid_pwr")), ["999"]);
    says(&logs, "connected to 127.0.0.1").await;
    assert_eq!(count(&logs, "no program listens"), 1, "{:#?}", logs.lines());
    sink.close().await.unwrap();
}

#[tokio::test]
async fn live_a_broker_that_returns_gets_everything_again() {
    for persistence in ["persistence false\n", "persistence true\npersistence_location {folder}/\n"]
    {
        let lines = format!("allow_anonymous true\nautosave_interval 1\n{persistence}");
        let Some(mut broker) = Mosquitto::stopped(&lines) else { return };
        broker.run();
        let listener = broker.listen();
        // The listener misses nothing, in whatever order the two connect after the broker returns.
        let mut sink = open(&broker, Backpressure::DropOldest, &json!({"retain": true})).await;
        sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
        hears(&listener, &topic("grid_pwr"), "1").await;

        broker.kill();
        sink.write(&[powers(1, [7, 2, 3])]).await.unwrap();
        broker.run();
        listener.until_subscribed(2);
        hears(&listener, &topic("grid_pwr"), "7").await;
        hears(&listener, BRIDGE, "online").await;
        let kept = retained(&broker, "myenergi");
        let kept = |topic: &str| kept.iter().any(|it| it.topic == topic && it.payload == "online");
        assert!(kept(BRIDGE) && kept(&topic("availability")), "{persistence}");
        sink.write(&[powers(20, [8, 2, 3])]).await.unwrap();
        hears(&listener, &topic("grid_pwr"), "8").await;
        sink.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_corrected_password_works_without_a_restart() {
    let logs = Logs::capture();
    let Some(mut broker) = Mosquitto::stopped("") else { return };
    broker.only_let_in("me", "right");
    broker.run();
    let file = broker.path("password");
    std::fs::write(&file, "wrong\n").unwrap();
    let more = json!({"username": "me", "password_file": file});
    let mut sink = open(&broker, Backpressure::DropOldest, &more).await;
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    says(&logs, "user `me`").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    std::fs::write(&file, "right\n").unwrap();
    says(&logs, "available again").await;
    assert_eq!(count(&logs, "user `me`"), 1, "{:#?}", logs.lines());
    let listener = broker.listen_as("me", "right");
    sink.write(&[powers(20, [5, 2, 3])]).await.unwrap();
    hears(&listener, &topic("grid_pwr"), "5").await;
    sink.close().await.unwrap();
    assert!(!logs.lines().concat().contains("wrong"), "a secret");
}

#[tokio::test]
async fn a_silent_broker_delays_no_sink() {
    let logs = Logs::capture();
    let Some(broker) = Mosquitto::stopped("") else { return };
    let silent = TcpListener::bind(("127.0.0.1", broker.port)).unwrap();
    let limit = json!({"connect_timeout": 1});
    let mut sink = open(&broker, Backpressure::DropOldest, &limit).await;
    let write = sink.write(&[]);
    tokio::time::timeout(Duration::from_secs(1), write).await.unwrap().unwrap();
    says(&logs, "a firewall block").await;
    drop(silent);
    says(&logs, "no program listens").await;
}

#[tokio::test]
async fn a_broker_that_dies_costs_a_replay_nothing() {
    let Some(mut broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let gate = Gate::to(broker.port);
    let more = json!({"url": gate.url(), "interval": 0, "qos": 1, "state": false});
    let mut sink = open(&broker, Backpressure::Wait, &more).await;
    let batch: Vec<_> = (0..10_000).map(|t| powers(t, [i16::try_from(t).unwrap(), 0, 0])).collect();
    let mut write = sink.write(&batch);
    let mut waits = async |time| tokio::time::timeout(time, &mut write).await.is_err();
    assert!(waits(Duration::from_millis(300)).await, "there is no way to the broker");
    gate.open();
    while listener.of(&topic("grid_pwr")).len() < 500 {
        assert!(waits(Duration::from_millis(1)).await, "it is not done yet");
    }
    gate.close();
    // After this the listener has everything that the broker has taken.
    listener.publish("test/so far", "", false);
    hears(&listener, "test/so far", "").await;
    broker.kill();
    assert!(waits(Duration::from_millis(300)).await, "there is no broker");
    broker.run();
    listener.until_subscribed(2);
    gate.open();
    write.await.unwrap();
    hears(&listener, &topic("grid_pwr"), "9999").await;
    let mut heard = listener.of(&topic("grid_pwr"));
    // What was not acknowledged comes again; some of it the dead broker had passed on.
    let times = heard.len();
    heard.sort_by_key(|grid| grid.parse::<i32>().unwrap());
    heard.dedup();
    assert_eq!(heard.len(), 10_000, "of {times}");
    sink.close().await.unwrap();
    hears(&listener, BRIDGE, "offline").await;
}

#[tokio::test]
async fn a_replay_gives_up_what_does_not_pass_by_itself() {
    let Some(mut broker) = Mosquitto::stopped("") else { return };
    broker.only_let_in("me", "right");
    broker.run();
    let wrong = json!({"username": "me", "password": "hunter2"});
    let mut sink = open(&broker, Backpressure::Wait, &wrong).await;
    let error = sink.write(&[powers(0, [1, 2, 3])]).await.unwrap_err();
    assert!(matches!(error, energi_sinks::SinkError::Permanent(_)), "{error}");
    assert!(error.to_string().contains("user `me`"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let probe =
        config(&broker, &wrong).probe(&context(Backpressure::DropOldest)).await.unwrap_err();
    assert!(probe.to_string().contains("user `me`"), "{probe}");
    let right = json!({"username": "me", "password": "right"});
    let probe = config(&broker, &right).probe(&context(Backpressure::DropOldest)).await.unwrap();
    assert!(probe.contains("as `me`"), "{probe}");
}

#[tokio::test]
async fn live_the_end_does_not_wait_for_an_absent_broker() {
    let logs = Logs::capture();
    let Some(broker) = Mosquitto::stopped("") else { return };
    let mut sink: Box<dyn Sink> = open(&broker, Backpressure::DropOldest, &json!({})).await;
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    says(&logs, "no program listens").await;
    tokio::time::timeout(Duration::from_secs(6), sink.close()).await.unwrap().unwrap();
    says(&logs, "not delivered").await;
}

#[tokio::test]
async fn live_a_slow_broker_gets_the_newest_values() {
    let logs = Logs::capture();
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::DropOldest, &json!({"interval": 0})).await;
    hears(&listener, BRIDGE, "online").await;
    // All at once, before the connection can take the first of them.
    let batch: Vec<_> = (0..3000).map(|t| powers(t, [i16::try_from(t).unwrap(), 0, 0])).collect();
    sink.write(&batch).await.unwrap();
    hears(&listener, &topic("grid_pwr"), "2999").await;
    assert!(listener.of(&topic("grid_pwr")).len() < 1000);
    assert_eq!(count(&logs, "newer values replace"), 1, "{:#?}", logs.lines());
    sink.close().await.unwrap();
}

#[tokio::test]
async fn an_unknown_host_delays_no_sink() {
    let logs = Logs::capture();
    let Some(broker) = Mosquitto::stopped("") else { return };
    // No name has a part of more than 63 letters: nobody has to be asked.
    let name = "x".repeat(64);
    let mut sink =
        open(&broker, Backpressure::DropOldest, &json!({"url": format!("mqtt://{name}")})).await;
    let words = format!("`{name}`, cannot be found");
    says(&logs, &words).await;
    assert_eq!(sink.write(&[powers(0, [1, 2, 3])]).await.unwrap().skipped, 1);
    sink.close().await.unwrap();
}

#[tokio::test]
async fn a_connect_says_online_then_devices_then_values() {
    let Some(broker) = Mosquitto::start() else { return };
    let (listener, gate) = (broker.listen(), Gate::to(broker.port));
    let mut sink =
        open(&broker, Backpressure::DropOldest, &json!({"url": gate.url(), "discovery": true}))
            .await;
    let device = format!("homeassistant/device/energi_{SERIAL}/config");
    gate.open();
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    eventually("it is announced", || !listener.of(&device).is_empty()).await;
    for grid in ["7", "8"] {
        gate.close();
        hears(&listener, BRIDGE, "offline").await;
        listener.forget();
        sink.write(&[powers(1, [grid.parse().unwrap(), 2, 3])]).await.unwrap();
        gate.open();
        hears(&listener, &topic("grid_pwr"), grid).await;
        let heard = listener.heard();
        let place = |topic: &str| heard.iter().position(|heard| heard.topic == topic);
        let order = [BRIDGE, &topic("availability"), &device, &topic("grid_pwr")].map(place);
        assert!(order[0].is_some() && order.is_sorted(), "{order:?} {heard:#?}");
    }
    sink.close().await.unwrap();
}

#[tokio::test]
async fn a_broker_gets_the_session_that_is_configured() {
    let Some(mut broker) = Mosquitto::stopped("") else { return };
    broker.configure("allow_anonymous true\nlog_dest file {folder}/log\n");
    broker.run();
    let log = || std::fs::read_to_string(broker.path("log")).unwrap_or_default();
    let given = json!({"client_id": "cellar", "keep_alive": "7s"});
    let (mut one, mut other) = (
        open(&broker, Backpressure::DropOldest, &given).await,
        open(&broker, Backpressure::DropOldest, &json!({})).await,
    );
    // `p2` is Mosquitto's name for MQTT 3.1.1, `c1` a session that ends with the connection.
    eventually("the one has come", || log().contains(" as cellar (p2, c1, k7).")).await;
    eventually("the other has come", || log().contains(" (p2, c1, k30).")).await;
    let log = log();
    let id = log.split(" as energi-").nth(1).unwrap().split(' ').next().unwrap();
    assert!(id.len() == 16 && id.chars().all(|c| c.is_ascii_hexdigit()), "{log}");
    one.close().await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn two_clients_of_one_id_are_told_of_each_other_once() {
    let logs = Logs::capture();
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let twin = json!({"client_id": "twin"});
    let _twins = [
        open(&broker, Backpressure::DropOldest, &twin).await,
        open(&broker, Backpressure::DropOldest, &twin).await,
    ];
    let lost = || listener.of(BRIDGE).iter().filter(|state| *state == "offline").count();
    eventually("each has pushed the other out three times", || lost() >= 6).await;
    assert_eq!(count(&logs, "id `twin`"), 2, "{:#?}", logs.lines());
    assert_eq!(count(&logs, "connected to"), 2, "{:#?}", logs.lines());
}

#[tokio::test]
async fn the_next_broker_is_tried_when_one_is_lost() {
    let (Some(mut one), Some(other)) = (Mosquitto::start(), Mosquitto::start()) else { return };
    let (first, second) = (one.listen(), other.listen());
    let more = json!({"url": [one.url(), other.url()]});
    let mut sink = open(&one, Backpressure::DropOldest, &more).await;
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    hears(&first, &topic("grid_pwr"), "1").await;
    one.kill();
    hears(&second, &topic("availability"), "online").await;
    hears(&second, &topic("grid_pwr"), "1").await;
    sink.close().await.unwrap();
    hears(&second, BRIDGE, "offline").await;
}

#[tokio::test]
async fn a_replay_tries_every_broker_before_it_gives_up() {
    let (Some(mut one), Some(mut other)) = (Mosquitto::stopped(""), Mosquitto::start()) else {
        return;
    };
    one.only_let_in("me", "right");
    one.run();
    let listener = other.listen();
    let more = json!({"url": [one.url(), other.url()]});
    let mut sink = open(&one, Backpressure::Wait, &more).await;
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    sink.close().await.unwrap();
    hears(&listener, &topic("grid_pwr"), "1").await;

    other.kill();
    other.only_let_in("me", "right");
    other.run();
    let mut sink = open(&one, Backpressure::Wait, &more).await;
    let error = sink.write(&[powers(1, [1, 2, 3])]).await.unwrap_err();
    assert!(matches!(error, energi_sinks::SinkError::Permanent(_)), "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{}", other.port)), "{error}");
}
