//! Advice on the findings, in the order in which to try it.

use super::{InterfaceKind, InterfaceReport, Observation, interfaces};
use crate::capture::live::{LinkState, program};

/// One step: a sentence or a few, and commands to copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) text: String,
    pub(super) commands: Vec<String>,
}

fn step(text: impl Into<String>) -> Advice {
    Advice { text: text.into(), commands: Vec::new() }
}

fn commands<const N: usize>(text: impl Into<String>, commands: [String; N]) -> Advice {
    Advice { text: text.into(), commands: commands.into() }
}

/// A command of this program that root is to run.
pub(super) fn as_root(arguments: &str) -> String {
    format!("sudo {} {arguments}", program())
}

/// Returns what to do about an interface.
pub(super) fn advice(report: &InterfaceReport) -> Vec<Advice> {
    let (probe, kind) = (&report.probe, report.kind);
    let name = &probe.interface;
    if kind == Some(InterfaceKind::Loopback) && report.of_devices() == 0 {
        return vec![step(format!(
            "{name} is the loopback, which carries no frames of devices: name another interface."
        ))];
    }
    let mut advice = Vec::new();
    match probe.state {
        LinkState::Missing if probe.candidates.is_empty() => advice.push(step(
            "There is no interface except the loopback: does this machine have a network card?",
        )),
        LinkState::Missing => {
            advice.push(step(format!("Name an existing one: {}.", probe.candidates.join(", "))));
        }
        LinkState::Down => {
            advice.push(commands("Switch it on:", [format!("sudo ip link set {name} up")]));
        }
        LinkState::NoCarrier if kind == Some(InterfaceKind::Wifi) => {
            advice.push(step("Connect it to your Wi-Fi, or better, use a cable."));
        }
        LinkState::NoCarrier => advice
            .push(step("Plug the cable in at both ends, and look for the light at the switch.")),
        LinkState::Unknown => {
            advice
                .push(step("Raise the limit of open files, or end the program that uses so many."));
        }

        LinkState::Up => {}
    }
    if let Some(bridge) = &probe.bridge {
        advice.push(step(format!(
            "Use {bridge}: {name} is a port of this bridge, which takes the frames."
        )));
    }
    if let Some(observed) = &report.observed {
        if let Some(error) = &observed.failed {
            advice.push(step(format!("{error}.")));
        } else if observed.stats.of_devices == 0 {
            advice.extend(where_to_look(observed, kind));
        } else {
            advice.extend(what_to_use(report, observed));
        }
    }
    advice
}

/// Frames of the devices come: what is still to be known.
fn what_to_use(report: &InterfaceReport, observed: &Observation) -> Vec<Advice> {
    let (name, stats) = (&report.probe.interface, &observed.stats);
    let promiscuous = if observed.unfiltered_only { ", promiscuous: true" } else { "" };
    let mut advice = Vec::new();
    if stats.double_tagged > 0 {
        advice.push(step(format!(
            "{} of the frames have two VLAN tags, and `run` does not receive such frames: use the \
             interface of the inner VLAN.",
            stats.double_tagged
        )));
    }
    if observed.unfiltered_only {
        advice.push(step(
            "The frames arrive only with the network card's own filter off, so `promiscuous: true` is \
             needed (--promiscuous for `record`).",
        ));
    }
    if report.probe.bridge.is_none() {
        advice.push(commands(
            "Put this into your configuration:",
            [format!("capture: {{type: live, interface: {name}{promiscuous}}}")],
        ));
    }
    if stats.has_unread_records() {
        advice.push(commands(
            "No decoder reads some of the records. To save them and to start examining them:",
            [
                format!("energi-gateway record -i {name} -o unknown.pcapng --only unknown"),
                "energi-gateway research types unknown.pcapng".to_owned(),
            ],
        ));
    }
    advice
}

/// No frame of a device comes.
fn where_to_look(observed: &Observation, kind: Option<InterfaceKind>) -> Vec<Advice> {
    let stats = &observed.stats;
    let mut advice = Vec::new();
    if stats.foreign > 0 {
        advice.push(step(
            "Some frames have the devices' ethertype but come from another program: they are ignored.",
        ));
    }
    if interfaces::in_container() && kind == Some(InterfaceKind::Virtual) {
        advice.push(step(
            "This container has its own network, which the devices cannot reach: start it with \
             `--network host` (Compose: `network_mode: host`).",
        ));
    }
    if stats.frames == 0 {
        advice.push(step(
            "No frame at all arrived, and a network is rarely that quiet: is this the right interface, \
             and is its cable in the right switch?",
        ));
    }
    if kind == Some(InterfaceKind::Wifi) {
        advice.push(step(
            "This is Wi-Fi, and access points rarely forward these frames: use a cable.",
        ));
    }
    advice.extend([
        step(
            "Is a myenergi hub, or a device with one built in, connected to this network by cable, \
             and online in the app?",
        ),
        step(
            "Connect this machine to the same switch or router: the frames do not pass routers, and \
             rarely pass a powerline or Wi-Fi bridge.",
        ),
        step(
            "A managed switch may not forward the frames to this port: they go to the multicast \
             address 71:b3:d5:3a:6f:00 and are not IP. Switch the multicast filtering (IGMP snooping, \
             unknown multicast) off, or mirror the port of the hub.",
        ),
        step(
            "Is the hub in another VLAN? Then use the interface of that VLAN, such as eth0.10.",
        ),
        commands(
            "If this machine cannot be at the right place, a router, an access point or a second Pi \
             can capture there and send the frames (docs/remote-capture.md):",
            ["capture: {type: remote, command: [ssh, root@router, \"tcpdump -i br-lan -U -w - \
              ether proto 0x88b5\"]}"
                .to_owned()],
        ),
    ]);
    advice
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::live::InterfaceProbe;
    use crate::doctor::traffic::RecordKind;

    fn report(
        state: LinkState,
        kind: InterfaceKind,
        observed: Option<Observation>,
    ) -> InterfaceReport {
        InterfaceReport {
            probe: InterfaceProbe {
                interface: "eth0".parse().unwrap(),
                state,
                bridge: None,
                forbidden: None,
                failed: None,
                candidates: Vec::new(),
            },
            kind: Some(kind),
            observed,
        }
    }

    fn observed(of_devices: u64, others: u64) -> Observation {
        let mut observed = Observation::default();
        observed.stats.of_devices = of_devices;
        observed.stats.frames = of_devices + others;
        observed
    }

    fn says(report: &InterfaceReport, words: &str) {
        let advice = advice(report);
        let lines = advice.iter().flat_map(|step| step.commands.iter().chain([&step.text]));
        assert!(lines.clone().any(|line| line.contains(words)), "no `{words}` in: {advice:?}");
    }

    #[test]
    fn each_situation_has_its_remedy() {
        use InterfaceKind::{Loopback, Wifi, Wired};
        use LinkState::{Down, NoCarrier, Unknown, Up};
        says(&report(Down, Wired, None), "sudo ip link set eth0 up");
        says(&report(NoCarrier, Wired, None), "cable");
        says(&report(NoCarrier, Wifi, None), "your Wi-Fi");
        says(&report(Unknown, Wired, None), "open files");
        says(&report(Up, Wired, Some(observed(0, 0))), "No frame");
        for words in ["This is Wi-Fi", "VLAN", "IGMP snooping", "same switch", "type: remote"] {
            says(&report(Up, Wifi, Some(observed(0, 9))), words);
        }
        says(&report(Up, Wired, Some(observed(5, 9))), "{type: live, interface: eth0}");
        says(&report(Up, Loopback, Some(observed(0, 9))), "another interface");

        let mut filtered = observed(5, 9);
        filtered.unfiltered_only = true;
        says(&report(Up, Wired, Some(filtered)), "interface: eth0, promiscuous: true}");

        let mut unknown = observed(5, 0);
        let sender = unknown.stats.senders.entry(energi_decoders::frame::MULTICAST).or_default();
        let kind = RecordKind { length: 0xEE, record_type: 0x7878, class: 1 };
        sender.records.insert(kind, 5);
        says(&report(Up, Wired, Some(unknown)), "energi-gateway record -i eth0");

        let mut port = report(Up, Wired, Some(observed(5, 0)));
        port.probe.bridge = Some("br0".to_owned());
        says(&port, "Use br0");
    }
}
