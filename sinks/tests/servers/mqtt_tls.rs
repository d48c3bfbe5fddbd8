//! An encrypted connection to a real Mosquitto: whom it trusts, who it is, and what is reported when it
//! does not come to stand.

use std::net::{Ipv6Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use energi_sinks::mqtt::MqttConfig;
use energi_sinks::status::StatusHandle;
use energi_sinks::{Backpressure, Context, SinkConfig};
use serde_json::{Value, json};

use support::authority::{Authority, Identity};
use support::mosquitto::Mosquitto;
use support::skip;

fn context() -> Context {
    Context {
        name: "mqtt".to_owned(),
        site: None,
        timezone: jiff::tz::TimeZone::UTC,
        device_names: Arc::default(),
        only_devices: None,
        layouts: Arc::default(),
        live: true,
        backpressure: Backpressure::DropOldest,
        tariff: None,
        status: StatusHandle::default(),
    }
}

/// A broker that shows the certificate of `host`.
fn broker(authority: &Authority, host: &str, more: &str) -> Option<Mosquitto> {
    broker_as(&authority.vouch_for(Some(host)), more)
}

/// A broker that shows this certificate.
fn broker_as(Identity { certificate, key }: &Identity, more: &str) -> Option<Mosquitto> {
    let mut broker = Mosquitto::stopped(&format!(
        "allow_anonymous true\ncertfile {}\nkeyfile {}\n{more}",
        certificate.display(),
        key.display()
    ))?;
    broker.run();
    Some(broker)
}

/// Returns what a sink says of a broker: what answered, or what is wrong.
async fn ask(broker: &Mosquitto, host: &str, options: Value) -> Result<String, String> {
    let mut config = options;
    config["url"] = json!(format!("mqtts://{host}:{}", broker.port));
    let config: MqttConfig = serde_json::from_value(config).unwrap();
    assert_eq!(config.validate(), []);
    config.probe(&context()).await.map_err(|error| error.to_string())
}

/// Holds what was said to the words that it has to have in it.
fn expect(answer: Result<String, String>, expected: Result<(), &[&str]>) {
    match (answer, expected) {
        (Ok(_), Ok(())) => {}
        (Err(said), Err(words)) => {
            for word in words {
                assert!(said.contains(word), "`{word}` is not in: {said}");
            }
        }
        (answer, expected) => panic!("{answer:?} instead of {expected:?}"),
    }
}

#[tokio::test]
async fn a_broker_of_another_authority_or_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(&folder.path().join("ours"));
    let other = Authority::new(&folder.path().join("other"));
    let Some(named) = broker(&ours, "localhost", "") else { return };
    let Some(addressed) = broker(&ours, "127.0.0.1", "") else { return };
    let ca = |authority: &Authority| json!({"ca_file": authority.certificate()});

    expect(ask(&named, "localhost", ca(&ours)).await, Ok(()));
    expect(ask(&addressed, "127.0.0.1", ca(&ours)).await, Ok(()));
    for (broker, host, options, words) in [
        (&named, "localhost", json!({}), &["trusted authority", "`ca_file`"]),
        (&named, "localhost", ca(&other), &["trusted authority", "`ca_file`"]),
        (&named, "127.0.0.1", ca(&ours), &["another name, localhost; ", "`url`"]),
        (&addressed, "localhost", ca(&ours), &["another name, 127.0.0.1; ", "`url`"]),
    ] {
        expect(ask(broker, host, options).await, Err(words));
    }
}

#[tokio::test]
async fn a_wrong_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(&folder.path().join("ours"));
    for (identity, words) in [
        (version_1(), &["X.509 version 1", "subjectAltName"][..]),
        (ours.vouch_for_common_name("localhost"), &["names no host", "subjectAltName"]),
        (ours.itself(), &["an authority", "create one"]),
        (ours.vouched_once_for("localhost"), &["has expired", "renew it"]),
        (ours.will_vouch_for("localhost"), &["not valid yet", "clock"]),
    ] {
        let Some(broker) = broker_as(&identity, "") else { return };
        let said = ask(&broker, "localhost", json!({"ca_file": ours.certificate()})).await;
        expect(said, Err(words));
    }
}

/// Returns what `openssl x509 -req` makes where no extensions are given.
fn version_1() -> Identity {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/mqtt_tls");
    Identity { certificate: folder.join("version_1.crt"), key: folder.join("version_1.key") }
}

#[tokio::test]
async fn a_broker_is_trusted_by_its_ipv6_address() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        skip::skip("this machine has no IPv6");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(&folder.path().join("ours"));
    let Identity { certificate, key } = ours.vouch_for(Some("::1"));
    let Some(mut broker) = Mosquitto::stopped("") else { return };
    // Its options follow its listener, the last one.
    broker.configure(&format!(
        "allow_anonymous true\nlistener {} ::1\ncertfile {}\nkeyfile {}\n",
        broker.port,
        certificate.display(),
        key.display()
    ));
    broker.run();
    let ca = json!({"ca_file": ours.certificate()});
    expect(ask(&broker, "[::1]", ca).await, Ok(()));
    expect(ask(&broker, "[::1]", json!({})).await, Err(&["trusted authority", "`ca_file`"]));
}

#[tokio::test]
async fn a_broker_may_want_to_know_who_connects() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(&folder.path().join("ours"));
    let other = Authority::new(&folder.path().join("other"));
    let wants = format!("cafile {}\nrequire_certificate true\n", ours.certificate().display());
    let Some(broker) = broker(&ours, "localhost", &wants) else { return };
    let ca_file = ours.certificate();
    let (known, stranger) = (ours.vouch_for(None), other.vouch_for(None));
    let by = |who: &Identity| json!({"ca_file": ca_file, "client_cert": who.certificate, "client_key": who.key});

    expect(ask(&broker, "localhost", by(&known)).await, Ok(()));
    expect(
        ask(&broker, "localhost", json!({"ca_file": ca_file})).await,
        Err(&["certificate", "`client_cert` and `client_key`"]),
    );
    expect(ask(&broker, "localhost", by(&stranger)).await, Err(&["certificate", "`client_cert`"]));
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(&folder.path().join("ours"));
    let Some(broker) = broker(&ours, "localhost", "") else { return };
    let (known, twin) = (ours.vouch_for(None), ours.vouch_for(Some("twin")));
    let old = version_1();
    let (absent, ca_file) = (folder.path().join("absent"), ours.certificate());
    let by = |certificate: &Path, key: &Path| json!({"ca_file": ca_file, "client_cert": certificate, "client_key": key});
    let named = |path: &Path| path.display().to_string();

    for (options, words) in [
        (json!({"ca_file": absent}), vec!["ca_file".to_owned(), named(&absent)]),
        (json!({"ca_file": known.key}), vec!["ca_file".to_owned(), named(&known.key)]),
        (by(&absent, &known.key), vec!["client_cert".to_owned(), named(&absent)]),
        (by(&known.key, &known.key), vec!["client_cert".to_owned(), named(&known.key)]),
        (by(&known.certificate, &absent), vec!["client_key".to_owned(), named(&absent)]),
        (by(&known.certificate, &twin.key), vec!["client_key".to_owned(), named(&twin.key)]),
        (
            by(&old.certificate, &old.key),
            vec![named(&old.certificate), "`openssl x509 -req`".to_owned()],
        ),
    ] {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        expect(ask(&broker, "localhost", options).await, Err(&words));
    }
}

#[tokio::test]
async fn the_wrong_kind_of_port_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(&folder.path().join("ours"));
    let (Some(plain), Some(encrypted)) = (Mosquitto::start(), broker(&ours, "localhost", ""))
    else {
        return;
    };
    let said = ask(&plain, "127.0.0.1", json!({"ca_file": ours.certificate()})).await;
    expect(said, Err(&["encrypted"]));

    let config = json!({"url": format!("mqtt://127.0.0.1:{}", encrypted.port)});
    let config: MqttConfig = serde_json::from_value(config).unwrap();
    let said = config.probe(&context()).await.map_err(|error| error.to_string());
    expect(said, Err(&["encrypted"]));
}
