//! A machine to install packages on: it has this one's files, and what is changed on it is gone with
//! it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::network::Namespace;
use crate::process::Running;
use crate::skip::skip;

/// Path of the folder that the machine shares with the test.
pub const SHARED: &str = "/mnt";

/// Lays the machine over this one's files, in a mount namespace that ends with the last process in
/// it, and waits there until its standard input is closed.
const LAY: &str = r#"
mkdir -p "$1/machine"
mount -t tmpfs -o mode=755 machine "$1/machine"
mkdir "$1/machine/changes" "$1/machine/work" "$1/machine/root"
root="$1/machine/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/machine/changes,workdir=$1/machine/work" machine "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount --bind "$1" "$root/mnt"
echo laid
exec chroot "$root" cat
"#;

/// The machine, which has no service manager.
pub struct Machine(Running);

impl Machine {
    /// Makes one that shares `folder`; `None`, with a word on why, where this process may not.
    pub fn sharing(folder: &Path) -> Option<Self> {
        let mut lay = Command::new("unshare");
        lay.args(["--mount", "--propagation", "private", "--", "sh", "-ec", LAY, "sh"]).arg(folder);
        lay.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut laid = Running(lay.spawn().unwrap());
        let mut word = String::new();
        BufReader::new(laid.0.stdout.take().unwrap()).read_line(&mut word).unwrap();
        if word.is_empty() {
            let mut why = String::new();
            let said = BufReader::new(laid.0.stderr.take().unwrap());
            said.lines().map_while(Result::ok).for_each(|line| why += &line);
            skip(&format!("it makes a machine of its own, which takes root: {why}"));
            return None;
        }
        Some(Self(laid))
    }

    /// A command that is to be run there, on the network of this machine.
    pub fn command(&self, program: &str) -> Command {
        self.enter(&[], program)
    }

    /// A command that is to be run there, with `network` for its network.
    pub fn command_on(&self, network: &Namespace, program: &str) -> Command {
        self.enter(&[&format!("--net=/run/netns/{}", network.name())], program)
    }

    fn enter(&self, more: &[&str], program: &str) -> Command {
        let Self(Running(holder)) = self;
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &holder.id().to_string(), "--mount", "--root"]);
        // The folder of this process is not there.
        enter.args(more).args(["--", "env", "--chdir=/", program]);
        enter.env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
        enter.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        enter
    }
}
