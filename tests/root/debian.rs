//! The Debian package: installed, run, upgraded, removed and purged, on a machine of its own.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::gateway::{Sandbox, root, stderr, stdout};
use support::machine::{Machine, SHARED};
use support::network::{Network, device_frame};
use support::process::{Running, installed};

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_mins(1);

const CONFIG: &str = "/etc/energi-gateway/config.yaml";
const STATE: &str = "/var/lib/energi-gateway";
const HISTORY: &str = "/var/lib/energi-gateway/energi.db";

/// Builds a package of the program as it is here, with a version, and says what it is called.
fn package(sandbox: &Sandbox, version: &str) -> Option<String> {
    installed("cargo-deb")?;
    installed("dpkg")?;
    // Where cargo-deb looks for a program that has been built.
    let folder = sandbox.path("target/release");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_energi-gateway"), folder.join("energi-gateway")).unwrap();
    let mut script = Command::new(root().join("packaging/deb.sh"));
    script.args(["--strip", "--fast", "--offline", "--deb-version", version, "--output"]);
    let said =
        script.arg(sandbox.path("")).env("CARGO_TARGET_DIR", sandbox.path("target")).output();
    let said = said.unwrap();
    assert!(said.status.success(), "{}", stderr(&said));
    let architecture = Command::new("dpkg").arg("--print-architecture").output().unwrap();
    let name = format!("energi-gateway_{version}_{}.deb", stdout(&architecture).trim());
    assert!(sandbox.path(&name).exists(), "{}", stdout(&said));
    Some(name)
}

#[test]
fn lintian_finds_no_fault_with_the_package() {
    let Some(lintian) = installed("lintian") else { return };
    let sandbox = Sandbox::new();
    let Some(package) = package(&sandbox, concat!(env!("CARGO_PKG_VERSION"), "-1")) else { return };
    let mut lint = Command::new(lintian);
    lint.args(["--fail-on", "error,warning", "--allow-root", "--no-cfg", "--suppress-tags"]);
    // The package is not Debian's.
    lint.arg("initial-upload-closes-no-bugs");
    let output = lint.arg(sandbox.path(&package)).output().unwrap();
    let said = stdout(&output) + &stderr(&output);
    assert!(output.status.success(), "{said}");
}

/// Runs a command on the machine that has to succeed, and gives what it prints.
fn run(machine: &Machine, line: &str) -> String {
    let output = try_to_run(machine, line);
    assert!(output.status.success(), "{line}: {}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

fn try_to_run(machine: &Machine, line: &str) -> Output {
    machine.command("sh").args(["-c", line]).output().unwrap()
}

/// The service as its unit says, without the manager that would read it.
struct Service<'m> {
    machine: &'m Machine,
    network: &'m Network,
    manager: UnixDatagram,
    address: String,
}

impl<'m> Service<'m> {
    fn new(machine: &'m Machine, network: &'m Network, sandbox: &Sandbox) -> Self {
        let manager = UnixDatagram::bind(sandbox.path("notify")).unwrap();
        // The service's user has to reach it.
        run(machine, &format!("chmod 711 {SHARED} && chmod 777 {SHARED}/notify"));
        manager.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self { machine, network, manager, address: format!("{SHARED}/notify") }
    }

    fn start(&self) -> Running {
        let unit = run(self.machine, "cat /usr/lib/systemd/system/energi-gateway.service");
        let setting = |key: &str| {
            let mut lines = unit.lines().filter_map(|line| line.split_once('='));
            lines.find(|(name, _)| *name == key).unwrap_or_else(|| panic!("{key}")).1.to_owned()
        };
        let capability = setting("AmbientCapabilities").to_lowercase().replace("cap_", "-all,+");
        assert_eq!(setting("NoNewPrivileges"), "yes");
        assert_eq!(format!("/var/lib/{}", setting("StateDirectory")), STATE);
        let folder = setting("WorkingDirectory").replace("%S", "/var/lib");
        let mut start = self.machine.command_on(&self.network.home, "sh");
        start.args(["-c", &format!("umask {}; cd {folder}; exec \"$@\"", setting("UMask")), "sh"]);
        start.args(["setpriv", "--reuid", &setting("User"), "--regid", &setting("Group")]);
        start.args(["--clear-groups", "--no-new-privs"]);
        for set in ["--bounding-set", "--inh-caps", "--ambient-caps"] {
            start.args([set, &capability]);
        }
        start.args(setting("ExecStart").split(' '));
        start.env("NOTIFY_SOCKET", &self.address).env_remove("RUST_LOG");
        start.stdout(Stdio::null()).stderr(Stdio::inherit());
        let running = Running(start.spawn().unwrap());
        self.waits_for("READY=1", || ());
        running
    }

    /// Waits for a word to the manager, and does something until it comes.
    fn waits_for(&self, word: &str, mut meanwhile: impl FnMut()) {
        let start = Instant::now();
        let mut heard = [0; 4096];
        loop {
            assert!(start.elapsed() < PATIENCE, "{word} is not heard");
            meanwhile();
            let Ok(length) = self.manager.recv(&mut heard) else { continue };
            if str::from_utf8(&heard[..length]).unwrap().contains(word) {
                return;
            }
        }
    }

    /// Sends frames of a device until the service has stored some.
    fn hears_a_device(&self) {
        let mut sender = self.network.world.sender("eth0");
        let mut frame = device_frame(1200);
        frame[14 + 0x2E..][..4].copy_from_slice(&17_589_669_u32.to_le_bytes());
        self.waits_for("devices: 1", || sender.send(&frame));
    }

    /// Returns how many samples the history holds, as root reads it.
    fn samples(&self) -> usize {
        let export = format!("energi-gateway history export --db {HISTORY}");
        run(self.machine, &export).lines().skip(1).count()
    }
}

/// The command by which the shipped configuration and the pages have a change looked at.
fn documented_check() -> String {
    let config = fs::read_to_string(root().join("packaging/debian/config.yaml")).unwrap();
    let mut shown = config.lines().filter_map(|line| line.strip_prefix("#   "));
    let check = shown.find(|line| line.starts_with("sudo energi-gateway check ")).unwrap();
    for page in ["docs/installation.md", "docs/operations.md"] {
        assert!(fs::read_to_string(root().join(page)).unwrap().contains(check), "{page}: {check}");
    }
    // Who gives it here is root.
    check.replace("sudo ", "")
}

/// Ends the service as its manager does.
fn stop(mut running: Running) {
    kill_process(Pid::from_child(&running.0), Signal::TERM).unwrap();
    assert!(running.0.wait().unwrap().success());
}

/// A file's owner, group and mode.
fn owner(machine: &Machine, path: &str) -> String {
    run(machine, &format!("stat -c '%U:%G %a' {path}")).trim().to_owned()
}

#[test]
fn only_a_purge_removes_the_history() {
    let Some(network) = Network::new() else { return };
    let needed = ["dpkg", "man", "setpriv", "systemd-analyze"].map(installed);
    if needed.contains(&None) {
        return;
    }
    let sandbox = Sandbox::new();
    let Some(machine) = Machine::sharing(&sandbox.path("")) else { return };
    let (Some(first), Some(second)) = (package(&sandbox, "0.0.1-1"), package(&sandbox, "0.0.2-1"))
    else {
        return;
    };
    // Whatever this machine has of it; and the index of all manuals is not made again each time.
    let already = "dpkg --purge energi-gateway; deluser energi-gateway; rm -rf";
    let index = "/var/lib/man-db/auto-update";
    drop(try_to_run(&machine, &format!("{already} {STATE} /etc/energi-gateway {index}")));

    // Installed, it is ready to run, and says where it would wait.
    let said = run(&machine, &format!("dpkg -i {SHARED}/{first} 2>&1"));
    assert!(said.contains("eth0"), "{said}");
    assert_eq!(owner(&machine, CONFIG), "root:energi-gateway 640");
    assert_eq!(owner(&machine, STATE), "energi-gateway:energi-gateway 700");
    let enabled = "/etc/systemd/system/multi-user.target.wants/energi-gateway.service";
    run(&machine, &format!("test -L {enabled}"));
    let check = documented_check();
    run(&machine, &check);
    run(&machine, "systemd-analyze verify energi-gateway.service");
    let manual = run(&machine, "man -w energi-gateway energi-gateway-history-backup");
    assert_eq!(manual.lines().count(), 2, "{manual}");
    for completions in [
        "bash-completion/completions/energi-gateway",
        "zsh/vendor-completions/_energi-gateway",
        "fish/vendor_completions.d/energi-gateway.fish",
    ] {
        run(&machine, &format!("test -s /usr/share/{completions}"));
    }

    // It receives a device with the one capability that it is given.
    let service = Service::new(&machine, &network, &sandbox);
    let running = service.start();
    service.hears_a_device();
    // The first thread, which is not the one that listens, has given it up.
    assert_eq!(status(&running, "CapEff"), "0000000000000000");
    // Root may look into the history at any time without being in the service's way.
    run(&machine, &format!("energi-gateway report daily --db {HISTORY}"));
    run(&machine, &check);
    service.hears_a_device();
    stop(running);
    let before = service.samples();
    assert!(before > 0);
    for file in run(&machine, &format!("ls {STATE}/*")).lines() {
        assert_eq!(owner(&machine, file), "energi-gateway:energi-gateway 600", "{file}");
    }

    // An upgrade keeps the history, and the configuration as its owner has changed it.
    run(&machine, &format!("sed -i '1i site: home' {CONFIG}"));
    run(&machine, &format!("dpkg -i {SHARED}/{second}"));
    assert_eq!(run(&machine, "dpkg-query -W -f '${Version}' energi-gateway"), "0.0.2-1");
    assert!(run(&machine, &format!("cat {CONFIG}")).starts_with("site: home\n"));
    assert_eq!(owner(&machine, CONFIG), "root:energi-gateway 640");
    assert_eq!(service.samples(), before);
    let running = service.start();
    service.hears_a_device();
    stop(running);
    let after = service.samples();
    assert!(after > before, "{after}, {before}");

    // A removal keeps both, and who installs it again goes on where they were.
    run(&machine, "dpkg --remove energi-gateway");
    assert!(!try_to_run(&machine, "command -v energi-gateway").status.success());
    run(&machine, &format!("dpkg -i {SHARED}/{second}"));
    assert_eq!(service.samples(), after);
    assert!(run(&machine, &format!("cat {CONFIG}")).starts_with("site: home\n"));
    run(&machine, &format!("test -L {enabled}"));

    run(&machine, "dpkg --purge energi-gateway");
    for path in [STATE, "/etc/energi-gateway", enabled, "/usr/share/doc/energi-gateway"] {
        assert!(!try_to_run(&machine, &format!("test -e {path}")).status.success(), "{path}");
    }
}

/// A line of a process's status.
fn status(running: &Running, key: &str) -> String {
    let path = PathBuf::from(format!("/proc/{}/status", running.0.id()));
    let status = fs::read_to_string(Path::new(&path)).unwrap();
    let mut lines = status.lines().filter_map(|line| line.split_once(":\t"));
    lines.find(|(name, _)| *name == key).unwrap().1.to_owned()
}
