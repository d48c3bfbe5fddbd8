//! Authorities that an encrypted connection trusts.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use energi_sinks::SinkConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::place::Place;
use support::authority::{Authority, Identity};

/// A server that lets every probe know that its token is right, and where it listens.
fn serve(identity: &Identity) -> u16 {
    let certificate = CertificateDer::from_pem_file(&identity.certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(&identity.key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (config, listener) =
        (Arc::new(config), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            // Who does not trust it goes away.
            let _gone = answer(connection, Arc::clone(&config));
        }
    });
    port
}

fn answer(connection: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let session = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(session, connection));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let body = r#"{"code":"invalid","message":"writing requires points"}"#;
    let length = body.len();
    write!(
        stream.get_mut(),
        "HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    stream.get_mut().flush()
}

#[tokio::test]
async fn only_the_authority_of_the_file_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let ours = Authority::new(&directory.path().join("ours"));
    let other = Authority::new(&directory.path().join("other"));
    for host in ["localhost", "127.0.0.1"] {
        let port = serve(&ours.vouch_for(Some(host)));
        let mut place = Place::new(format!("https://{host}:{port}"));
        place.config.token = Some("a-token".to_owned().into());
        place.config.timeout = energi_sinks::settings::Period::from_secs(20);
        let mut probe = async |ca_file| {
            place.config.ca_file = ca_file;
            let answer = place.config.probe(&place.context()).await;
            answer.map_err(|error| error.to_string())
        };
        let said = probe(Some(ours.certificate())).await.unwrap();
        assert!(said.contains("`energy`"), "{said}");
        for ca_file in [Some(other.certificate()), None] {
            let said = probe(ca_file).await.unwrap_err();
            assert!(said.contains("is not trusted") || said.contains("ca-certificates"), "{said}");
            assert!(said.contains("`ca_file`"), "{said}");
        }
    }
}
