//! A real `PostgreSQL` for a test.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::process::{Running, free_port};
use crate::skip::skip;

/// Folder of a release's programs on Debian.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// Longest time of something that should happen soon, on a machine that does much else.
const SOON: Duration = Duration::from_mins(1);

/// A cluster of the test's own, ended with it. Its owner is the role `owner`, with the password
/// `owner`, and it holds the database `energy`.
pub struct Postgres {
    folder: TempDir,
    pub port: u16,
    user: Option<(u32, u32)>,
    running: Option<Running>,
}

impl Postgres {
    /// Starts one. None: the test has been skipped.
    pub fn start() -> Option<Self> {
        let mut server = Self::stopped()?;
        server.run(&[]);
        server.ask_as("owner", "postgres", "CREATE DATABASE energy");
        Some(server)
    }

    /// One that does not run yet.
    pub fn stopped() -> Option<Self> {
        if !Path::new(PROGRAMS).join("postgres").is_file() {
            skip("PostgreSQL 15 is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // It refuses to run as root.
        let user = rustix::process::getuid().is_root().then(|| (id("-u"), id("-g")));
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let server = Self { folder, port: free_port(), user, running: None };
        fs::write(server.path("password"), "owner\n").unwrap();
        let made = server
            .program("initdb")
            .args(["--auth=scram-sha-256", "--username=owner", "--no-sync", "--encoding=UTF8"])
            .arg(format!("--pwfile={}", server.path("password").display()))
            .arg(server.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(server)
    }

    /// A replica that does not run yet. Its own folder goes with it.
    pub fn replica(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some((uid, gid)) = self.user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let replica = Self { folder, port: free_port(), user: self.user, running: None };
        let primary = format!("host=127.0.0.1 port={} user=owner password=owner", self.port);
        let copied = replica
            .program("pg_basebackup")
            .args(["-R", "-X", "stream", "-c", "fast", "-d", &primary, "-D"])
            .arg(replica.data())
            .output()
            .unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        replica
    }

    /// Makes a replica a primary.
    pub fn promote(&self) {
        self.ask_as("owner", "postgres", "SELECT pg_promote()");
    }

    /// Starts it with these options, and waits until it answers.
    pub fn run(&mut self, options: &[&str]) {
        let begun = Instant::now();
        loop {
            let mut command = self.program("postgres");
            command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
            command.arg("-k").arg(self.folder.path());
            command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
            for option in options {
                command.args(["-c", option]);
            }
            self.running = Some(Running(command.spawn().unwrap()));
            // After a kill the children of the one before may still be about.
            while begun.elapsed() < SOON {
                if self.answers() {
                    return;
                }
                if self.running.as_mut().unwrap().0.try_wait().unwrap().is_some() {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
            assert!(begun.elapsed() < SOON, "it does not start");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
            && self.query("owner", "owner", "postgres", "SELECT 1").is_ok()
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Stops every process of it where it is, or lets them go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        let postmaster = self.running.as_ref().unwrap().0.id();
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = fs::read_to_string(children).unwrap();
        let children = children.split_whitespace().map(|id| id.parse().unwrap());
        for process in [i32::try_from(postmaster).unwrap()].into_iter().chain(children) {
            // A child may have ended.
            let _ended = kill_process(Pid::from_raw(process).unwrap(), signal);
        }
    }

    /// The address of its database for a role.
    pub fn url(&self, role: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/energy", self.port)
    }

    /// Has the owner do something, and returns what came of it: a line a row.
    pub fn ask(&self, sql: &str) -> String {
        self.ask_as("owner", "energy", sql)
    }

    /// Runs a file of SQL as the owner, with variables of psql.
    pub fn run_file(&self, file: &Path, variables: &[(&str, &str)]) {
        let mut command = self.psql("owner", "owner", "energy");
        for (name, value) in variables {
            command.args(["-v", &format!("{name}={value}")]);
        }
        let output = command.arg("-f").arg(file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn ask_as(&self, role: &str, database: &str, sql: &str) -> String {
        self.query(role, role, database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Has a role do something, and returns what came of it, or what the server says.
    ///
    /// # Errors
    /// What psql writes on standard error.
    pub fn query(
        &self,
        role: &str,
        password: &str,
        database: &str,
        sql: &str,
    ) -> Result<String, String> {
        let output = self.psql(role, password, database).args(["-c", sql]).output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn psql(&self, role: &str, password: &str, database: &str) -> Command {
        let mut command = Command::new(Path::new(PROGRAMS).join("psql"));
        command
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", role, "-d", database])
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .env("PGPASSWORD", password);
        command
    }

    /// Copies a file into its folder, readable by it alone.
    pub fn give(&self, name: &str, file: &Path) -> PathBuf {
        let path = self.path(name);
        fs::copy(file, &path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        if let Some((uid, gid)) = self.user {
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
        path
    }

    /// A file system of this size that it may write to. None: the test has been skipped.
    pub fn disk(&self, size: &str) -> Option<Disk> {
        let owner = self.user.map(|(uid, gid)| format!(",uid={uid},gid={gid}"));
        let options = format!("size={size},mode=0700{}", owner.unwrap_or_default());
        Disk::mount(self.path("disk"), &options)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(Path::new(PROGRAMS).join(name));
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

fn id(what: &str) -> u32 {
    let output = Command::new("id").args([what, "postgres"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().expect("there is a user postgres")
}
