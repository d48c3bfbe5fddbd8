//! What to do about what was found, in the order in which to try it.

use super::{InterfaceKind, InterfaceReport, Observation, interfaces};
use crate::capture::live::LinkState;

/// What to do, a sentence or a few each.
pub(super) fn advice(report: &InterfaceReport) -> Vec<String> {
    let probe = &report.probe;
    let name = &probe.interface;
    let kind = report.interface.as_ref().map(|interface| interface.kind);
    let mut advice = Vec::new();
    if kind == Some(InterfaceKind::Loopback) && report.of_devices() == 0 {
        return vec![format!("{name} is this machine talking to itself: name another interface.")];
    }
    match probe.state {
        LinkState::Missing => advice.push(match probe.candidates.as_slice() {
            [] => {
                "There is no interface but the loopback: is a network card in this machine?".into()
            }
            candidates => format!("Name one that there is: {}.", candidates.join(", ")),
        }),
        LinkState::Down => advice.push(format!("Switch it on: `sudo ip link set {name} up`.")),
        LinkState::NoCarrier if kind == Some(InterfaceKind::Wifi) => {
            advice.push("Connect it to your Wi-Fi, or better use a cable.".to_owned());
        }
        LinkState::NoCarrier => {
            advice.push(
                "Plug the cable in at both ends, and look for the light at the switch.".to_owned(),
            );
        }
        LinkState::Up => {}
    }
    if let Some(bridge) = &probe.bridge {
        advice
            .push(format!("Listen on {bridge}: {name} is a port of it, and it takes the frames."));
    }
    if let Some(observed) = &report.observed {
        if let Some(error) = &observed.failed {
            advice.push(format!("{error}."));
        } else if observed.stats.of_devices == 0 {
            advice.extend(where_to_look(observed, kind));
        } else {
            advice.extend(what_to_use(report, observed));
        }
    }
    advice
}

/// Frames of the devices come: what is still to be known.
fn what_to_use(report: &InterfaceReport, observed: &Observation) -> Vec<String> {
    let (name, stats) = (&report.probe.interface, &observed.stats);
    let mut advice = Vec::new();
    if observed.unfiltered_only {
        advice.push(
            "They came only with the network card's own filter off: set `promiscuous: true` in the \
             capture section, or give --promiscuous to `record`."
                .to_owned(),
        );
    }
    if stats.tagged > 0 {
        advice.push(format!(
            "{} of them were behind two VLAN tags, where `run` does not hear them: listen on the \
             interface of the inner VLAN.",
            stats.tagged
        ));
    }
    if report.probe.bridge.is_none() && !observed.unfiltered_only {
        advice.push(format!(
            "Put `capture: {{type: live, interface: {name}}}` into your configuration."
        ));
    }
    if stats.unread() {
        advice.push(format!(
            "Records come that no decoder reads. `energi-gateway record -i {name} -o unknown.pcapng \
             --only unknown` saves them, and `energi-gateway research types unknown.pcapng` begins to \
             look at them."
        ));
    }
    advice
}

/// No frame of a device comes.
fn where_to_look(observed: &Observation, kind: Option<InterfaceKind>) -> Vec<String> {
    let stats = &observed.stats;
    let mut advice = Vec::new();
    if stats.foreign > 0 {
        advice.push(
            "Some frames have the devices' ethertype, but are of another program: they are left \
             alone."
                .to_owned(),
        );
    }
    if interfaces::in_container() && kind == Some(InterfaceKind::Virtual) {
        advice.push(
            "This is a container with a network of its own, which the devices cannot reach: start \
             it with `--network host` (Compose: `network_mode: host`)."
                .to_owned(),
        );
    }
    if stats.frames == 0 {
        advice.push(
            "Nothing at all came, and a network is rarely that quiet: is it the right interface, and \
             is its cable in the right switch?"
                .to_owned(),
        );
    }
    if kind == Some(InterfaceKind::Wifi) {
        advice.push(
            "This is Wi-Fi, and access points seldom pass these frames on: use a cable.".to_owned(),
        );
    }
    advice.push(
        "Is a myenergi hub, or a device with one built in, connected to this network by cable, and \
         online in the app?"
            .to_owned(),
    );
    advice.push(
        "Connect this machine to the same switch or router as it: the frames pass no router, \
         and seldom a powerline or Wi-Fi bridge."
            .to_owned(),
    );
    advice.push(
        "A managed switch may keep them from this port: they go to the multicast address \
         71:b3:d5:3a:6f:00 and are not IP. Switch its multicast filtering (IGMP snooping, unknown \
         multicast) off, or mirror the port of the hub."
            .to_owned(),
    );
    advice.push(
        "Is it in another VLAN? Then listen on the interface of that VLAN, such as eth0.10."
            .to_owned(),
    );
    advice
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::capture::live::Probe;
    use crate::doctor::{InterfaceInfo, TrafficStats};

    fn report(
        state: LinkState,
        kind: InterfaceKind,
        observed: Option<Observation>,
    ) -> InterfaceReport {
        InterfaceReport {
            probe: Probe {
                interface: "eth0".parse().unwrap(),
                state,
                bridge: None,
                forbidden: None,
                candidates: Vec::new(),
            },
            interface: Some(InterfaceInfo {
                name: "eth0".to_owned(),
                kind,
                mac: None,
                addresses: Vec::new(),
            }),
            observed,
        }
    }

    fn observed(of_devices: u64, others: u64) -> Observation {
        let mut stats = TrafficStats::default();
        (stats.of_devices, stats.frames) = (of_devices, of_devices + others);
        if of_devices > 0 {
            stats.devices.entry(17_589_669).or_default();
        }
        Observation { stats, time: Duration::from_secs(30), unfiltered_only: false, failed: None }
    }

    fn says(report: &InterfaceReport, words: &[&str]) {
        let advice = advice(report).join("\n");
        for word in words {
            assert!(advice.contains(word), "`{word}` is not in:\n{advice}");
        }
    }

    #[test]
    fn each_finding_has_its_remedy() {
        use LinkState::{Down, NoCarrier, Up};
        says(&report(Down, InterfaceKind::Wired, None), &["sudo ip link set eth0 up"]);
        says(&report(NoCarrier, InterfaceKind::Wired, None), &["Plug the cable in"]);
        says(&report(NoCarrier, InterfaceKind::Wifi, None), &["Connect it to your Wi-Fi"]);
        says(
            &report(Up, InterfaceKind::Wired, Some(observed(0, 0))),
            &["Nothing at all came", "same switch"],
        );
        says(
            &report(Up, InterfaceKind::Wifi, Some(observed(0, 9))),
            &["This is Wi-Fi", "VLAN", "IGMP snooping"],
        );
        says(
            &report(Up, InterfaceKind::Wired, Some(observed(5, 9))),
            &["Put `capture: {type: live, interface: eth0}`"],
        );

        says(
            &report(Up, InterfaceKind::Loopback, Some(observed(0, 9))),
            &["name another interface"],
        );

        let mut deaf = observed(5, 9);
        deaf.unfiltered_only = true;
        says(&report(Up, InterfaceKind::Wired, Some(deaf)), &["set `promiscuous: true`"]);

        let mut unknown = observed(5, 0);
        let sender = unknown.stats.senders.entry(energi_decoders::frame::MULTICAST).or_default();
        sender.records.insert(0x2C, 5);
        says(&report(Up, InterfaceKind::Wired, Some(unknown)), &["energi-gateway record -i eth0"]);

        let mut port = report(Up, InterfaceKind::Wired, Some(observed(5, 0)));
        port.probe.bridge = Some("br0".to_owned());
        assert_eq!(
            advice(&port),
            ["Listen on br0: eth0 is a port of it, and it takes the frames."]
        );
    }
}
