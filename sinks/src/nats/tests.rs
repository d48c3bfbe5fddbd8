use super::*;

fn config(url: &str, more: &str) -> NatsConfig {
    let text = format!(r#"{{"url": {url}, "subject": "energi.home.frames"{more}}}"#);
    let mut config: NatsConfig = serde_json::from_str(&text).unwrap();
    config.named("nats");
    config
}

#[test]
fn a_wrong_address_is_refused_with_a_right_one() {
    for (url, word) in [
        (r#""db1:4222""#, "nats://"),
        (r#""mqtt://host""#, "nats://"),
        (r#""nats://gateway:hunter2@host""#, "`password_file`"),
        (r#""nats://host/frames""#, "nothing follows"),
        ("[]", "name a server"),
        (r#"["nats://a", "http://b"]"#, "nats://"),
    ] {
        let problem = config(url, "").validate()[0].to_string();
        assert!(problem.starts_with("url: ") && problem.contains(word), "{url}: {problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
    let cluster = config(r#"["nats://a", "tls://b:4333"]"#, "");
    assert_eq!((cluster.validate(), cluster.url.to_string()), (Vec::new(), "a,b:4333".to_owned()));
}

#[test]
fn values_that_make_no_sense_are_refused_at_their_key() {
    for (more, key) in [
        (r#", "password": "a", "password_file": "b", "username": "c""#, "password_file"),
        (r#", "password": "a""#, "username"),
        (r#", "token": "a", "creds_file": "b""#, "username"),
        (r#", "batch": 0"#, "batch"),
        (r#", "batch_size": 0"#, "batch_size"),
        (r#", "timeout": 0"#, "timeout"),
        (r#", "queue": {"max_bytes": 5}"#, "queue.max_bytes"),
    ] {
        let problems = config(r#""nats://host""#, more).validate();
        let keys: Vec<_> = problems.into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, [key], "{more}");
    }
    for subject in ["", "energi.*.frames", "energi.>", "a..b", "a b", "$JS.API", "_INBOX.x"] {
        let mut config = config(r#""nats://host""#, "");
        subject.clone_into(&mut config.subject);
        assert_eq!(config.validate()[0].key, "subject", "{subject}");
    }
}
