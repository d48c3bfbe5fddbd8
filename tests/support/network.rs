//! Real networks to test on: namespaces, virtual cables, and something that sends.

use std::fs::File;
use std::os::fd::{AsFd, IntoRawFd};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use energi_decoders::frame::MULTICAST;
use pnet::datalink::{self, ChannelType, Config, DataLinkReceiver, DataLinkSender};
use rustix::process::setpriority_process;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Socket, Type};

use crate::skip::skip;

/// Protocol of a packet socket that hears everything: `ETH_P_ALL`.
const EVERY_ETHERTYPE: u16 = 3;

/// A network namespace, removed with everything in it when dropped.
pub struct Namespace(String);

impl Namespace {
    /// Makes one, or says why it cannot be made.
    fn new(purpose: &str) -> Result<Self, String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("energi-{}-{number}-{purpose}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        Ok(Self(name))
    }

    /// The name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Runs `ip` in the namespace and gives what it prints.
    pub fn ip(&self, arguments: &str) -> String {
        self.try_ip(arguments).unwrap()
    }

    /// Runs `ip` in the namespace; the error is what it says.
    pub fn try_ip(&self, arguments: &str) -> Result<String, String> {
        run(Command::new("ip").args(["-n", &self.0]).args(arguments.split(' ')))
    }

    /// The same program with the same arguments, environment and folder, to be run in the namespace.
    pub fn inside(&self, program: &Command) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program.get_program());
        command.args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = program.get_current_dir() {
            command.current_dir(folder);
        }
        command
    }

    /// Runs `work` on a thread that lives in the namespace.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let namespace = File::open(format!("/run/netns/{}", self.0)).unwrap();
        thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        })
    }

    /// A socket that sends on an interface of the namespace, and receives nothing.
    pub fn sender(&self, interface: &str) -> Sender {
        Sender(self.channel(interface, 0).0)
    }

    /// A socket as a program opens it that knows nothing of multicast groups.
    pub fn plain_listener(&self, interface: &str) -> Box<dyn DataLinkReceiver> {
        self.channel(interface, EVERY_ETHERTYPE).1
    }

    fn channel(
        &self,
        interface: &str,
        ethertype: u16,
    ) -> (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>) {
        let interface = interface.to_owned();
        let open = self.spawn(move || {
            let interface =
                datalink::interfaces().into_iter().find(|found| found.name == interface).unwrap();
            let socket = Socket::new(Domain::PACKET, Type::RAW, None).unwrap();
            let config = Config {
                socket_fd: Some(socket.into_raw_fd()),
                channel_type: ChannelType::Layer3(ethertype),
                promiscuous: false,
                read_timeout: Some(Duration::from_secs(10)),
                ..Config::default()
            };
            datalink::channel(&interface, config).unwrap()
        });
        match open.join().unwrap() {
            datalink::Channel::Ethernet(sender, receiver) => (sender, receiver),
            _ => unreachable!("pnet has no other kind of channel"),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("ip").args(["netns", "del", &self.0])) {
            eprintln!("a namespace stays behind: {error}");
        }
    }
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// The gateway's machine and the rest of the world, with a cable between: `eth0` on both ends.
pub struct Network {
    /// Network of the gateway.
    pub home: Namespace,
    /// Network of the devices.
    pub world: Namespace,
}

impl Network {
    /// Lays the cable; `None`, with a word on why, where this process may not make networks.
    pub fn new() -> Option<Self> {
        match Namespace::new("home").and_then(|home| Ok((home, Namespace::new("world")?))) {
            Ok((home, world)) => {
                let network = Self { home, world };
                network.plug_in();
                Some(network)
            }
            Err(why) => {
                skip(&format!("it makes network namespaces, which takes root: {why}"));
                None
            }
        }
    }

    /// Makes `eth0` on both ends.
    pub fn plug_in(&self) {
        self.plug_in_to("eth0");
    }

    /// Makes `eth0` at home, with `name` at the other end.
    pub fn plug_in_to(&self, name: &str) {
        let Namespace(world) = &self.world;
        self.home.ip(&format!("link add eth0 type veth peer name {name} netns {world}"));
        self.home.ip("link set eth0 up");
        self.world.ip(&format!("link set {name} up"));
    }
}

/// Puts frames on a wire.
pub struct Sender(Box<dyn DataLinkSender>);

impl Sender {
    /// Sends one frame.
    pub fn send(&mut self, frame: &[u8]) {
        self.0.send_to(frame, None).unwrap().unwrap();
    }

    /// Calls `step` for each of `steps` milliseconds, late ones at once, and returns the time it
    /// took. The calling thread goes before others, so that a busy machine does not slow it down.
    pub fn each_millisecond(
        &mut self,
        steps: u32,
        mut step: impl FnMut(&mut Self, u32),
    ) -> Duration {
        setpriority_process(None, -5).unwrap();
        let start = Instant::now();
        for number in 0..steps {
            thread::sleep(
                (start + Duration::from_millis(number.into()))
                    .saturating_duration_since(Instant::now()),
            );
            step(self, number);
        }
        start.elapsed()
    }
}

/// A frame of a device, `number` in its record: 0x22, padded as on a real wire.
pub fn device_frame(number: u32) -> Vec<u8> {
    let mut frame = ethernet(MULTICAST.0, &[0x88, 0xb5]);
    frame.extend([0xcb, 0xda, 0xe9, 0xf8]);
    frame.extend([0; 16]);
    frame.extend([1, 0, 0, 0]);
    let mut record = [0; 0x22];
    record[..6].copy_from_slice(&[0x22, 0x53, 0x10, 0x35, 0, 0xff]);
    record[6..10].copy_from_slice(&number.to_le_bytes());
    frame.extend(record);
    frame
}

/// The number in a frame that [`device_frame`] made.
pub fn number_of(frame: &[u8]) -> u32 {
    u32::from_le_bytes(frame[14 + 0x1e..][..4].try_into().unwrap())
}

/// An Ethernet header: destination, some source, then `tail`.
pub fn ethernet(destination: [u8; 6], tail: &[u8]) -> Vec<u8> {
    [&destination, &[0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa5][..], tail].concat()
}
