//! Whatever is around a device's frame in a capture: it is read, or counted by name.

use energi_decoders::frame::MULTICAST;
use energi_gateway::capture::Packet;

use super::*;

const SENDER: [u8; 6] = [0x70, 0xb3, 0xd5, 0x0c, 0x65, 0xa6];

/// A frame of a device: 14 + 24 + 34 bytes.
fn frame() -> Vec<u8> {
    let mut frame = [&MULTICAST.0[..], &SENDER, &[0x88, 0xb5], &[0xcb, 0xda, 0xe9, 0xf8]].concat();
    frame.extend([0; 20]);
    frame.extend([0x22, 0x53, 0x10, 0x35, 1, 0xff]);
    frame.resize(72, 3);
    frame
}

/// A classic capture of one packet, of which the first `kept` bytes were kept.
fn one_packet(network: usize, packet: &[u8], kept: usize) -> Vec<u8> {
    let order = Order::Little;
    let header = [0, 0, 262_144, network].map(|word| order.u32(word)).concat();
    let packet_header = [1_781_900_000, 5, kept, packet.len()].map(|word| order.u32(word)).concat();
    let magic = [&order.u32(0xa1b2_c3d4)[..], &order.u16(2), &order.u16(4)].concat();
    [&magic[..], &header, &packet_header, &packet[..kept]].concat()
}

fn bytes(capture: Vec<u8>) -> Vec<u8> {
    let [(_, Link::Ethernet, bytes)] = &whole(capture)[..] else { panic!("not one packet") };
    bytes.clone()
}

#[test]
fn a_capture_of_any_interface_has_its_senders() {
    let (frame, payload) = (frame(), &frame()[14..]);
    let address = [&SENDER[..], &[0, 0]].concat();
    let sll = [&[0, 2, 0, 1, 0, 6][..], &address, &[0x88, 0xb5], payload].concat();
    assert_eq!(bytes(one_packet(113, &sll, sll.len())), frame);
    let sll2 = [&[0x88, 0xb5, 0, 0, 0, 0, 0, 3, 0, 1, 2, 6][..], &address, payload].concat();
    assert_eq!(bytes(one_packet(276, &sll2, sll2.len())), frame);
    // A header that is cut off costs no more than its packet.
    assert!(bytes(one_packet(276, &sll2, 11)).is_empty());
}

#[test]
fn a_frame_check_sequence_is_no_part_of_a_frame() {
    let checked = [&frame()[..], &[0xde, 0xad, 0xbe, 0xef]].concat();
    // Two units of two bytes.
    assert_eq!(bytes(one_packet(0x2400_0001, &checked, 76)), frame());
    // The capture kept a part of it.
    assert_eq!(bytes(one_packet(0x2400_0001, &checked, 74)), frame());

    for order in [Order::Little, Order::Big] {
        let fcs = [&order.u16(13)[..], &order.u16(1), &[4, 0, 0, 0], &[0; 4]].concat();
        let interface = [&order.u16(ETHERNET)[..], &[0; 2], &order.u32(0), &fcs].concat();
        let of_interface = [section(order), block(order, 1, &interface)].concat();
        assert_eq!(bytes([of_interface, enhanced(order, 0, 9, &checked)].concat()), frame());
        // A packet's own flags say it too.
        let header = [0, 0, 9, 76, 76].map(|word| order.u32(word)).concat();
        let flags = [&order.u16(2)[..], &order.u16(4), &order.u32(4 << 5), &[0; 4]].concat();
        let of_packet = block(order, 6, &[&header[..], &checked, &flags].concat());
        let plain = super::interface(order, ETHERNET, 6, 0);
        assert_eq!(bytes([section(order), plain, of_packet].concat()), frame());
    }
}

#[test]
fn the_obsolete_packet_block_is_read() {
    for order in [Order::Little, Order::Big] {
        let mut file = section(order);
        file.extend(interface(order, 127, 6, 0));
        file.extend(interface(order, ETHERNET, 6, 0));
        for (time, bytes) in packets() {
            let ticks = u64::try_from(time.as_microsecond()).unwrap();
            let [high, low] = [ticks >> 32, ticks & 0xffff_ffff]
                .map(|word| order.u32(usize::try_from(word).unwrap()));
            let lengths = [order.u32(bytes.len()), order.u32(bytes.len())].concat();
            let padding = vec![0; bytes.len().next_multiple_of(4) - bytes.len()];
            let numbers = [order.u16(1), order.u16(0xffff)].concat();
            let body = [&numbers[..], &high, &low, &lengths, &bytes, &padding].concat();
            file.extend(block(order, 2, &body));
        }
        assert_eq!(whole(file.as_slice()), expected());
        file.extend(block(order, 2, &[0xff; 20]));
        assert_eq!(data_error(file).0, expected(), "a damaged one costs no other");
    }
}

#[test]
fn unread_packets_are_counted_by_link_type() {
    let order = Order::Little;
    let mut file = section(order);
    file.extend([interface(order, ETHERNET, 6, 0), interface(order, 281, 6, 0)].concat());
    file.extend(interface(order, 101, 6, 0));
    for (time, bytes) in packets() {
        let time = time.as_microsecond().try_into().unwrap();
        file.extend(enhanced(order, 1, time, &bytes));
        file.extend(enhanced(order, 0, time, &bytes));
    }
    file.extend(enhanced(order, 2, 7, &[0x45; 40]));
    let (found, message) = data_error(file);
    assert_eq!(found, expected());
    for words in ["8 packets", "7 of link type 281", "switch", "br-lan", "1 of link type 101"] {
        assert!(message.contains(words), "no `{words}` in: {message}");
    }
}

/// A frame inside TZSP, as `MikroTik` sends it, with `tags` before it.
fn tzsp(ip_version: u8, tags: &[u8], inner: &[u8]) -> Vec<u8> {
    let tzsp = [&[1, 0, 0, 1], tags, &[1], inner].concat();
    let length = u16::try_from(tzsp.len() + 8).unwrap().to_be_bytes();
    let udp = [&[0x90, 1, 0x90, 0x90][..], &length, &[0, 0], &tzsp].concat();
    let ethernet = [0x02; 12];
    if ip_version == 4 {
        let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17];
        ip.resize(20, 9);
        // Padding of the outer frame is no part of the inner one.
        [&ethernet[..], &[0x08, 0x00], &ip, &udp, &[0; 6]].concat()
    } else {
        let mut ip = vec![0x60, 0, 0, 0, 0, 0, 17, 64];
        ip.resize(40, 9);
        [&ethernet[..], &[0x81, 0, 0, 5, 0x86, 0xdd], &ip, &udp].concat()
    }
}

#[test]
fn frames_that_a_router_sends_on_as_tzsp_are_read() {
    for packet in
        [tzsp(4, &[], &frame()), tzsp(6, &[0, 10, 1, 0xc4, 0, 40, 4, 1, 2, 3, 4], &frame())]
    {
        assert_eq!(bytes(one_packet(1, &packet, packet.len())), frame());
        // Cut anywhere it is something else, or shorter, and never a panic.
        for kept in 0..packet.len() {
            assert!(bytes(one_packet(1, &packet, kept)).len() <= kept);
        }
    }
}

#[test]
fn a_frame_that_the_capture_cut_knows_how_long_it_was() {
    let length = |capture: Vec<u8>| {
        let mut source = replay(capture);
        let Event::Packet(Packet { bytes, length, .. }) = source.next().unwrap() else {
            panic!("no packet")
        };
        (bytes.len(), length)
    };
    assert_eq!(length(one_packet(1, &frame(), 50)), (50, 72));
    assert_eq!(length(one_packet(1, &frame(), 72)), (72, 72));
    let sent_on = tzsp(4, &[], &frame());
    let before = sent_on.len() - 6 - 72;
    assert_eq!(length(one_packet(1, &sent_on, before + 40)), (40, 72 + 6));
}

#[test]
fn a_gap_in_a_dump_with_offsets_is_an_error() {
    let frame = frame();
    let dump = |frame: &[u8]| {
        let lines = frame.chunks(16).enumerate().map(|(row, bytes)| {
            let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{:06x} {}\n", row * 16, digits.join(" "))
        });
        lines.collect::<Vec<_>>()
    };
    let two = [dump(&frame).concat(), dump(&frame[14..]).concat()].concat();
    let found = whole(two.as_bytes());
    let expected =
        [(None, Link::Ethernet, frame.clone()), (None, Link::Payload, frame[14..].to_vec())];
    assert_eq!(found, expected);
    let mut lines = dump(&frame);
    lines.remove(2);
    let (_, message) = data_error(lines.concat().into_bytes());
    assert!(message.contains("offset"), "{message}");
}
