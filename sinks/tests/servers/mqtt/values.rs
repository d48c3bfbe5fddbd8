//! Topics, payloads and how often.

use std::sync::Arc;

use energi_decoders::{DecoderTable, Frame};
use energi_sinks::{Backpressure, SinkConfig};
use serde_json::json;

use super::household::{SERIAL, at, config, context, diverter, open, powers, reading, topic};
use support::mosquitto::Mosquitto;

#[tokio::test]
async fn values_have_the_topics_of_mqtt_energi() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::Wait, &json!({"interval": 0})).await;
    sink.write(&[powers(0, [-12, 1543, 1180]), diverter(1, false, true, 1190)]).await.unwrap();
    sink.close().await.unwrap();
    listener.wait_for("myenergi/bridge/state", "offline");
    let one = |last: &str| listener.of(&topic(last));
    for (key, payload) in [
        ("grid_pwr", "-12"),
        ("gen_pwr", "1543"),
        ("frequency", "49.98"),
        ("diverted_kWh", "1.23"),
        ("max_power", "3000"),
        ("divert_cur", "0.0"),
        ("boost", "1"),
        ("stopped", "0"),
        ("heater1", "0"),
        ("status", "Boosting"),
    ] {
        assert_eq!(one(key), [payload], "{key}");
    }
    assert_eq!(one("divert_pwr"), ["1180", "1190"], "from both packets");
    assert_eq!(one("serial"), [SERIAL.to_string(), SERIAL.to_string()]);
    assert_eq!(one("availability"), ["online", "offline"]);
    assert_eq!(listener.of("myenergi/bridge/state"), ["online", "offline"]);
    assert_eq!(
        one("state"),
        [
            r#"{"time":"2026-06-20T12:00:00.000000Z","divert_pwr":1180,"grid_pwr":-12,"gen_pwr":1543,"import_kWh":0.0,"export_kWh":0.0,"generation_kWh":0.0}"#,
            r#"{"time":"2026-06-20T12:00:01.000000Z","frequency":49.98,"diverted_kWh":1.23,"stopped":false,"max_power":3000,"boost":true,"heater1":false,"heater2":false,"divert_pwr":1190,"divert_cur":0.0,"grid_pwr":-12,"gen_pwr":1543,"import_kWh":0.0,"export_kWh":0.0,"generation_kWh":0.0}"#,
        ]
    );
}

#[tokio::test]
async fn a_throttled_topic_ends_with_its_last_value() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let more = json!({"deadband": {"gen_pwr": 50}});
    let mut sink = open(&broker, Backpressure::Wait, &more).await;
    // Grid power: something new every second. Generation: within its deadband. Divert power: as
    // it was, but for the very last.
    let batch: Vec<_> = (0..=65)
        .map(|t| {
            let second = i16::try_from(t).unwrap();
            powers(t, [100 + second, 1000 + second % 50, if second < 65 { 7 } else { 8 }])
        })
        .collect();
    sink.write(&batch).await.unwrap();
    sink.close().await.unwrap();
    listener.wait_for("myenergi/bridge/state", "offline");
    let one = |last: &str| listener.of(&topic(last));
    assert_eq!(one("grid_pwr"), ["100", "110", "120", "130", "140", "150", "160", "165"]);
    assert_eq!(one("gen_pwr"), ["1000", "1010", "1015"], "its heartbeat, and the end");
    assert_eq!(one("divert_pwr"), ["7", "7", "8"]);
    assert_eq!(one("state").len(), 8);
}

#[tokio::test]
async fn a_flag_goes_at_once_with_its_status() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::Wait, &json!({})).await;
    let batch = [
        diverter(0, false, false, 0),
        diverter(1, false, true, 3000),
        diverter(2, false, true, 3000),
        diverter(3, true, false, 3000),
        diverter(4, false, false, 3000),
        powers(5, [0, 0, 19]),
    ];
    sink.write(&batch).await.unwrap();
    let one = |last: &str| listener.of(&topic(last));
    let state = topic("state");
    listener.wait("four states", |heard| heard.iter().filter(|it| it.topic == state).count() == 4);
    assert_eq!(one("boost"), ["0", "1", "0"]);
    assert_eq!(one("stopped"), ["0", "1", "0"]);
    assert_eq!(one("status"), ["Paused", "Boosting", "Stopped", "Diverting"], "power waits");
    sink.close().await.unwrap();
    listener.wait_for("myenergi/bridge/state", "offline");
    assert_eq!(one("status").last().unwrap(), "Paused");
    assert_eq!(one("divert_pwr"), ["0", "19"]);
}

#[tokio::test]
async fn a_held_value_goes_with_the_next_reading() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::Wait, &json!({})).await;
    let batch = [powers(0, [1, 1, 1]), powers(2, [2, 2, 1]), diverter(12, false, false, 1)];
    sink.write(&batch).await.unwrap();
    listener.wait_for(&topic("grid_pwr"), "2");
    sink.close().await.unwrap();
}

#[tokio::test]
async fn readings_without_a_time_cannot_be_too_early() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::Wait, &json!({})).await;
    let powers = |grid: i16| {
        let (grid, serial) = (grid.to_le_bytes(), SERIAL.to_le_bytes());
        reading(0x22, None, &[(0x1e, &grid), (0x2e, &serial)])
    };
    sink.write(&[powers(1), powers(2), powers(2), powers(3)]).await.unwrap();
    sink.close().await.unwrap();
    listener.wait_for("myenergi/bridge/state", "offline");
    assert_eq!(listener.of(&topic("grid_pwr")), ["1", "2", "2", "3"]);
    assert!(listener.of(&topic("state"))[0].starts_with(r#"{"time":null,"#));
}

#[tokio::test]
async fn the_energy_of_today_begins_at_local_midnight() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let mut sink = open(&broker, Backpressure::Wait, &json!({"interval": 0})).await;
    // From an hour before the midnight of the second day to an hour after that of the third; the
    // days of the context begin at midnight UTC, 12 hours after the beginning.
    let (begin, end) = (11 * 3600, 37 * 3600);
    let batch: Vec<_> = (begin..=end).step_by(30).map(|t| powers(t, [-1200, 2400, 0])).collect();
    for part in batch.chunks(200) {
        sink.write(part).await.unwrap();
    }
    // A gateway that starts again begins at zero.
    sink.close().await.unwrap();
    let mut sink = open(&broker, Backpressure::Wait, &json!({"interval": 0})).await;
    let batch: Vec<_> =
        (end + 60..=end + 3660).step_by(30).map(|t| powers(t, [-1200, 2400, 0])).collect();
    sink.write(&batch).await.unwrap();
    sink.close().await.unwrap();
    listener.wait("it has stopped twice", |heard| {
        let bridge = |it: &&support::mosquitto::Heard| it.topic == "myenergi/bridge/state";
        heard.iter().filter(bridge).filter(|it| it.payload == "offline").count() >= 2
    });
    for (key, watts) in [("export_kWh", 1200.0), ("generation_kWh", 2400.0), ("import_kWh", 0.0)] {
        let values = listener.of(&topic(key));
        let values: Vec<f64> = values.iter().map(|value| value.parse().unwrap()).collect();
        let mut days: Vec<Vec<f64>> = vec![vec![]];
        for value in values {
            // What a `total_increasing` entity takes for a reset.
            if days.last().unwrap().last().is_some_and(|last| value < *last) {
                days.push(Vec::new());
            }
            days.last_mut().unwrap().push(value);
        }
        let found: Vec<_> = days.iter().map(|day| (day[0], *day.last().unwrap())).collect();
        // An hour, a day, an hour, and an hour after the restart; a half minute of each is lost.
        let expected = [1.0, 24.0, 1.0, 1.0].map(|hours| hours * watts / 1000.0);
        if watts > 0.0 {
            assert_eq!(found.len(), expected.len(), "{key}: {found:?}");
            for ((first, last), expected) in found.iter().zip(expected) {
                assert!(*first <= 0.021 && (expected - last).abs() <= 0.021, "{key}: {found:?}");
            }
        } else {
            assert_eq!(found, [(0.0, 0.0)], "{key}");
        }
    }
}

#[tokio::test]
async fn an_eddi_that_exports_has_a_problem() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let more = json!({"problems": {"export_for": "10m"}});
    let mut sink = open(&broker, Backpressure::Wait, &more).await;
    let mut batch = vec![diverter(0, false, false, 0)];
    batch.extend((2..720).step_by(2).map(|t| powers(t, [-900, 1500, 0])));
    batch.extend((720..740).step_by(2).map(|t| powers(t, [0, 1500, 900])));
    for part in batch.chunks(200) {
        sink.write(part).await.unwrap();
    }
    sink.close().await.unwrap();
    listener.wait_for("myenergi/bridge/state", "offline");
    let mut said = listener.of(&topic("problem/not_diverting"));
    said.dedup();
    assert_eq!(said, ["0", "1", "0"]);
}

#[tokio::test]
async fn hot_water_is_no_problem_where_a_decoder_reports_it() {
    let Some(broker) = Mosquitto::start() else { return };
    let listener = broker.listen();
    let table = DecoderTable::built_in();
    // A status record with one entry, whose bit says that the heater is hot.
    let mut payload = vec![0; 0x18 + 0x20];
    payload[..4].copy_from_slice(&[0xcb, 0xda, 0xe9, 0xf8]);
    payload[0x18..0x1c].copy_from_slice(&[0x20, 0x53, 0x10, 0x35]);
    payload[0x1e..0x22].copy_from_slice(&SERIAL.to_le_bytes());
    payload[0x2e] = 0x08;
    payload[0x30] = 0x08;
    let record = Frame::parse_payload(&payload).unwrap().records().next().unwrap();
    let mut hot = table.decode(&record).flatten().find(|it| it.get("eddi/hot").is_some()).unwrap();
    hot.time = Some(at(1));

    let mut context = context(Backpressure::Wait);
    context.layouts = table.iter().map(|it| it.layout().clone()).collect();
    let config = config(&broker, &json!({"problems": {"export_for": "10m"}}));
    let mut sink = config.open(&context).await.unwrap();
    let mut batch = vec![diverter(0, false, false, 0), Arc::new(hot)];
    batch.extend((2..1200).step_by(2).map(|t| powers(t, [-900, 1500, 0])));
    for part in batch.chunks(200) {
        sink.write(part).await.unwrap();
    }
    sink.close().await.unwrap();
    listener.wait_for("myenergi/bridge/state", "offline");
    let mut said = listener.of(&topic("problem/not_diverting"));
    said.dedup();
    assert_eq!(said, ["0"]);
}
