//! Reports about a server that is not as it should be.

use energi_sinks::{SinkConfig, SinkError};

use super::place::Place;
use support::fake_server::{FakeServer, Mood};

async fn probe(place: &Place) -> Result<String, String> {
    place.config.probe(&place.context()).await.map_err(|error| match error {
        SinkError::Transient { message: said, .. } => said,
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn a_probe_says_what_is_wrong() {
    let fake = FakeServer::start(Mood::Takes(204));
    let mut place = Place::new(fake.url());
    let said = probe(&place).await.unwrap();
    assert!(said.contains("without credentials") && said.contains("`energy` of `home`"), "{said}");
    place.config.token = Some("a-token".to_owned().into());
    let said = probe(&place).await.unwrap();
    for word in ["token", "`energy` of `home`", "influxdb.queue.db"] {
        assert!(said.contains(word), "no {word} in: {said}");
    }
    assert_eq!(std::fs::read_dir(place.directory.path()).unwrap().count(), 0);
    for (mood, expected) in [
        (Mood::Refuses(401, "unauthorized access"), "token is wrong"),
        (Mood::Refuses(403, "insufficient permissions for write"), "may not write"),
        (Mood::Refuses(404, "organization name home not found"), "no such `org`"),
        (Mood::Refuses(404, "bucket energy not found"), "no such `bucket`"),
        (Mood::Refuses(404, "page not found"), "no write API"),
        (Mood::Refuses(400, "Client sent an HTTP request to an HTTPS server."), "HTTPS"),
        (Mood::Refuses(301, ""), "it has moved"),
        (Mood::Refuses(415, "unsupported"), "set `gzip: false`"),
        (Mood::ShowsPage("<html>Please log in</html>"), "login page"),
        (Mood::Refuses(503, "starting"), "(503: starting)"),
        (Mood::Hangs, "in time"),
    ] {
        fake.mood(mood);
        let said = probe(&place).await.unwrap_err();
        assert!(said.starts_with("http://127.0.0.1:") && said.contains(expected), "{said}");
    }
    assert_eq!(fake.requests(), []);

    let unreachable = Place::new("http://127.0.0.1:1".to_owned());
    let said = probe(&unreachable).await.unwrap_err();
    assert!(said.contains("cannot be reached (") && said.contains("refused"), "{said}");
    let nowhere = Place::new("http://nowhere.invalid".to_owned());
    let said = probe(&nowhere).await.unwrap_err();
    assert!(said.contains("cannot be reached ("), "{said}");
}
