//! Availability of the gateway and of each device, and what others say about it.

use energi_sinks::Backpressure;
use serde_json::json;

use super::household::{SERIAL, eventually, hears, open, powers, powers_of, topic};
use support::logs::Logs;
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
async fn the_will_of_an_old_connection_is_contradicted() {
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
async fn a_device_that_is_received_is_online() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::DropOldest, &json!({"discovery": true})).await;
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    let device = format!("homeassistant/device/energi_{SERIAL}/config");
    eventually("it is announced", || !listener.of(&device).is_empty()).await;
    // Another gateway says goodbye, and somebody cleans up.
    listener.forget();
    listener.publish(&topic("availability"), "offline", true);
    listener.publish(BRIDGE, "offline", true);
    hears(&listener, &topic("availability"), "online").await;
    hears(&listener, BRIDGE, "online").await;
    for topic in [&device, &topic("availability")] {
        listener.publish(topic, "", true);
    }
    eventually("it is announced again", || {
        listener.of(&device).last().is_some_and(|payload| !payload.is_empty())
    })
    .await;
    // The second time within a minute it is left alone, but for Home Assistant's question.
    assert_eq!(listener.of(&topic("availability")), ["offline", "online", ""]);
    listener.publish("homeassistant/status", "online", false);
    hears(&listener, &topic("availability"), "online").await;
    sink.close().await.unwrap();
}

#[tokio::test]
async fn two_gateways_with_different_options_do_not_fight() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let device = format!("homeassistant/device/energi_{SERIAL}/config");
    let logs = Logs::capture();
    let options = [json!({"discovery": true}), json!({"discovery": true, "heartbeat": "5m"})];
    let mut one = open(&broker, Backpressure::DropOldest, &options[0]).await;
    let mut other = open(&broker, Backpressure::DropOldest, &options[1]).await;
    one.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    other.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    eventually("both have announced", || {
        let mut announced = listener.of(&device);
        announced.sort();
        announced.dedup();
        announced.len() == 2
    })
    .await;
    let before = listener.of(&device).len();
    one.close().await.unwrap();
    hears(&listener, &topic("availability"), "online").await;
    hears(&listener, BRIDGE, "online").await;
    // Each has announced once, and nobody has answered an announcement with another one.
    assert!(before <= 3 && listener.of(&device).len() == before, "{:#?}", listener.heard());
    assert!(logs.lines().iter().all(|line| !line.contains("another gateway")));
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_silent_device_is_a_problem_where_configured() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let more = json!({"device_timeout": "500ms", "problems": true});
    let mut sink = open(&broker, Backpressure::DropOldest, &more).await;
    hears(&listener, BRIDGE, "online").await;
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    hears(&listener, &topic("problem/silent"), "0").await;
    hears(&listener, &topic("problem/silent"), "1").await;
    sink.write(&[powers(2, [3, 2, 3])]).await.unwrap();
    hears(&listener, &topic("problem/silent"), "0").await;
    sink.close().await.unwrap();
}

#[tokio::test]
async fn a_silent_device_is_offline() {
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
async fn in_a_replay_a_device_is_lost_by_reading_time() {
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

#[tokio::test]
async fn in_a_replay_a_device_with_a_slow_clock_is_not_lost() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::Wait, &json!({})).await;
    // The clock of one is five minutes behind that of the other.
    let batch: Vec<_> = (0..20)
        .flat_map(|t| [powers_of(2, 300 + t * 10, [0; 3]), powers_of(1, t * 10, [0; 3])])
        .collect();
    sink.write(&batch).await.unwrap();
    sink.close().await.unwrap();
    listener.wait_for(BRIDGE, "offline");
    for serial in [1, 2] {
        let availability = listener.of(&format!("myenergi/{serial}/availability"));
        assert_eq!(availability, ["online", "offline"], "{serial}");
    }
}
