//! A real RabbitMQ for a test: a broker that closes connections for what it does not allow, and
//! gives no retained message for a wildcard.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::mosquitto::{Listener, until};
use crate::process::{Running, free_port};
use crate::skip::skip;

/// The password `right`, salted and hashed.
const RIGHT: &str = "AQIDBPmWwfwOd1zrkUz1GhP41uoXtgCgs/EQOqfPE7YpdJ6j";

/// A RabbitMQ of the test, ended with it.
pub struct RabbitMq {
    pub port: u16,
    _node: Running,
    _names: Running,
    _folder: TempDir,
}

impl RabbitMq {
    /// Starts one that lets in `me`, whose password is `right` and who may publish below `topic`
    /// alone. None: the test has been skipped.
    pub fn start(topic: &str) -> Option<Self> {
        let Some(program) = program() else {
            skip("`rabbitmq-server` is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (port, names_port) = (free_port(), free_port());
        let path = |name: &str| folder.path().join(name);
        let everything =
            json!({"user": "me", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"});
        let definitions = json!({
            "users": [{
                "name": "me", "password_hash": RIGHT, "tags": "",
                "hashing_algorithm": "rabbit_password_hashing_sha256",
            }],
            "vhosts": [{"name": "/"}],
            "permissions": [everything],
            "topic_permissions": [{
                "user": "me", "vhost": "/", "exchange": "amq.topic",
                "write": format!("^{topic}[.]"), "read": ".*",
            }],
        });
        fs::write(path("definitions.json"), definitions.to_string()).unwrap();
        fs::write(path("plugins"), "[rabbitmq_mqtt].\n").unwrap();
        let configuration = format!(
            "listeners.tcp = none\nmqtt.listeners.tcp.1 = 127.0.0.1:{port}\n\
             mqtt.allow_anonymous = false\nlog.console = false\nload_definitions = {}\n",
            path("definitions.json").display()
        );
        fs::write(path("rabbitmq.conf"), configuration).unwrap();

        let names = Command::new("epmd")
            .args(["-port", &names_port.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let names = Running(names);
        until("the registry of nodes listens", || is_open(names_port));
        let node = Command::new(program)
            .env("HOME", folder.path())
            // The program itself, without a shell around it.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .env("ERL_EPMD_PORT", names_port.to_string())
            .env("RABBITMQ_NODENAME", format!("test-{port}@localhost"))
            .env("RABBITMQ_DIST_PORT", free_port().to_string())
            .env("RABBITMQ_MNESIA_BASE", path("data"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", path("none"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let node = Running(node);
        // It listens before it knows its users.
        until("RabbitMQ lets `me` in", || lets_in(port).unwrap_or(false));
        Some(Self { port, _node: node, _names: names, _folder: folder })
    }

    /// A client that hears every topic.
    pub fn listen(&self) -> Listener {
        Listener::new(self.port, Some(("me", "right")))
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }
}

/// The program behind the wrapper that changes the user.
fn program() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/rabbitmq/lib").ok()?;
    let programs = versions.flatten().map(|version| version.path().join("sbin/rabbitmq-server"));
    programs.into_iter().find(|program| Path::is_file(program))
}

/// Returns whether `me` may connect.
fn lets_in(port: u16) -> io::Result<bool> {
    const CONNECT: &[u8] = b"\x10\x1a\0\x04MQTT\x04\xc2\0\x3c\0\x03try\0\x02me\0\x05right";
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(CONNECT)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    Ok(answer == [0x20, 2, 0, 0])
}

fn is_open(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
