//! Advice on the findings, in the order in which to try it.

use super::{InterfaceKind, InterfaceReport, Observation, interfaces};
use crate::capture::live::{LinkState, program};
use crate::terminal::{indented, wrapped_command};

/// One step: a sentence or a few, and lines to copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) text: String,
    pub(super) snippet: Snippet,
}

/// Lines to copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Snippet {
    None,
    Commands(Vec<String>),
    /// A part of the configuration.
    Yaml(String),
}

impl Snippet {
    /// Lines of at most `width` columns that mean the same as the long ones.
    pub(super) fn lines(&self, width: usize) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Commands(commands) => {
                commands.iter().flat_map(|command| wrapped_command(command, width)).collect()
            }
            // Within braces and quotes, YAML takes a line break for a space.
            Self::Yaml(yaml) => indented(yaml, width),
        }
    }
}

fn step(text: impl Into<String>) -> Advice {
    Advice { text: text.into(), snippet: Snippet::None }
}

fn commands<const N: usize>(text: impl Into<String>, commands: [String; N]) -> Advice {
    Advice { text: text.into(), snippet: Snippet::Commands(commands.into()) }
}

fn yaml(text: impl Into<String>, yaml: impl Into<String>) -> Advice {
    Advice { text: text.into(), snippet: Snippet::Yaml(yaml.into()) }
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
        advice.push(yaml(
            "Put this into your configuration:",
            format!("capture: {{type: live, interface: {name}{promiscuous}}}"),
        ));
    }
    if stats.has_unread_records() {
        let program = program();
        advice.push(commands(
            "No decoder reads some of the records. To save them and to start examining them:",
            [
                format!("{program} record -i {name} -o unknown.pcapng --only unknown"),
                format!("{program} research types unknown.pcapng"),
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
        yaml(
            "If this machine cannot be at the right place, a router, an access point or a second Pi \
             can capture there and send the frames (docs/remote-capture.md):",
            "capture: {type: remote, command: [ssh, root@router, \"tcpdump -i br-lan -U -w - \
             ether proto 0x88b5\"]}",
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
        let found = advice.iter().any(|step| {
            let mut lines = step.snippet.lines(usize::MAX).into_iter().chain([step.text.clone()]);
            lines.any(|line| line.contains(words))
        });
        assert!(found, "no `{words}` in: {advice:?}");
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
        says(&report(Up, Wired, Some(unknown)), " record -i eth0");

        let mut port = report(Up, Wired, Some(observed(5, 0)));
        port.probe.bridge = Some("br0".to_owned());
        says(&port, "Use br0");
    }

    #[test]
    fn a_snippet_stays_whole_on_a_narrow_terminal() {
        let mut unfiltered = observed(5, 9);
        unfiltered.unfiltered_only = true;
        let reports = [
            report(LinkState::Up, InterfaceKind::Wired, Some(unfiltered)),
            report(LinkState::Up, InterfaceKind::Wifi, Some(observed(0, 9))),
        ];
        for Advice { snippet, .. } in reports.iter().flat_map(advice) {
            let Snippet::Yaml(whole) = &snippet else { continue };
            let lines = snippet.lines(44);
            assert!(lines.iter().all(|line| line.len() <= 44), "{lines:?}");
            let parsed = |text: &str| serde_yaml::from_str::<serde_yaml::Value>(text).unwrap();
            assert_eq!(parsed(&lines.join("\n")), parsed(whole));
        }
    }
}
