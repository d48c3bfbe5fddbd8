//! `doctor` and `init`: what they find on real networks, and what they tell to do.

use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use energi_gateway::capture::replay::ReplaySource;
use energi_gateway::capture::{Event, Source, Speed};
use rustix::process::{Pid, Signal, kill_process};
use support::gateway::{Sandbox, example_day, stderr, stdout};
use support::network::{Namespace, Network, device_frame, ethernet};
use support::process::{Running, installed};
use support::skip::skip;
use support::terminal::Terminal;

const PATIENCE: Duration = Duration::from_mins(1);
const SERIAL: u32 = 17_589_669;

/// A CT reading, a record that an experimental decoder reads, one that none reads, a zappi's of a
/// length of the eddi's, and other traffic.
fn traffic() -> Vec<Vec<u8>> {
    let record = |length: u8, record_type: u16, serial: usize| {
        let mut frame = device_frame(0);
        frame.truncate(14 + 0x18 + 6);
        frame[14 + 0x18] = length;
        frame.resize(14 + 0x18 + usize::from(length), 0);
        frame[14 + 0x1A..14 + 0x1C].copy_from_slice(&record_type.to_le_bytes());
        frame[14 + serial..14 + serial + 4].copy_from_slice(&SERIAL.to_le_bytes());
        frame
    };
    let arp = [&ethernet([0xff; 6], &[0x08, 0x06])[..], &[0; 46]].concat();
    vec![
        record(0x22, 0x3600, 0x2E),
        record(0x36, 0x5A5A, 0x4A),
        record(0x2C, 0x7878, 0x1E),
        record(0x20, 0x7979, 0x1E),
        arp,
    ]
}

fn doctor(home: &Namespace, arguments: &str) -> Command {
    let arguments: Vec<_> = ["doctor"].into_iter().chain(arguments.split_whitespace()).collect();
    let mut command = home.inside(&Sandbox::new().program(&arguments));
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Sends `traffic` over the cable until the program has ended.
fn send_until_it_ends(network: &Network, traffic: &[Vec<u8>], running: &mut Running) {
    let mut sender = network.world.sender("eth0");
    let start = Instant::now();
    while running.0.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE, "it does not end");
        for frame in traffic {
            sender.send(frame);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs it while `traffic` goes over the cable, until it has ended.
fn examined(network: &Network, arguments: &str, traffic: &[Vec<u8>]) -> Output {
    let mut running = Running(doctor(&network.home, arguments).spawn().unwrap());
    send_until_it_ends(network, traffic, &mut running);
    let mut output =
        Output { status: running.0.wait().unwrap(), stdout: Vec::new(), stderr: Vec::new() };
    std::io::copy(running.0.stdout.as_mut().unwrap(), &mut output.stdout).unwrap();
    std::io::copy(running.0.stderr.as_mut().unwrap(), &mut output.stderr).unwrap();
    output
}

fn says(output: &Output, code: i32, words: &[&str]) {
    let (result, said) = (stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(code), "{result}{said}");
    for word in words {
        assert!(result.contains(word), "`{word}` is not in:\n{result}{said}");
    }
}

/// A line of the output begins with these words.
fn has_line(output: &Output, words: &[&str]) {
    let text = stdout(output);
    let begins = |line: &str| line.split_whitespace().collect::<Vec<_>>().starts_with(words);
    assert!(text.lines().any(begins), "no line {words:?} in:\n{text}");
}

#[test]
fn frames_are_shown_with_the_devices_they_name() {
    let Some(network) = Network::new() else { return };
    let link = || network.home.ip("-d link show dev eth0");
    let before = link();
    // Without -i every interface that could be the right one.
    let output = examined(&network, "--for 2s", &traffic());
    says(&output, 0, &["Permission to capture\n  granted\n", "frames, ", "myenergi"]);
    has_line(&output, &["eth0", "virtual", "up"]);
    has_line(&output, &["0x0806"]);
    has_line(&output, &["0x88B5"]);
    let text = stdout(&output);
    assert!(text.contains("  ARP\n"), "{text}");
    let read_by = |record: &str, reader: &str| {
        let found = text.lines().find(|line| line.contains(record) && line.ends_with(reader));
        assert!(found.is_some(), "no {record} read by {reader} in:\n{text}");
    };
    read_by("0x22 ", "CT readings");
    read_by("0x36 ", "minute history (experimental)");
    read_by("0x20 ", "refused, of another device");
    read_by("0x2C ", "no decoder");
    has_line(&output, &["17589669", "eddi", "0x22,", "0x36"]);
    says(&output, 0, &["\n      capture: {type: live, interface: eth0}\n", "--only unknown\n"]);
    assert_eq!(link(), before, "the interface is left as it was");
}

/// A record of `length` with little-endian words at protocol offsets.
fn record(length: u8, words: &[(usize, u16)]) -> Vec<u8> {
    let mut frame = device_frame(0);
    frame.truncate(14 + 0x18 + 6);
    frame[14 + 0x18] = length;
    frame.resize(14 + 0x18 + usize::from(length), 0);
    for (offset, word) in words {
        frame[14 + offset..][..2].copy_from_slice(&word.to_le_bytes());
    }
    frame
}

#[test]
fn success_comes_first() {
    let Some(network) = Network::new() else { return };
    let [low, high] = [0x65a5, 0x010c];
    let powers = [(0x1E, 0xf422), (0x22, 3250), (0x2E, low), (0x30, high)];
    let flags = [(0x1E, low), (0x20, high), (0x22, 5001), (0x24, 0x8000), (0x26, 3000)];
    let frames = [record(0x22, &powers), record(0x20, &flags)];
    let output = examined(&network, "-i eth0 --for 1s", &frames);
    says(&output, 0, &[]);
    let text = stdout(&output);
    assert!(text.lines().next().is_some_and(|line| line.contains("received on eth0")), "{text}");
    let last = text.lines().last().unwrap();
    for value in
        ["17589669: ", "Grid -3,038 W", "generation 3,250 W", "heater 0 W", "0.0 kWh", "stopped"]
    {
        assert!(last.contains(value), "no {value} in: {text}");
    }
}

/// The first frames of the example day, which has an eddi, a zappi and a harvi.
fn household() -> Vec<Vec<u8>> {
    let mut replay = ReplaySource::open(&example_day(), Speed::Max).unwrap();
    let frames = std::iter::from_fn(|| match replay.next().unwrap() {
        Event::Packet(packet) => Some(packet.bytes.to_vec()),
        _ => None,
    });
    frames.take(300).collect()
}

const HOUSEHOLD: [(&str, &str); 3] =
    [("10645200", "harvi"), ("16042300", "zappi"), ("17589669", "eddi")];

#[test]
fn each_serial_number_has_its_product() {
    let Some(network) = Network::new() else { return };
    let output = examined(&network, "-i eth0 --for 1s", &household());
    says(&output, 0, &[]);
    for (serial, product) in HOUSEHOLD {
        has_line(&output, &[serial, product]);
    }
}

#[test]
fn init_lists_the_devices_that_it_receives() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let arguments = ["init", "--yes", "--for", "1s", "--no-mqtt", "--name", "16042300=Car"];
    let mut command = network.home.inside(&sandbox.program(&arguments));
    let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    send_until_it_ends(&network, &household(), &mut running);
    let output = running.0.stdout.take().unwrap();
    let text = std::io::read_to_string(output).unwrap();
    for (serial, product) in HOUSEHOLD {
        assert!(text.contains(&format!("{serial}  {product}")), "{text}");
    }
    assert!(text.contains("eth0") && text.contains(" run -c config.yaml\n"), "{text}");

    let written = std::fs::read_to_string(sandbox.path("config.yaml")).unwrap();
    let yaml: serde_yaml::Value = serde_yaml::from_str(&written).unwrap();
    let listed: Vec<_> = yaml["devices"]["list"].as_sequence().unwrap().iter().collect();
    assert_eq!(listed.len(), 1, "{written}");
    assert_eq!(listed[0]["serial"], 17_589_669);
    for line in ["16042300, name: \"Car\"}  # zappi", "10645200}  # harvi", "zappi: true"] {
        assert!(written.contains(line), "no {line} in {written}");
    }
}

/// A command as a shell takes it, of the lines from the one that begins with the program's path.
fn copied(text: &str) -> String {
    let lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with('/'));
    let mut copied = String::new();
    for line in lines {
        copied += line.trim_end_matches('\\');
        if !line.ends_with('\\') {
            break;
        }
    }
    copied
}

#[test]
fn commands_can_be_copied_from_a_narrow_terminal() {
    let Some(network) = Network::new() else { return };
    for width in [50, 80, 120] {
        let terminal = Terminal::of_width(width);
        let mut command = doctor(&network.home, "-i eth0 --for 1s");
        let mut running = Running(command.stdout(terminal.output()).spawn().unwrap());
        // Its handle of the terminal would keep that open.
        drop(command);
        send_until_it_ends(&network, &household(), &mut running);
        let text = terminal.text();
        // The path of the program is one word, which may be longer than the terminal is wide.
        let wide = |line: &&str| line.chars().count() > usize::from(width);
        let broken: Vec<_> =
            text.lines().filter(wide).filter(|line| !line.contains("/energi-gateway")).collect();
        assert!(broken.is_empty(), "{width}: {broken:#?}\n{text}");
        let command = copied(&text);
        assert!(command.ends_with(" record -i eth0 -o unknown.pcapng --only unknown"), "{command}");
        assert!(text.contains("capture: {type: live, interface: eth0}"), "{text}");
        for address in network.home.ip("-br link show dev eth0").split_whitespace().skip(2).take(1)
        {
            assert!(text.contains(address), "{address} is broken:\n{text}");
        }
    }
}

#[test]
fn an_alternative_name_is_examined() {
    let Some(network) = Network::new() else { return };
    if let Err(why) = network.home.try_ip("link property add dev eth0 altname enx020406081012") {
        return skip(&format!("no alternative names: {why}"));
    }
    let output = examined(&network, "-i enx020406081012 --for 1s", &traffic());
    says(&output, 0, &["received on enx020406081012", "interface: enx020406081012}"]);
}

#[test]
fn of_many_interfaces_those_that_matter_are_shown() {
    let Some(network) = Network::new() else { return };
    let sandbox = Sandbox::new();
    let cables: String = (0..150)
        .map(|number| format!("link add a{number} type veth peer name b{number}\n"))
        .collect::<Vec<_>>()
        .concat();
    let batch = sandbox.write("cables", cables);
    network.home.ip(&format!("-batch {}", batch.display()));
    let output = examined(&network, "-i eth0 --for 1s", &traffic());
    says(&output, 0, &["289 others: 289 virtual"]);
    has_line(&output, &["eth0", "virtual", "up"]);
    assert!(stdout(&output).lines().count() < 60, "{}", stdout(&output));
}

#[test]
fn without_descriptors_no_interface_is_called_missing() {
    let Some(network) = Network::new() else { return };
    let Some(prlimit) = installed("prlimit") else { return };
    for limit in 3..12 {
        let program = Sandbox::new().program(&["doctor", "-i", "eth0", "--for", "1s"]);
        let mut command = Command::new(&prlimit);
        command.arg(format!("--nofile={limit}")).arg(program.get_program());
        let output = network.home.inside(command.args(program.get_args())).output().unwrap();
        let all = stdout(&output) + &stderr(&output);
        assert!(!all.contains("does not exist") && !all.contains("missing"), "{limit}: {all}");
    }
}

#[test]
fn other_traffic_alone_is_shown_with_what_to_do() {
    let Some(network) = Network::new() else { return };
    let mut others = traffic().split_off(4);
    let mut foreign = others[0].clone();
    foreign[12..14].copy_from_slice(&[0x88, 0xb5]);
    others.push(foreign);
    let output = examined(&network, "-i eth0 --for 1s", &others);
    says(&output, 69, &[", 0 of them", "from another program", "IGMP", "same switch"]);
    assert!(stderr(&output).contains("no frame"));
    has_line(&output, &["0x0806"]);
}

#[test]
fn an_unusable_interface_is_explained_at_once() {
    let Some(network) = Network::new() else { return };
    let at_once = |arguments: &str, words: &[&str]| {
        let start = Instant::now();
        let output = doctor(&network.home, arguments).output().unwrap();
        assert!(start.elapsed() < Duration::from_secs(25), "it listened");
        says(&output, 69, words);
    };
    at_once("-i eht0", &["eht0 does not exist", ": eth0."]);
    network.world.ip("link set eth0 down");
    at_once("-i eth0", &["eth0 has no carrier", "Plug the cable in"]);
    network.home.ip("link set eth0 down");
    at_once("-i eth0", &["eth0 is down", "sudo ip link set eth0 up"]);
    at_once("", &["eth0", "virtual", "down"]);
    network.home.ip("link del eth0");
    at_once("", &["Interfaces\n  none but the loopback\n"]);
    at_once("-i lo --for 1s", &["lo is the loopback"]);
}

#[test]
fn without_permission_it_shows_the_remedies() {
    let Some(network) = Network::new() else { return };
    let Some(setpriv) = installed("setpriv") else { return };
    let program = Sandbox::new().program(&["doctor", "-i", "eth0"]);
    let mut command = Command::new(setpriv);
    command.arg("--bounding-set=-net_raw").arg(program.get_program()).args(program.get_args());
    let output = network.home.inside(&command).output().unwrap();
    says(
        &output,
        77,
        &[
            "sudo setcap cap_net_raw+ep ",
            "AmbientCapabilities=CAP_NET_RAW",
            "--network host --cap-add NET_RAW",
            "energi-gateway doctor\n",
        ],
    );
    has_line(&output, &["eth0", "virtual", "up"]);
}

#[test]
fn a_port_of_a_bridge_names_its_bridge() {
    let Some(network) = Network::new() else { return };
    if let Err(why) = network.home.try_ip("link add br0 type bridge") {
        return skip(&format!("no bridge: {why}"));
    }
    network.home.ip("link set eth0 master br0");
    network.home.ip("link set br0 up");
    let output = examined(&network, "-i eth0 --for 1s", &traffic());
    says(&output, 0, &["up, port of br0", "Use br0"]);
    let output = examined(&network, "--for 2s", &traffic());
    says(&output, 0, &["\nbr0, 2 s: ", "interface: br0}"]);
    assert!(!stdout(&output).contains("\neth0, "), "{}", stdout(&output));
}

/// The same frames with something between addresses and ethertype.
fn tagged(tags: &[u8]) -> Vec<Vec<u8>> {
    let tagged = |mut frame: Vec<u8>| {
        frame.splice(12..12, tags.iter().copied());
        frame
    };
    traffic().into_iter().map(tagged).collect()
}

#[test]
fn devices_behind_vlan_tags_are_found() {
    let Some(network) = Network::new() else { return };
    // One tag, as a trunk port has it, is taken off by the kernel.
    let single = tagged(&[0x81, 0x00, 0, 10]);
    let output = examined(&network, "-i eth0 --for 1s", &single);
    says(&output, 0, &["interface: eth0}"]);
    has_line(&output, &["0x88B5"]);
    let double = tagged(&[0x88, 0xa8, 0, 20, 0x81, 0x00, 0, 10]);
    let output = examined(&network, "-i eth0 --for 1s", &double);
    says(&output, 0, &["two VLAN tags"]);
    has_line(&output, &["0x88B5"]);
}

#[test]
fn it_listens_for_half_a_minute_unless_told_otherwise() {
    let help = stdout(&Sandbox::new().run(&["doctor", "--help"]));
    assert!(help.contains("[default: 30s]"), "{help}");
}

#[test]
fn ctrl_c_shows_what_was_received() {
    let Some(network) = Network::new() else { return };
    let mut running = Running(doctor(&network.home, "-i eth0 --for 1h").spawn().unwrap());
    let mut sender = network.world.sender("eth0");
    let start = Instant::now();
    while running.0.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE, "it does not end");
        for frame in traffic() {
            sender.send(&frame);
        }
        thread::sleep(Duration::from_millis(100));
        // The group is joined: it listens.
        if network.home.ip("maddr show dev eth0").contains("71:b3:d5:3a:6f:00") {
            thread::sleep(Duration::from_millis(500));
            // It may have ended between.
            let _ = kill_process(Pid::from_child(&running.0), Signal::INT);
        }
    }
    let mut text = String::new();
    std::io::Read::read_to_string(running.0.stdout.as_mut().unwrap(), &mut text).unwrap();
    assert!(text.contains("myenergi"), "{text}");
}
