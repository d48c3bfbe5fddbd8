//! Whether the gateway and each device are there.

use energi_sinks::Backpressure;
use serde_json::json;

use super::household::{SERIAL, hears, open, powers, powers_of, topic};
use support::mosquitto::{Mosquitto, retained};

const BRIDGE: &str = "myenergi/bridge/state";

#[tokio::test]
async fn who_asks_later_is_told_by_the_broker_who_is_there() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::DropOldest, &json!({})).await;
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    hears(&listener, &topic("availability"), "online").await;
    hears(&listener, BRIDGE, "online").await;
    let kept = |payload: &str| {
        let mut kept: Vec<_> = retained(&broker, "myenergi")
            .into_iter()
            .map(|it| (it.topic, it.payload == payload))
            .collect();
        kept.sort();
        kept
    };
    let all = vec![(topic("availability"), true), (BRIDGE.to_owned(), true)];
    assert_eq!(kept("online"), all, "and no value");
    sink.close().await.unwrap();
    hears(&listener, BRIDGE, "offline").await;
    assert_eq!(kept("offline"), all);
}

#[tokio::test]
async fn the_broker_says_offline_for_a_gateway_that_died() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let sink = open(&broker, Backpressure::DropOldest, &json!({})).await;
    hears(&listener, BRIDGE, "online").await;
    drop(sink);
    hears(&listener, BRIDGE, "offline").await;
}

#[tokio::test]
async fn the_will_of_a_connection_that_is_long_gone_is_contradicted() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::DropOldest, &json!({})).await;
    hears(&listener, BRIDGE, "online").await;
    listener.publish(BRIDGE, "offline", true);
    hears(&listener, BRIDGE, "online").await;
    sink.close().await.unwrap();
    hears(&listener, BRIDGE, "offline").await;
}

#[tokio::test]
async fn a_device_that_falls_silent_is_offline_until_it_is_heard_again() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink =
        open(&broker, Backpressure::DropOldest, &json!({"device_timeout": "500ms"})).await;
    hears(&listener, BRIDGE, "online").await;
    sink.write(&[powers(0, [1, 2, 3]), powers(1, [2, 2, 3])]).await.unwrap();
    hears(&listener, &topic("availability"), "online").await;
    hears(&listener, &topic("availability"), "offline").await;
    assert_eq!(listener.of(&topic("grid_pwr")), ["1", "2"], "what was held back came before");
    sink.write(&[powers(2, [3, 2, 3])]).await.unwrap();
    hears(&listener, &topic("availability"), "online").await;
    assert_eq!(*listener.of(BRIDGE).last().unwrap(), "online");
    sink.close().await.unwrap();
}

#[tokio::test]
async fn in_a_recording_a_device_is_lost_by_the_time_of_the_others() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::Wait, &json!({})).await;
    let batch = [
        powers_of(1, 0, [0; 3]),
        powers_of(2, 1, [0; 3]),
        // A pause of everything is none of a device.
        powers_of(1, 1000, [0; 3]),
        powers_of(2, 1001, [0; 3]),
        powers_of(2, 1119, [0; 3]),
        powers_of(2, 1120, [0; 3]),
    ];
    sink.write(&batch).await.unwrap();
    sink.close().await.unwrap();
    listener.wait_for(BRIDGE, "offline");
    let availability = |serial: u32| listener.of(&format!("myenergi/{serial}/availability"));
    assert_eq!(availability(2), ["online", "offline", "online", "offline"]);
    assert_eq!(availability(1), ["online", "offline"]);
    assert_eq!(listener.of(&topic("availability")), [""; 0], "{SERIAL} was not heard");
}
