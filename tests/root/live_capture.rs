//! Live capture on real network interfaces: veth cables and macvlan devices in namespaces.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use energi_gateway::capture::live::{
    InterfaceName, LinkState, LiveCounters, LiveSettings, LiveSource, probe,
};
use energi_gateway::capture::stop::Stop;
use energi_gateway::capture::{CaptureError, Event, Source};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use rustix::time::{ClockId, clock_gettime};
use support::logs::Logs;
use support::network::{Namespace, Network, Sender, device_frame, ethernet, number_of};
use support::skip::skip;

const BROADCAST: [u8; 6] = [0xff; 6];

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

fn interface(name: &str) -> InterfaceName {
    name.parse().unwrap()
}

fn on(name: &str) -> LiveSettings {
    LiveSettings { interface: interface(name), promiscuous: false }
}

/// A gateway's capture thread, at work in a namespace.
struct Capture {
    frames: mpsc::Receiver<Vec<u8>>,
    counters: Arc<LiveCounters>,
    logs: Logs,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Effort>,
}

/// Cost of a capture thread.
struct Effort {
    cpu: Duration,
    wall: Duration,
}

impl Capture {
    fn start(namespace: &Namespace, settings: LiveSettings) -> Self {
        let (send_frame, frames) = mpsc::channel();
        let (report, opened) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = namespace.spawn(move || {
            let logs = Logs::capture();
            let (start, cpu) = (Instant::now(), thread_cpu());
            let mut live = LiveSource::open(settings).unwrap();
            report.send((live.counters(), logs)).unwrap();
            while !stopped.load(Ordering::Relaxed) {
                match live.next().unwrap() {
                    Event::Packet(packet) => {
                        assert!(packet.time.is_some());
                        send_frame.send(packet.bytes.to_vec()).unwrap();
                    }
                    Event::Idle => {}
                    Event::End => unreachable!("a network never ends"),
                }
            }
            Effort { cpu: thread_cpu().saturating_sub(cpu), wall: start.elapsed() }
        });
        let (counters, logs) = opened.recv_timeout(PATIENCE).unwrap();
        Self { frames, counters, logs, stop, thread }
    }

    fn hear(&self) -> Vec<u8> {
        self.frames.recv_timeout(PATIENCE).unwrap()
    }

    /// Sends frames until one is heard; those before it came while the interface was away.
    fn hears_again(&self, sender: &mut Sender) {
        let start = Instant::now();
        loop {
            sender.send(&device_frame(0));
            if self.frames.recv_timeout(Duration::from_millis(50)).is_ok() {
                break;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "nothing is heard any more:\n{:?}",
                self.logs.lines()
            );
        }
        // One that must be heard, now that it listens; what is still on its way comes before.
        sender.send(&device_frame(1));
        while number_of(&self.hear()) != 1 {}
    }

    fn finish(self) -> (Effort, Arc<LiveCounters>, Logs) {
        self.stop.store(true, Ordering::Relaxed);
        (self.thread.join().unwrap(), self.counters, self.logs)
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn count(logs: &Logs, words: &str) -> usize {
    logs.lines().iter().filter(|line| line.contains(words)).count()
}

/// Returns what else goes over a household's network.
fn other_traffic() -> Vec<Vec<u8>> {
    let payload = [0x45; 100];
    let frame = |destination, tail: &[u8]| [&ethernet(destination, tail)[..], &payload].concat();
    vec![
        frame(BROADCAST, &[0x08, 0x00]),
        frame(BROADCAST, &[0x08, 0x06]),
        frame([0x01, 0x00, 0x5e, 0, 0, 0xfb], &[0x08, 0x00]),
        frame([0x33, 0x33, 0, 0, 0, 0xfb], &[0x86, 0xdd]),
        frame([0x71, 0xb3, 0xd5, 0x3a, 0x6f, 0x00], &[0x88, 0xb6]),
        frame(BROADCAST, &[0x81, 0x00, 0, 10, 0x08, 0x00]),
    ]
}

#[test]
fn no_frame_is_lost_at_20_000_a_second() {
    const MILLISECONDS: u32 = 10_000;
    const EACH: u32 = 20;
    let Some(network) = Network::new() else { return };
    let capture = Capture::start(&network.home, on("eth0"));
    let mut sender = network.world.sender("eth0");
    let others = other_traffic();
    let sending = thread::spawn(move || {
        let mut other = others.iter().cycle();
        sender.each_millisecond(MILLISECONDS, |sender, millisecond| {
            for number in millisecond * EACH..(millisecond + 1) * EACH {
                sender.send(&device_frame(number));
                sender.send(other.next().unwrap());
            }
        })
    });
    for number in 0..MILLISECONDS * EACH {
        let heard = number_of(&capture.hear());
        assert_eq!(heard, number, "a frame is missing: {:?}", capture.counters);
    }
    let took = sending.join().unwrap();
    let (effort, counters, _) = capture.finish();
    let sent = u64::from(MILLISECONDS * EACH);
    println!(
        "{sent} frames and as many others in {took:?}; capture thread {:?} CPU; {counters:?}",
        effort.cpu
    );
    assert!(took < Duration::from_secs(11), "this machine is too busy to send: {took:?}");
    assert_eq!(counters.received.get(), sent);
    assert_eq!(counters.kernel_passed.get(), sent, "only our frames reach the socket");
    assert_eq!(counters.kernel_drops.get(), 0);
}

#[test]
fn a_replaced_interface_is_heard_again() {
    let Some(network) = Network::new() else { return };
    let capture = Capture::start(&network.home, on("eth0"));
    let away = Duration::from_millis(1500);
    capture.hears_again(&mut network.world.sender("eth0"));

    network.home.ip("link set eth0 down");
    thread::sleep(away);
    network.home.ip("link set eth0 up");
    capture.hears_again(&mut network.world.sender("eth0"));

    network.home.ip("link del eth0");
    thread::sleep(away);
    network.plug_in();
    capture.hears_again(&mut network.world.sender("eth0"));

    // Another one under the old name while the old one lives on, unheard of any error.
    network.home.ip("link set eth0 name old0");
    network.plug_in_to("eth1");
    capture.hears_again(&mut network.world.sender("eth1"));

    // The cable, pulled at the other end, is no error.
    network.world.ip("link set eth1 down");
    thread::sleep(away);
    network.world.ip("link set eth1 up");
    capture.hears_again(&mut network.world.sender("eth1"));

    let (effort, counters, logs) = capture.finish();
    let share = effort.cpu.as_secs_f64() / effort.wall.as_secs_f64();
    println!("{:?} CPU in {:?}: {:.2} %", effort.cpu, effort.wall, share * 100.0);
    assert!(share < 0.05, "{share}");
    assert_eq!(counters.reopened.get(), 3);
    assert_eq!(count(&logs, "went away"), 3, "each said once:\n{:?}", logs.lines());
    assert_eq!(count(&logs, "is available"), 3, "{:?}", logs.lines());
}

#[test]
fn a_missing_interface_is_waited_for() {
    let Some(network) = Network::new() else { return };
    network.home.ip("link del eth0");
    let capture = Capture::start(&network.home, on("eth0"));
    assert_eq!(count(&capture.logs, "does not exist"), 1, "{:?}", capture.logs.lines());
    network.plug_in();
    capture.hears_again(&mut network.world.sender("eth0"));
    let (_, counters, logs) = capture.finish();
    assert_eq!(counters.reopened.get(), 1);
    assert_eq!(count(&logs, "WARN "), 1, "{:?}", logs.lines());
}

#[test]
fn an_interface_down_at_the_start_is_waited_for() {
    let Some(network) = Network::new() else { return };
    network.home.ip("link set eth0 down");
    let capture = Capture::start(&network.home, on("eth0"));
    assert_eq!(count(&capture.logs, "is down"), 1, "{:?}", capture.logs.lines());
    network.home.ip("link set eth0 up");
    capture.hears_again(&mut network.world.sender("eth0"));
    capture.finish();
}

#[test]
fn kernel_drops_are_counted_across_a_reopening() {
    const SENT: u32 = 45_000;
    let Some(network) = Network::new() else { return };
    let mut sender = network.world.sender("eth0");
    let mut live = network.home.spawn(|| LiveSource::open(on("eth0")).unwrap()).join().unwrap();
    let counters = live.counters();
    // Nobody reads: the queue fills.
    (0..SENT).for_each(|number| sender.send(&device_frame(number)));
    network.home.ip("link set eth0 down");
    let home = network.home.spawn(move || {
        let mut delivered = 0;
        let start = Instant::now();
        // It drains, sees that the interface is down, and lets go of the socket.
        let counters = live.counters();
        while counters.received.get() + counters.kernel_drops.get() < SENT.into() {
            assert!(start.elapsed() < PATIENCE, "{counters:?}");
            delivered += u64::from(matches!(live.next().unwrap(), Event::Packet(_)));
        }
        (live, delivered)
    });
    let (mut live, delivered) = home.join().unwrap();
    println!("{counters:?}");
    assert_eq!(counters.received.get(), delivered);
    assert!(counters.kernel_drops.get() > 0, "the queue never was full: {counters:?}");
    let drops = counters.kernel_drops.get();

    network.home.ip("link set eth0 up");
    let home = network.home.spawn(move || {
        while live.counters().reopened.get() == 0 {
            live.next().unwrap();
        }
        live
    });
    let mut live = home.join().unwrap();
    sender.send(&device_frame(SENT));
    let start = Instant::now();
    while !matches!(live.next().unwrap(), Event::Packet(_)) {
        assert!(start.elapsed() < PATIENCE);
    }
    drop(live);
    assert_eq!(counters.kernel_drops.get(), drops, "neither lost nor counted twice");
    assert_eq!(counters.received.get(), delivered + 1);
    assert_eq!(counters.kernel_passed.get(), u64::from(SENT) + 1);
}

#[test]
fn the_group_passes_a_card_that_filters_multicast() {
    let Some(network) = Network::new() else { return };
    let mut sender = network.world.sender("eth0");
    let mut mark = device_frame(99);
    mark[..6].copy_from_slice(&BROADCAST);
    let mut send_frames = || {
        (0..20).for_each(|number| sender.send(&device_frame(number)));
        sender.send(&mark);
    };
    // A macvlan device filters as a network card does; a veth lets everything through. Its filter
    // has 256 places: one card in fifty or so has a group of its own in the place of ours.
    for card in ["card0", "card1", "card2", "card3"] {
        if let Err(why) =
            network.home.try_ip(&format!("link add link eth0 name {card} type macvlan mode bridge"))
        {
            return skip(&format!("no macvlan device: {why}"));
        }
        network.home.ip(&format!("link set {card} up"));
        let mut plain = network.home.plain_listener(card);
        send_frames();
        let first = loop {
            let frame = plain.next().unwrap();
            if frame[12..14] == [0x88, 0xb5] {
                break frame;
            }
        };
        if first == mark {
            // Without the membership the card keeps the group's frames back; with it:
            let capture = Capture::start(&network.home, on(card));
            send_frames();
            for number in (0..20).chain([99]) {
                assert_eq!(number_of(&capture.hear()), number);
            }
            capture.finish();
            return;
        }
    }
    panic!("no card filters");
}

#[test]
fn the_interface_is_left_as_it_was() {
    let Some(network) = Network::new() else { return };
    let mut sender = network.world.sender("eth0");
    let state = || {
        let link = network.home.ip("-d link show dev eth0");
        let groups = network.home.ip("maddr show dev eth0");
        (
            link.contains("promiscuity 1 "),
            link.contains("PROMISC"),
            groups.contains("71:b3:d5:3a:6f:00"),
        )
    };
    assert_eq!(state(), (false, false, false));

    let capture = Capture::start(&network.home, on("eth0"));
    capture.hears_again(&mut sender);
    assert_eq!(state(), (false, false, true), "the group is joined, nothing more");
    capture.finish();
    assert_eq!(state(), (false, false, false));

    let promiscuous = LiveSettings { promiscuous: true, ..on("eth0") };
    let capture = Capture::start(&network.home, promiscuous);
    capture.hears_again(&mut sender);
    let (on_request, flag, _) = state();
    assert!(on_request, "promiscuous on request");
    assert!(!flag, "never by the interface's flag");
    capture.finish();
    assert_eq!(state(), (false, false, false), "undone when the socket closes");
}

/// Takes every capability but these from the thread.
fn keep_only(kept: CapabilitySet) {
    let inheritable = CapabilitySet::empty();
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable };
    set_capabilities(None, sets).unwrap();
}

#[test]
fn without_the_capability_the_error_has_the_remedy() {
    let Some(network) = Network::new() else { return };
    let refused = network.home.spawn(move || {
        keep_only(capabilities(None).unwrap().permitted - CapabilitySet::NET_RAW);
        (LiveSource::open(on("eth0")).unwrap_err(), probe(&interface("eth0")))
    });
    let (error, probe) = refused.join().unwrap();
    assert!(matches!(error, CaptureError::Permission(_)), "{error:?}");
    let message = error.to_string();
    let program = std::env::current_exe().unwrap();
    let setcap = format!("sudo setcap cap_net_raw+ep {}\n", program.display());
    assert!(message.contains(&setcap), "{message}");
    assert!(message.contains("AmbientCapabilities=CAP_NET_RAW"), "{message}");
    assert_eq!(probe.forbidden.as_ref(), Some(&message));
    assert!(!probe.is_ready());
}

#[test]
fn the_capability_alone_is_enough() {
    let Some(network) = Network::new() else { return };
    let allowed = network.home.spawn(move || {
        keep_only(CapabilitySet::NET_RAW);
        LiveSource::open(LiveSettings { promiscuous: true, ..on("eth0") }).unwrap()
    });
    let mut live = allowed.join().unwrap();
    network.world.sender("eth0").send(&device_frame(7));
    assert!(matches!(live.next().unwrap(), Event::Packet(packet) if number_of(packet.bytes) == 7));
}

#[test]
fn frames_behind_a_vlan_tag_are_heard() {
    let Some(network) = Network::new() else { return };
    let capture = Capture::start(&network.home, on("eth0"));
    let mut sender = network.world.sender("eth0");
    for (number, vlan) in [(1, 10), (2, 0)] {
        let mut tagged = device_frame(number);
        tagged.splice(12..12, [0x81, 0x00, 0x00, vlan]);
        sender.send(&tagged);
        assert_eq!(capture.hear(), device_frame(number), "the kernel takes the tag off");
    }
    capture.finish();
}

#[test]
fn a_stop_wakes_an_idle_capture() {
    let Some(network) = Network::new() else { return };
    for away in [false, true] {
        if away {
            network.home.ip("link set eth0 down");
        }
        let (stop, begun) = (Stop::default(), mpsc::channel());
        let stopped = stop.clone();
        let idle = network.home.spawn(move || {
            let mut live = LiveSource::open(on("eth0")).unwrap();
            live.wake_on(&stopped);
            begun.0.send(()).unwrap();
            let mut rounds = 0;
            while !stopped.is_raised() {
                live.next().unwrap();
                rounds += 1;
            }
            (rounds, Instant::now())
        });
        begun.1.recv_timeout(PATIENCE).unwrap();
        let time = Duration::from_secs(3);
        thread::sleep(time);
        let raised = Instant::now();
        stop.raise();
        let (rounds, ended) = idle.join().unwrap();
        assert!(rounds < 20, "{rounds} rounds in {time:?}");
        assert!(ended - raised < Duration::from_millis(500), "{:?}", ended - raised);
    }
}

#[test]
fn what_this_machine_sends_is_not_taken_for_a_device() {
    let Some(network) = Network::new() else { return };
    let capture = Capture::start(&network.home, on("eth0"));
    network.home.sender("eth0").send(&device_frame(1));
    network.world.sender("eth0").send(&device_frame(2));
    assert_eq!(number_of(&capture.hear()), 2);
    let (_, counters, _) = capture.finish();
    assert_eq!(counters.kernel_passed.get(), 1);
}

#[test]
fn a_bridge_is_heard_but_not_its_port() {
    let Some(network) = Network::new() else { return };
    if let Err(why) = network.home.try_ip("link add br0 type bridge") {
        return skip(&format!("no bridge: {why}"));
    }
    network.home.ip("link set eth0 master br0");
    network.home.ip("link set br0 up");
    let port = Capture::start(&network.home, on("eth0"));
    let bridge = Capture::start(&network.home, on("br0"));
    bridge.hears_again(&mut network.world.sender("eth0"));
    bridge.finish();
    let (_, counters, _) = port.finish();
    assert_eq!(counters.kernel_passed.get(), 0, "the bridge took them; what the docs say");
}

#[test]
fn an_interface_of_another_kind_is_refused() {
    let Some(network) = Network::new() else { return };
    if let Err(why) = network.home.try_ip("tuntap add tun0 mode tun") {
        return skip(&format!("no tun device: {why}"));
    }
    network.home.ip("link set tun0 up");
    let refused = network.home.spawn(|| LiveSource::open(on("tun0")).unwrap_err()).join().unwrap();
    assert!(matches!(refused, CaptureError::Io(_)), "{refused:?}");
    assert!(refused.to_string().contains("tun0"), "{refused}");
}

#[test]
fn a_probe_tells_the_state_of_an_interface() {
    let Some(network) = Network::new() else { return };
    let look =
        |name: &'static str| network.home.spawn(move || probe(&interface(name))).join().unwrap();
    assert!(look("eth0").is_ready());
    network.world.ip("link set eth0 down");
    assert_eq!(look("eth0").state, LinkState::NoCarrier);
    network.home.ip("link set eth0 down");
    assert_eq!(look("eth0").state, LinkState::Down);
    if network.home.try_ip("link property add dev eth0 altname enx020406081012").is_ok() {
        assert_eq!(look("enx020406081012").state, LinkState::Down, "an alternative name");
    }
    let missing = look("eht0");
    assert_eq!(missing.state, LinkState::Missing);
    let said = missing.to_string();
    assert!(said.starts_with("eht0 ") && said.contains(": eth0"), "{said}");
}
