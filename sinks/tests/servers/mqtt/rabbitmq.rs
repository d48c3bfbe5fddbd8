//! A broker with rules of its own: `RabbitMQ`.

use energi_sinks::mqtt::clean;
use energi_sinks::{Backpressure, SinkConfig};
use serde_json::json;
use support::logs::Logs;
use support::rabbitmq::RabbitMq;

use super::household::{SERIAL, config_at, context, eventually, hears, powers, topic};

const BRIDGE: &str = "myenergi/bridge/state";

#[tokio::test]
async fn rabbitmq_works_without_announcements_or_wildcards() {
    let logs = Logs::capture();
    let Some(broker) = RabbitMq::start("myenergi") else { return };
    let me = json!({"username": "me", "password": "right", "discovery": true});
    let config = config_at(&broker.url(), &me);

    let probe = config.probe(&context(Backpressure::DropOldest)).await.unwrap_err().to_string();
    assert!(probe.contains("homeassistant/") && probe.contains("`me`"), "{probe}");

    let listener = broker.listen();
    let mut sink = config.open(&context(Backpressure::DropOldest)).await.unwrap();
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    eventually("the way out is named", || {
        let words = ["WARN", "homeassistant/device/energi_", "publish to `homeassistant/#`"];
        logs.lines().iter().any(|line| words.iter().all(|word| line.contains(word)))
    })
    .await;
    sink.write(&[powers(20, [7, 2, 3])]).await.unwrap();
    hears(&listener, &topic("grid_pwr"), "7").await;
    hears(&listener, BRIDGE, "online").await;
    sink.close().await.unwrap();
    hears(&listener, BRIDGE, "offline").await;

    // It gives nothing that was retained for a filter with a wildcard.
    let blind = clean(&config, &[].into()).await.unwrap();
    assert_eq!(blind.topics, [BRIDGE.to_owned()].into());
    assert!(blind.no_wildcards);
    let seen = clean(&config, &[SERIAL].into()).await.unwrap();
    assert_eq!(seen.topics, [topic("availability")].into());
    assert_eq!(clean(&config, &[SERIAL].into()).await.unwrap().topics, [].into());

    // A topic that is forbidden altogether is the reason that is given.
    let other = json!({"username": "me", "password": "right", "topic": "other"});
    let other = config_at(&broker.url(), &other);
    let mut sink = other.open(&context(Backpressure::Wait)).await.unwrap();
    let error = sink.write(&[powers(0, [1, 2, 3])]).await.unwrap_err().to_string();
    assert!(error.contains("other/"), "{error}");
}
