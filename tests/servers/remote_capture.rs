//! A capture on another machine, fetched through a real SSH server.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use energi_gateway::capture::remote::{RemoteAddress, RemoteSettings, RemoteSource};
use energi_gateway::capture::{Event, Source};
use support::gateway::Sandbox;
use support::logs::Logs;
use support::network::{Network, device_frame, number_of};
use support::process::{Running, installed};
use support::skip::skip;

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_mins(1);

/// An SSH server on the loopback that lets the test's own key in.
struct SshServer {
    sandbox: Sandbox,
    port: u16,
    process: Running,
}

impl SshServer {
    fn start() -> Option<Self> {
        let sshd = PathBuf::from("/usr/sbin/sshd");
        let (Some(ssh), Some(keygen)) = (installed("ssh"), installed("ssh-keygen")) else {
            return None;
        };
        if !sshd.exists() || !rustix::process::geteuid().is_root() {
            skip(&format!("it takes root and an SSH server beside {}", ssh.display()));
            return None;
        }
        let sandbox = Sandbox::new();
        for key in ["host", "user"] {
            let path = sandbox.path(key);
            let arguments = ["-q", "-t", "ed25519", "-N", "", "-f"];
            assert!(Command::new(&keygen).args(arguments).arg(path).status().unwrap().success());
        }
        fs::copy(sandbox.path("user.pub"), sandbox.path("authorized")).unwrap();
        fs::set_permissions(sandbox.path("authorized"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| sandbox.path(name).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n",
            path("host"),
            path("authorized")
        );
        let config = sandbox.write("sshd_config", config);
        let process = Self::serve(&sshd, &config);
        let server = Self { sandbox, port, process };
        server.await_port();
        Some(server)
    }

    fn serve(sshd: &Path, config: &Path) -> Running {
        let mut command = Command::new(sshd);
        command.arg("-D").arg("-f").arg(config);
        Running(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn await_port(&self) {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "the SSH server does not answer");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns what a configuration would have as `command`.
    fn command(&self, remote: &str) -> Vec<String> {
        let path = |name: &str| self.sandbox.path(name).display().to_string();
        let mut words = vec!["ssh".to_owned(), "-i".to_owned(), path("user")];
        words.extend(["-p".to_owned(), self.port.to_string()]);
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=accept-new",
            &format!("UserKnownHostsFile={}", path("known")),
        ] {
            words.extend(["-o".to_owned(), option.to_owned()]);
        }
        words.extend(["root@127.0.0.1".to_owned(), remote.to_owned()]);
        words
    }
}

#[test]
fn a_recording_through_ssh_survives_an_outage() {
    let Some(mut server) = SshServer::start() else { return };
    let Some(network) = Network::new() else { return };
    let record = format!(
        "ip netns exec {} {} record -i eth0 --frames 5 -o -",
        network.home.name(),
        Sandbox::new().program(&[]).get_program().display()
    );
    let settings = RemoteSettings::new(RemoteAddress::Command(server.command(&record)));
    let logs = Logs::capture();
    let mut source = RemoteSource::new(settings);
    let counters = source.counters();
    let mut sender = network.world.sender("eth0");
    let mut number = 0;
    let mut receives = |source: &mut RemoteSource, wanted: usize| {
        let (mut found, start) = (0, Instant::now());
        while found < wanted {
            assert!(start.elapsed() < PATIENCE, "no frame comes through");
            number += 1;
            sender.send(&device_frame(number));
            if let Event::Packet(packet) = source.next().unwrap() {
                assert!((1..=number).contains(&number_of(packet.bytes)));
                found += 1;
            }
        }
    };
    receives(&mut source, 5);

    // The recording has ended. The server is away when it is started again, and comes back.
    let _ = server.process.0.kill();
    let _ = server.process.0.wait();
    let start = Instant::now();
    while !logs.lines().iter().any(|line| line.contains("Connection refused")) {
        assert!(start.elapsed() < PATIENCE, "ssh's words are missing: {:?}", logs.lines());
        source.next().unwrap();
    }
    let config = server.sandbox.path("sshd_config");
    server.process = SshServer::serve(Path::new("/usr/sbin/sshd"), &config);
    server.await_port();
    receives(&mut source, 5);
    assert!(counters.received.get() >= 10);
}
