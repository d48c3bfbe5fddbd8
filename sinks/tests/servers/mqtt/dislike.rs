//! Brokers that dislike something: its size, its topic, or who sends it.

use std::time::Duration;

use energi_sinks::{Backpressure, SinkConfig};
use serde_json::json;

use super::household::{SERIAL, config, context, eventually, hears, open, powers, topic};
use support::logs::Logs;
use support::mosquitto::Mosquitto;

const BRIDGE: &str = "myenergi/bridge/state";

fn says(logs: &Logs, words: &[&str]) -> bool {
    logs.lines().iter().any(|line| words.iter().all(|word| line.contains(word)))
}

/// A broker that closes the connection on larger packets.
fn narrow(bytes: usize) -> Option<Mosquitto> {
    let mut broker =
        Mosquitto::stopped(&format!("allow_anonymous true\nmax_packet_size {bytes}\n"))?;
    broker.run();
    Some(broker)
}

#[tokio::test]
async fn values_go_on_without_an_announcement_too_large() {
    let logs = Logs::capture();
    let Some(broker) = narrow(4_096) else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::DropOldest, &json!({"discovery": true})).await;
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    let announcement = format!("homeassistant/device/energi_{SERIAL}/config");
    eventually("the way out is named", || {
        says(&logs, &[&announcement, "max_packet_size", "style: components"])
    })
    .await;
    sink.write(&[powers(20, [7, 2, 3])]).await.unwrap();
    hears(&listener, &topic("grid_pwr"), "7").await;
    hears(&listener, BRIDGE, "online").await;
    sink.close().await.unwrap();
}

#[tokio::test]
async fn a_small_limit_takes_single_entities() {
    let logs = Logs::capture();
    let Some(broker) = narrow(1_500) else { return };
    let listener = broker.listen();
    let more = json!({"discovery": {"style": "components"}});
    let mut sink = open(&broker, Backpressure::DropOldest, &more).await;
    sink.write(&[powers(0, [1, 2, 3])]).await.unwrap();
    for id in ["grid_pwr", "diverted_kwh", "status"] {
        let topic = format!("homeassistant/sensor/energi_{SERIAL}/{id}/config");
        eventually(id, || !listener.of(&topic).is_empty()).await;
    }
    assert!(!says(&logs, &["WARN"]), "{:#?}", logs.lines());
    sink.close().await.unwrap();
}

/// A broker that lets `me` do what these lines say, and tells nobody what it denies. Who gives no
/// name may do everything.
fn ruled(rules: &str) -> Option<Mosquitto> {
    let mut broker = Mosquitto::stopped("")?;
    broker.only_let_in("me", "right");
    let rules = format!("topic readwrite #\nuser me\n{rules}\n");
    std::fs::write(broker.path("acl"), rules).unwrap();
    // Without a limit this version of Mosquitto closes the connection of who may not publish.
    broker.configure(
        "allow_anonymous true\npassword_file {folder}/passwords\nacl_file {folder}/acl\n\
         max_queued_messages 1000\n",
    );
    broker.run();
    Some(broker)
}

#[tokio::test]
async fn a_user_who_may_not_publish_is_named() {
    for (rules, may) in [("topic readwrite #", true), ("topic read #", false)] {
        let logs = Logs::capture();
        let Some(broker) = ruled(rules) else { return };
        let me = json!({"username": "me", "password": "right", "discovery": true});
        let probe = config(&broker, &me).probe(&context(Backpressure::DropOldest)).await;
        assert_eq!(probe.is_ok(), may, "{probe:?}");
        if let Err(error) = probe {
            let said = error.to_string();
            assert!(said.contains("`me`") && said.contains("may not publish"), "{said}");
            let mut sink = open(&broker, Backpressure::DropOldest, &me).await;
            eventually("it is said", || says(&logs, &["WARN", BRIDGE, "`me`"])).await;
            sink.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_probe_does_not_report_a_running_gateway_as_offline() {
    let Some(broker) = ruled("topic write #") else { return };
    let listener = broker.listen();
    listener.publish(BRIDGE, "online", true);
    hears(&listener, BRIDGE, "online").await;
    let config = config(&broker, &json!({"username": "me", "password": "right"}));
    let context = context(Backpressure::DropOldest);
    let checks = || listener.of("myenergi/bridge/check").len();
    // One that waits for its message in vain.
    assert!(config.probe(&context).await.is_err());
    assert_eq!(checks(), 1, "no last will follows a goodbye");
    // One that is cancelled; its last will follows its message.
    let cancelled = tokio::time::timeout(Duration::from_secs(1), config.probe(&context)).await;
    assert!(cancelled.is_err(), "{cancelled:?}");
    eventually("the last will is published", || checks() == 3).await;
    assert_eq!(listener.of(BRIDGE), ["online"]);
}

#[tokio::test]
async fn a_subscription_that_the_broker_refuses_is_named() {
    let logs = Logs::capture();
    let Some(mut broker) = Mosquitto::stopped("") else { return };
    let plugins = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];
    let plugin = plugins.iter().map(|folder| format!("{folder}/mosquitto_dynamic_security.so"));
    let Some(plugin) = plugin.into_iter().find(|path| std::path::Path::new(path).exists()) else {
        support::skip::skip("Mosquitto's dynamic security is not installed");
        return;
    };
    let access = json!({
        "publishClientSend": true, "publishClientReceive": true, "subscribe": false, "unsubscribe": true
    });
    let rules = json!({"defaultACLAccess": access, "clients": [], "groups": [], "roles": []});
    std::fs::write(broker.path("rules.json"), rules.to_string()).unwrap();
    broker.configure(&format!(
        "allow_anonymous true\nplugin {plugin}\nplugin_opt_config_file {{folder}}/rules.json\n"
    ));
    broker.run();
    let mut sink = open(&broker, Backpressure::DropOldest, &json!({"discovery": true})).await;
    for topic in [BRIDGE, "homeassistant/status"] {
        eventually(topic, || says(&logs, &["WARN", topic, "subscri"])).await;
    }
    assert!(!says(&logs, &["does not come back"]), "{:#?}", logs.lines());
    let probe = config(&broker, &json!({})).probe(&context(Backpressure::DropOldest)).await;
    assert!(probe.is_err_and(|error| error.to_string().contains("subscri")));
    sink.close().await.unwrap();
}
