//! Tests of the header views: vectors made by hand from the RFCs, and properties over any bytes.

use super::*;
use crate::EtherAddress;
use core::net::{Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;
use std::format;
use std::vec::Vec;

/// A SYN from 192.168.1.2:49152 to 192.0.2.80:80 with MSS 1460, SACK permitted, timestamps and window
/// scale 7. The checksums were added by hand.
const SYN: [u8; 60] = [
    0x45, 0x00, 0x00, 0x3c, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x00, 0x00, 0xc0, 0xa8, 0x01, 0x02,
    0xc0, 0x00, 0x02, 0x50, 0xc0, 0x00, 0x00, 0x50, 0x12, 0x34, 0x56, 0x78, 0x00, 0x00, 0x00, 0x00,
    0xa0, 0x02, 0xfa, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a,
    0x00, 0x00, 0x00, 0x2a, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x07,
];

#[test]
fn ipv4_and_tcp_fields_stand_where_the_rfcs_put_them() {
    let ip = Ipv4::new(&SYN).unwrap();
    assert_eq!(ip.header_length(), 20);
    assert_eq!(ip.total_length(), 60);
    assert_eq!(ip.identification(), 0x1c46);
    assert!(
        ip.dont_fragment() && !ip.more_fragments() && !ip.is_fragment() && ip.is_first_fragment()
    );
    assert_eq!((ip.time_to_live(), ip.protocol()), (64, protocol::TCP));
    assert_eq!(ip.source(), Ipv4Addr::new(192, 168, 1, 2));
    assert_eq!(ip.destination(), Ipv4Addr::new(192, 0, 2, 80));

    let tcp = Tcp::new(ip.payload()).unwrap();
    assert_eq!((tcp.source_port(), tcp.destination_port()), (49152, 80));
    assert_eq!((tcp.sequence(), tcp.acknowledgement()), (0x1234_5678, 0));
    assert_eq!(
        (tcp.header_length(), tcp.flags(), tcp.window()),
        (40, tcp_flags::SYN, 64240)
    );
    let options: Vec<_> = tcp.options().map(Result::unwrap).collect();
    assert_eq!(
        options,
        [
            TcpOption::MaximumSegmentSize(1460),
            TcpOption::SackPermitted,
            TcpOption::Timestamps { value: 42, echo: 0 },
            TcpOption::NoOperation,
            TcpOption::WindowScale(7),
        ]
    );
    assert!(tcp.payload().is_empty());
}

#[test]
fn ipv4_checksum_is_filled_and_found_right() {
    let mut packet = SYN;
    let sum: u32 = [
        0x4500_u32, 0x003c, 0x1c46, 0x4000, 0x4006, 0xc0a8, 0x0102, 0xc000, 0x0250,
    ]
    .iter()
    .sum();
    let expected = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    let mut ip = Ipv4Mut::new(&mut packet).unwrap();
    assert!(!ip.checksum_is_right());
    ip.fill_checksum();
    assert_eq!(ip.checksum(), expected);
    assert!(ip.checksum_is_right());
    ip.decrement_time_to_live();
    assert_eq!(ip.time_to_live(), 63);
    assert!(ip.checksum_is_right());
}

#[test]
fn ipv4_rejects_other_versions_short_headers_and_missing_options() {
    let with_first = |first: u8, length: usize| {
        let mut bytes = SYN;
        bytes[0] = first;
        Ipv4::new(&bytes[..length]).map(|_| ())
    };
    assert_eq!(with_first(0x45, 19), Err(HeaderError::Truncated));
    assert_eq!(with_first(0x45, 20), Ok(()));
    assert_eq!(with_first(0x65, 60), Err(HeaderError::Version));
    assert_eq!(with_first(0x44, 60), Err(HeaderError::HeaderLength));
    assert_eq!(with_first(0x4f, 59), Err(HeaderError::Truncated));
    assert_eq!(with_first(0x4f, 60), Ok(()));
}

#[test]
fn ipv4_payload_ends_at_the_stated_length_or_the_bytes() {
    let mut padded = Vec::from(SYN);
    padded.extend([0; 4]);
    assert_eq!(Ipv4::new(&padded).unwrap().payload().len(), 40);
    assert_eq!(Ipv4::new(&SYN[..30]).unwrap().payload().len(), 10);
    let mut lying = SYN;
    lying[2..4].copy_from_slice(&[0, 5]);
    assert_eq!(Ipv4::new(&lying).unwrap().payload().len(), 0);
}

#[test]
fn ipv4_options_end_and_errors_are_reported() {
    let walk = |bytes: &[u8]| {
        Ipv4Options::new(bytes)
            .map(|option| option.map(|option| (option.kind, option.offset)))
            .collect::<Vec<_>>()
    };
    let record_route = [
        ip_option::NO_OPERATION,
        ip_option::RECORD_ROUTE,
        7,
        4,
        0,
        0,
        0,
        0,
        ip_option::END,
        9,
        9,
        9,
    ];
    assert_eq!(walk(&record_route), [Ok((1, 0)), Ok((7, 1))]);
    assert_eq!(
        walk(&[ip_option::TIMESTAMP, 1, 0, 0]),
        [Err(HeaderError::Truncated)]
    );
    assert_eq!(
        walk(&[1, ip_option::TIMESTAMP]),
        [Ok((1, 0)), Err(HeaderError::Truncated)]
    );
    assert_eq!(
        walk(&[ip_option::TIMESTAMP, 5, 0, 0]),
        [Err(HeaderError::Truncated)]
    );
}

#[test]
fn sack_blocks_are_pairs_of_edges() {
    let bytes = [5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4];
    let Some(Ok(TcpOption::Sack(blocks))) = TcpOptions::new(&bytes).next() else {
        panic!()
    };
    assert_eq!(blocks.iter().collect::<Vec<_>>(), [(1, 2), (3, 4)]);
}

#[test]
fn ipv6_extension_headers_are_walked_to_the_upper_layer() {
    // Hop-by-hop (8 bytes), destination options (16 bytes), first fragment, then UDP.
    let mut chain = Vec::from([60, 0, 1, 4, 0, 0, 0, 0]);
    chain.extend([44, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    chain.extend([17, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef]);
    chain.extend([0; 8]);
    let found = upper_layer(protocol::HOP_BY_HOP, &chain).unwrap();
    assert_eq!((found.protocol, found.offset), (protocol::UDP, 32));
    assert_eq!(
        found.fragment,
        Some(Ipv6Fragment {
            offset: 0,
            more: true,
            identification: 0xdead_beef
        })
    );
    assert_eq!(
        upper_layer(protocol::HOP_BY_HOP, &chain[..31]),
        Err(HeaderError::Truncated)
    );
    assert_eq!(upper_layer(protocol::ESP, &[]).unwrap().offset, 0);
}

#[test]
fn ipv6_walk_stops_behind_a_later_fragment() {
    // Offset 8, last: what follows is not a hop-by-hop header although the header says so.
    let found = upper_layer(protocol::IPV6_FRAGMENT, &[0, 0, 0, 8, 0, 0, 0, 1, 0xff]).unwrap();
    assert_eq!((found.protocol, found.offset), (protocol::HOP_BY_HOP, 8));
    assert_eq!(found.fragment.unwrap().offset, 8);
}

#[test]
fn authentication_header_counts_words_less_two() {
    let mut chain = Vec::from([6, 4]);
    chain.resize(24 + 20, 0);
    let found = upper_layer(protocol::AH, &chain).unwrap();
    assert_eq!((found.protocol, found.offset), (protocol::TCP, 24));
}

#[test]
fn tags_are_walked_to_the_network_layer() {
    let mut frame = Vec::from([0; 12]);
    frame.extend([
        0x88, 0xa8, 0x20, 0x64, 0x81, 0x00, 0x00, 0x0a, 0x08, 0x00, 0x45,
    ]);
    let found = network_layer(&frame).unwrap();
    assert_eq!(
        found,
        NetworkLayer {
            ethertype: ethertype::IPV4,
            offset: 22,
            outer_tag: Some(0x2064)
        }
    );
    assert_eq!(network_layer(&frame[..20]), Err(HeaderError::Truncated));
    let tag = Vlan::new(&frame[14..]).unwrap();
    assert_eq!(
        (tag.identifier(), tag.priority(), tag.drop_eligible()),
        (100, 1, false)
    );
}

#[test]
fn udp_checksum_is_filled_over_the_stated_length() {
    // RFC 768: pseudo-header 10.0.0.1, 10.0.0.2, 17, 10; header; payload "hi". By hand:
    // 0a00+0001+0a00+0002+0011+000a + 1388+0035+000a+0000 + 6869 = 904e, checksum 6fb1.
    let mut datagram = [0x13, 0x88, 0x00, 0x35, 0x00, 0x0a, 0, 0, b'h', b'i', 0xee];
    let pseudo =
        crate::checksum::Sum::pseudo_header_v4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 17, 10);
    let mut udp = UdpMut::new(&mut datagram).unwrap();
    udp.fill_checksum(pseudo);
    assert_eq!(udp.checksum(), 0x6fb1);
    assert!(udp.checksum_is_right(pseudo));
    assert_eq!(udp.payload_mut(), b"hi");
}

proptest! {
    /// Every accessor of every view on any bytes: the point is that nothing panics.
    #[test]
    fn no_accessor_panics_on_any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), favour in 0..4) {
        // Let the checks pass often.
        if let Some(first) = bytes.first_mut() {
            match favour {
                0 => *first = 0x45,
                1 => *first = *first & 0x0f | 0x40,
                2 => *first = 0x60,
                _ => {}
            }
        }
        if let Ok(view) = Ethernet::new(&bytes) {
            let _ = (view.fields(), view.payload(), view.rest(), view.header());
        }
        let _ = network_layer(&bytes);
        if let Ok(view) = Vlan::new(&bytes) {
            let _ = (view.fields(), view.identifier(), view.priority());
        }
        if let Ok(view) = Arp::new(&bytes) {
            let _ = view.fields();
        }
        if let Ok(view) = Ipv4::new(&bytes) {
            let _ = (view.fields(), view.payload(), view.checksum_is_right(), view.options().count());
            let _ = (view.computed_checksum(), view.fragment_offset(), view.pseudo_header(7));
        }
        if let Ok(view) = Ipv6::new(&bytes) {
            let _ = (view.fields(), view.payload(), view.upper_layer(), view.pseudo_header(6, 1));
        }
        for next in 0..=255 {
            if let Ok(found) = upper_layer(next, &bytes) {
                prop_assert!(found.offset <= bytes.len());
            }
        }
        if let Ok(view) = Icmp::new(&bytes) {
            let _ = (view.fields(), view.checksum_is_right(), view.payload());
        }
        if let Ok(view) = Icmpv6::new(&bytes) {
            let _ = (view.fields(), view.target(), view.computed_checksum(Default::default()));
        }
        if let Ok(view) = Tcp::new(&bytes) {
            let _ = (view.fields(), view.payload(), view.checksum_is_right(Default::default()));
            let _ = format!("{:?}", view.options().collect::<Vec<_>>());
        }
        if let Ok(view) = Udp::new(&bytes) {
            let _ = (view.fields(), view.payload(), view.checksum_is_right(Default::default()));
        }
        if let Ok(mut view) = Ipv4Mut::new(&mut bytes) {
            view.set_version_and_length(0x4f);
            view.fill_checksum();
            view.decrement_time_to_live();
            view.option_bytes_mut().fill(1);
            view.payload_mut().fill(2);
        }
        if let Ok(mut view) = TcpMut::new(&mut bytes) {
            view.set_data_offset_and_reserved(0xff);
            view.option_bytes_mut().fill(1);
            view.payload_mut().fill(2);
            view.fill_checksum(Default::default());
        }
        if let Ok(mut view) = UdpMut::new(&mut bytes) {
            view.payload_mut().fill(3);
            view.fill_checksum(Default::default());
        }
    }

    #[test]
    fn ethernet_vlan_icmp_and_udp_bytes_survive_a_round_trip(bytes: [u8; 14]) {
        prop_assert_eq!(Ethernet::new(&bytes).unwrap().fields().to_bytes(), bytes);
        prop_assert_eq!(&Vlan::new(&bytes).unwrap().fields().to_bytes(), &bytes[..4]);
        prop_assert_eq!(&Icmp::new(&bytes).unwrap().fields().to_bytes(), &bytes[..8]);
        prop_assert_eq!(&Icmpv6::new(&bytes).unwrap().fields().to_bytes(), &bytes[..8]);
        prop_assert_eq!(&Udp::new(&bytes).unwrap().fields().to_bytes(), &bytes[..8]);
    }

    #[test]
    fn tcp_bytes_survive_a_round_trip(mut bytes: [u8; 20]) {
        bytes[12] = 0x50;
        prop_assert_eq!(Tcp::new(&bytes).unwrap().fields().to_bytes(), bytes);
    }

    #[test]
    fn ipv6_bytes_survive_a_round_trip(mut bytes in any::<[u8; 32]>().prop_map(|half| {
        let mut whole = [0; 40];
        whole[..32].copy_from_slice(&half);
        whole[32..].copy_from_slice(&half[8..16]);
        whole
    })) {
        bytes[0] = bytes[0] & 0x0f | 0x60;
        prop_assert_eq!(Ipv6::new(&bytes).unwrap().fields().to_bytes(), bytes);
    }

    #[test]
    fn ipv4_fields_survive_a_round_trip_and_the_checksum_is_right(
        numbers in any::<(u8, u16, u16, u16, u8, u8)>(), source: u32, destination: u32,
    ) {
        let fields = Ipv4Fields {
            type_of_service: numbers.0,
            total_length: numbers.1,
            identification: numbers.2,
            flags_and_offset: numbers.3,
            time_to_live: numbers.4,
            protocol: numbers.5,
            source: source.into(),
            destination: destination.into(),
        };
        let bytes = fields.to_bytes();
        let view = Ipv4::new(&bytes).unwrap();
        prop_assert!(view.checksum_is_right());
        prop_assert_eq!(view.fields(), fields);
    }

    #[test]
    fn decremented_time_to_live_mends_any_checksum_as_rfc_1624_has_it(mut header: [u8; 20], extreme in 0..4) {
        header[0] = 0x45;
        header[8] |= 1;
        match extreme {
            0 => header[10..12].copy_from_slice(&[0xfe, 0xff]),
            1 => header[10..12].copy_from_slice(&[0xff, 0xff]),
            2 => header[10..12].copy_from_slice(&[0xff, 0x00]),
            _ => {}
        }
        let word = |header: &[u8; 20], at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let mut after = header;
        Ipv4Mut::new(&mut after).unwrap().decrement_time_to_live();
        prop_assert_eq!(after[8], header[8] - 1);
        let expected = crate::checksum::update_u16(word(&header, 10), word(&header, 8), word(&after, 8));
        prop_assert_eq!(word(&after, 10), expected);
    }

    #[test]
    fn arp_fields_survive_a_round_trip(operation: u16, hardware: [[u8; 6]; 2], protocol: [u32; 2]) {
        let fields = ArpFields {
            operation,
            sender_hardware: EtherAddress(hardware[0]),
            sender_protocol: protocol[0].into(),
            target_hardware: EtherAddress(hardware[1]),
            target_protocol: protocol[1].into(),
        };
        prop_assert_eq!(Arp::new(&fields.to_bytes()).unwrap().fields(), Some(fields));
    }

    #[test]
    fn setters_write_what_getters_read(class: u8, label in 0_u32..1 << 20, address: u128, identifier in 0_u16..4096) {
        let mut bytes = [0x60; 40];
        let mut ip = Ipv6Mut::new(&mut bytes).unwrap();
        ip.set_traffic_class(class);
        ip.set_flow_label(label);
        ip.set_destination(Ipv6Addr::from_bits(address));
        prop_assert_eq!((ip.version(), ip.traffic_class(), ip.flow_label()), (6, class, label));
        prop_assert_eq!(ip.destination().to_bits(), address);
        let mut tag = VlanMut::new(&mut bytes).unwrap();
        let priority = tag.priority();
        tag.set_identifier(identifier);
        prop_assert_eq!((tag.identifier(), tag.priority()), (identifier, priority));
    }
}
