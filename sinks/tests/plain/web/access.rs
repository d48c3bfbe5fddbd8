//! Clients: which of them are let in, how many, and what they may ask.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use energi_sinks::status::{GatewayStatus, Snapshot, StatusHandle};
use energi_sinks::web::WebConfig;
use energi_sinks::{Context, SinkConfig};
use serde_json::json;

use super::{Site, context};

#[tokio::test]
async fn only_requests_that_mean_this_machine_are_answered() {
    let site = Site::open(json!({"hosts": ["energy.home"]})).await;
    let ask = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    for host in ["localhost:1", "energy.home", "192.168.1.7:8088", "[::1]"] {
        assert_eq!(site.ask(ask(host)).await.status, 200, "{host}");
    }
    assert!(site.ask(ask("evil.example")).await.refusal(403).contains("hosts"));
    assert_eq!(site.ask("GET / HTTP/1.0\r\n\r\n").await.status, 403);
    let posted = site.ask(format!("POST / HTTP/1.1\r\nHost: {}\r\n\r\n", site.address)).await;
    posted.refusal(405);
}

#[tokio::test]
async fn no_answer_can_be_read_or_framed_by_other_sites() {
    let site = Site::open(json!({"origins": ["https://dash.example"]})).await;
    for target in ["/", "/api/v1/devices", "/nothing", "/assets/page.js"] {
        let answer = site.get_with(target, "Origin: https://evil.example\r\n").await;
        for part in
            ["default-src 'none'", "frame-ancestors 'none'", "nosniff", "referrer-policy: no-ref"]
        {
            assert!(answer.head.contains(part), "{target}: {part}: {}", answer.head);
        }
        assert!(!answer.head.contains("unsafe-inline"));
        assert!(!answer.head.contains("access-control-allow-origin"), "{}", answer.head);
    }
    let listed = site.get_with("/api/v1/devices", "Origin: https://dash.example\r\n").await;
    assert!(listed.head.contains("access-control-allow-origin: https://dash.example"));
    assert!(listed.head.contains("access-control-expose-headers: link"));
}

#[tokio::test]
async fn a_name_is_text_rather_than_markup() {
    let mut site = Site::open(json!({})).await;
    site.lives().await;
    let page = site.get("/").await.body;
    assert!(page.contains("Hot &lt;water&gt;") && !page.contains("Hot <water>"), "{page}");
}

#[tokio::test]
async fn a_password_guards_everything_but_the_health() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let options = json!({"username": "me", "password_file": file});
    let site = Site::open(options).await;
    // "me:open sesame", "me:open sesam".
    let right = "Authorization: Basic bWU6b3BlbiBzZXNhbWU=\r\n";
    let wrong = "Authorization: Basic bWU6b3BlbiBzZXNhbQ==\r\n";
    for target in ["/", "/metrics", "/live", "/api/v1/devices", "/assets/page.js", "/nothing"] {
        assert!(site.get(target).await.head.contains("www-authenticate: basic"), "{target}");
        assert_eq!(site.get_with(target, wrong).await.status, 401, "{target}");
    }
    assert_eq!(site.get_with("/", right).await.status, 200);
    for target in ["/healthz", "/readyz"] {
        assert_ne!(site.get(target).await.status, 401, "{target}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_needs_no_password() {
    let site = Site::open(json!({
        "username": "me", "password": "p", "trusted_proxy": ["127.0.0.1"],
    }))
    .await;
    let request = "GET / HTTP/1.1\r\nHost: home.example\r\nX-Ingress-Path: /api/ingress/t\r\n\
                   Connection: close\r\n\r\n";
    let page = site.ask(request).await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("frame-ancestors 'self'"), "{}", page.head);
    assert!(page.body.contains("\"/api/ingress/t/assets/page.js"), "{}", page.body);
}

#[tokio::test]
async fn a_path_counts_only_from_a_trusted_proxy() {
    let stranger = Site::open(json!({"trusted_proxy": ["192.0.2.1"]})).await;
    let page = stranger.get_with("/", "X-Ingress-Path: /api/ingress/t\r\n").await;
    assert!(!page.body.contains("ingress"), "{}", page.body);
}

#[tokio::test]
async fn a_client_that_follows_gets_every_change() {
    let mut site = Site::open(json!({"max_clients": 2})).await;
    let address = site.address;
    let follow = |target: &'static str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        stream
    };
    let until = |mut stream: TcpStream, wanted: &'static str| {
        tokio::task::spawn_blocking(move || {
            let (mut seen, mut bytes) = (String::new(), [0; 4096]);
            while !seen.contains(wanted) {
                let count = stream.read(&mut bytes).unwrap();
                assert!(count > 0, "{wanted}: {seen}");
                seen += &String::from_utf8_lossy(&bytes[..count]);
            }
            stream
        })
    };
    let page = until(follow("/live"), "No device").await.unwrap();
    let stream = until(follow("/api/v1/stream"), "200 OK").await.unwrap();
    assert!(site.get("/live").await.refusal(503).contains("max_clients"));

    site.lives().await;
    let page = until(page, "Hot &lt;water&gt;").await.unwrap();
    let stream = until(stream, "\"grid_pwr\"").await.unwrap();
    // A place is free again once a client has gone, and every stream ends with the sink.
    drop(page);
    let begun = Instant::now();
    loop {
        let mut next = follow("/live");
        let status = tokio::task::spawn_blocking(move || {
            let mut status = [0; 12];
            next.read_exact(&mut status).unwrap();
            String::from_utf8_lossy(&status).into_owned()
        });
        let status = status.await.unwrap();
        if status == "HTTP/1.1 200" {
            break;
        }
        assert_eq!(status, "HTTP/1.1 503");
        assert!(begun.elapsed() < Duration::from_secs(20), "no place becomes free");
    }
    site.sink.close().await.unwrap();
    let ended = tokio::task::spawn_blocking(move || {
        let mut stream = stream;
        stream.read_to_end(&mut Vec::new())
    });
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn hostile_clients_cost_the_others_nothing() {
    let mut site = Site::open(json!({})).await;
    // A head without an end, HTTP/2, no HTTP at all.
    let huge = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    assert!(matches!(site.ask(huge).await.status, 431 | 0));
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert_ne!(site.ask(preface).await.status, 200);
    assert_ne!(site.ask("\x16\x03\x01\x02\0\x01\0").await.status, 200);

    // Slow and half-open clients take every connection but a few; they are cut off in time.
    let mut slow: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(site.address).unwrap()).collect();
    for (index, stream) in slow.iter_mut().enumerate() {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
        if index % 2 == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
        }
    }
    site.lives().await;
    assert_eq!(site.get("/api/v1/devices").await.json().as_array().unwrap().len(), 1);
    let mut last = slow.pop().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let cut = tokio::task::spawn_blocking(move || last.read_to_end(&mut Vec::new()));
    assert!(cut.await.unwrap().is_ok(), "a slow client is cut off");
    assert_eq!(site.get("/healthz").await.status, 200);
}

fn config(options: serde_json::Value) -> WebConfig {
    serde_json::from_value(options).unwrap()
}

#[test]
fn settings_that_would_not_protect_are_refused() {
    for (options, key) in [
        (json!({"username": "me"}), "username"),
        (json!({"password": "p"}), "password"),
        (json!({"username": "me", "password": "p", "password_file": "f"}), "password_file"),
        (json!({"hosts": ["http://energy.home"]}), "hosts[0]"),
        (json!({"origins": ["*"]}), "origins[0]"),
        (json!({"max_clients": 0}), "max_clients"),
    ] {
        let problems = config(options.clone()).validate();
        assert!(problems.iter().any(|problem| problem.key == key), "{options}: {problems:?}");
    }
}

#[test]
fn a_page_open_to_the_network_is_warned_of() {
    let everywhere = json!({"listen": "0.0.0.0:8088"});
    assert!(config(everywhere).warnings()[0].contains("password"));
    assert!(config(json!({})).warnings().is_empty());
    let guarded = json!({"listen": "0.0.0.0:8088", "username": "me", "password": "p"});
    assert!(config(guarded).warnings().is_empty());
}

#[tokio::test]
async fn a_connection_too_many_gets_503() {
    let site = Site::open(json!({"max_clients": 1})).await;
    // 64 beside those that follow live values.
    let connect = || TcpStream::connect(site.address).unwrap();
    let mut open: Vec<TcpStream> = (0..65).map(|_| connect()).collect();
    let mut last = open.pop().unwrap();
    write!(last, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let answered = tokio::task::spawn_blocking(move || {
        assert!(last.read(&mut [0; 512]).unwrap() > 0, "there are 65 places");
        last
    });
    open.push(answered.await.unwrap());
    assert_eq!(site.get("/healthz").await.status, 503);
    drop(open);
    let begun = Instant::now();
    while site.get("/healthz").await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

/// A gateway as a test wants it.
#[derive(Debug, Default)]
struct Gateway(Mutex<Snapshot>);

impl GatewayStatus for Gateway {
    fn snapshot(&self) -> Snapshot {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn health_is_that_of_the_whole_gateway() {
    let gateway = Arc::new(Gateway::default());
    let status = StatusHandle::new(Arc::<Gateway>::clone(&gateway));
    let site = Site::open_in(json!({}), &Context { status, ..context("web", true) }).await;
    // Nothing has been received: silence is healthy.
    assert_eq!(site.get("/healthz").await.status, 200);
    assert_eq!(site.get("/readyz").await.status, 503);
    *gateway.0.lock().unwrap() =
        Snapshot { stuck: vec!["capture".to_owned()], ready: true, ..Snapshot::default() };
    let stuck = site.get("/healthz").await;
    assert!(stuck.status == 503 && stuck.body.contains("capture"), "{stuck:?}");
    assert_eq!(site.get("/readyz").await.status, 200);
}
