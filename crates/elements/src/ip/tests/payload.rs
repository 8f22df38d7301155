//! What is done to what follows the header.

use super::*;

/// UDP from port 5 to 53, or TCP with a sequence number of 7 and an acknowledgement of 9.
fn with_ports(protocol: u8, payload: usize) -> Vec<u8> {
    let transport: &[u8] = if protocol == protocol::TCP {
        &[
            0, 5, 0, 53, 0, 0, 0, 7, 0, 0, 0, 9, 0x60, 0x10, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1,
        ]
    } else {
        &[0, 5, 0, 53, 0, 8, 0, 0]
    };
    let mut bytes = packet(transport.len() + payload);
    bytes[9] = protocol;
    bytes[20..20 + transport.len()].copy_from_slice(transport);
    Ipv4Mut::new(&mut bytes).unwrap().fill_checksum();
    bytes
}

#[test]
fn ip_mirror_swaps_addresses_ports_and_tcp_numbers() {
    let (_, sent) = all_through("IPMirror", &[with_ports(protocol::TCP, 3)]);
    let ip = Ipv4::new(&sent[0]).unwrap();
    assert_eq!((ip.source(), ip.destination()), (DESTINATION, SOURCE));
    assert!(ip.checksum_is_right());
    assert_eq!(ip.payload()[..12], [0, 53, 0, 5, 0, 0, 0, 9, 0, 0, 0, 7]);
    let mut later = with_ports(protocol::UDP, 8);
    Ipv4Mut::new(&mut later).unwrap().set_flags_and_offset(1);
    let (_, sent) = all_through("IPMirror", core::slice::from_ref(&later));
    assert_eq!(sent[0][20..], later[20..], "a later fragment has no ports");
}

#[test]
fn ip_mirror_annotates_the_new_destination_unless_told_not_to() {
    // GetIPAddress leaves the annotation at the old destination.
    for (argument, expected) in [("", SOURCE), ("false", DESTINATION)] {
        let elements = format!("GetIPAddress(16) -> IPMirror({argument}) -> StoreIPAddress(16)");
        let (_, sent) = all_through(&elements, &[packet(8)]);
        let ip = Ipv4::new(&sent[0]).unwrap();
        assert_eq!(ip.destination(), expected, "{argument}");
    }
}

#[test]
fn truncate_ip_payload_leaves_the_headers() {
    for (argument, protocol, length) in [
        ("", protocol::TCP, 44),
        ("3", protocol::TCP, 47),
        ("3", protocol::UDP, 31),
        ("3, TRANSPORT false", protocol::UDP, 23),
        ("100", protocol::UDP, 40),
    ] {
        let whole = with_ports(protocol, if protocol == protocol::TCP { 9 } else { 12 });
        let elements = format!("TruncateIPPayload({argument})");
        let (_, sent) = all_through(&elements, core::slice::from_ref(&whole));
        assert_eq!(
            sent[0],
            whole[..length.min(whole.len())],
            "{argument} {protocol}"
        );
        let (_, sent) = all_through(&format!("{elements} -> Pad"), core::slice::from_ref(&whole));
        assert_eq!(sent[0].len(), whole.len(), "the extra length is annotated");
    }
    let bench = Bench::new("FromDevice(in) -> TruncateIPPayload(5) -> ToDevice(out)");
    bench.arrive("in", &[0x45; 60]);
    bench.run_for(MOMENT);
    assert_eq!(bench.sent("out"), [[0x45; 5]], "nobody said that it is IP");
}

#[test]
fn erase_ip_payload_leaves_headers_and_lengths() {
    for (protocol, headers) in [(protocol::TCP, 44), (protocol::UDP, 28), (99, 40)] {
        let whole = with_ports(
            protocol,
            40 - if protocol == protocol::TCP { 24 } else { 8 },
        );
        let (_, sent) = all_through("EraseIPPayload", core::slice::from_ref(&whole));
        let kept = if protocol == 99 { whole.len() } else { headers };
        assert_eq!(sent[0].len(), whole.len());
        assert_eq!(sent[0][..kept], whole[..kept], "{protocol}");
        assert!(sent[0][kept..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_stripped_ip_header_can_be_put_back() {
    let options = packet_with_options(&[1, 1, 1, 0], 8);
    for elements in ["StripIPHeader -> UnstripIPHeader", "UnstripIPHeader"] {
        let (_, sent) = all_through(elements, core::slice::from_ref(&options));
        assert_eq!(sent[0], options, "{elements}");
    }
}
