//! Removal of what a sink has retained.

use std::collections::BTreeSet;

use energi_sinks::mqtt::clean;
use serde_json::json;

use super::household::{config, eventually};
use support::mosquitto::{Mosquitto, retained};

#[tokio::test]
async fn a_fleet_is_cleaned() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    // Far more names than the broker is asked for together.
    let devices: BTreeSet<u32> = (1..=40).collect();
    let topics: BTreeSet<_> =
        devices.iter().map(|serial| format!("myenergi/{serial}/availability")).collect();
    for topic in &topics {
        listener.publish(topic, "offline", true);
    }
    eventually("all are kept", || listener.heard().len() == topics.len()).await;
    let report = clean(&config(&broker, &json!({})), &devices).await.unwrap();
    assert_eq!(report.topics, topics);
    assert!(report.refused.is_empty() && !report.no_wildcards && !report.running, "{report:?}");
    assert_eq!(retained(&broker, "myenergi"), []);
}
