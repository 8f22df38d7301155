//! Every header view over any bytes: no accessor may panic, and fields survive the way to bytes
//! and back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_packet::headers::{
    Arp, Ethernet, Icmp, IcmpMut, Icmpv6, Icmpv6Mut, Ipv4, Ipv4Mut, Ipv6, Tcp, TcpMut, TcpOption, Udp, UdpMut, Vlan,
    network_layer, upper_layer,
};
use std::hint::black_box;

fuzz_target!(|bytes: &[u8]| {
    let _ = black_box(network_layer(bytes));
    if let Some((&first, rest)) = bytes.split_first() {
        let _ = black_box(upper_layer(first, rest));
    }
    if let Ok(view) = Ethernet::new(bytes) {
        assert_eq!(Ethernet::new(&view.fields().to_bytes()).map(|again| again.fields()), Ok(view.fields()));
        black_box(view.payload());
    }
    if let Ok(view) = Vlan::new(bytes) {
        assert_eq!(Vlan::new(&view.fields().to_bytes()).map(|again| again.fields()), Ok(view.fields()));
        black_box((view.identifier(), view.priority(), view.drop_eligible()));
    }
    if let Ok(view) = Arp::new(bytes)
        && let Some(fields) = view.fields()
    {
        assert_eq!(Arp::new(&fields.to_bytes()).map(|again| again.fields()), Ok(Some(fields)));
    }
    if let Ok(view) = Ipv4::new(bytes) {
        assert!(view.header_length() >= 20 && view.header_length() <= bytes.len());
        assert!(view.payload().len() <= bytes.len() - view.header_length());
        for option in view.options().flatten() {
            black_box((option.data(), option.is_copied()));
        }
        black_box((view.fields(), view.checksum_is_right(), view.fragment_offset(), view.is_first_fragment()));
        let pseudo_header = view.pseudo_header(0);
        if let Ok(tcp) = Tcp::new(view.payload()) {
            black_box(tcp.checksum_is_right(pseudo_header));
        }
        if let Ok(udp) = Udp::new(view.payload()) {
            black_box(udp.checksum_is_right(pseudo_header));
        }
    }
    if let Ok(view) = Ipv6::new(bytes) {
        let upper = view.upper_layer();
        assert!(upper.is_err() || upper.is_ok_and(|found| found.offset <= bytes.len()));
        black_box((view.fields(), view.payload(), view.traffic_class(), view.flow_label()));
    }
    if let Ok(view) = Tcp::new(bytes) {
        assert!(view.header_length() >= 20 && view.header_length() <= bytes.len());
        for option in view.options() {
            if let Ok(TcpOption::Sack(blocks)) = option {
                black_box(blocks.iter().count());
            }
        }
        black_box((view.fields(), view.payload()));
    }
    if let Ok(view) = Udp::new(bytes) {
        black_box((view.fields(), view.payload()));
    }
    if let Ok(view) = Icmp::new(bytes) {
        black_box((view.fields(), view.payload(), view.checksum_is_right()));
    }
    if let Ok(view) = Icmpv6::new(bytes) {
        black_box((view.fields(), view.payload(), view.target()));
    }
    write(bytes);
});

/// What is written must read back, and a checksum that was filled in must be right.
fn write(bytes: &[u8]) {
    let mut copy = bytes.to_vec();
    if let Ok(mut view) = Ipv4Mut::new(&mut copy) {
        view.fill_checksum();
        assert!(view.checksum_is_right());
        view.decrement_time_to_live();
        assert!(view.checksum_is_right());
    }
    let pseudo_header = Ipv4::new(bytes).map(|view| view.pseudo_header(0)).unwrap_or_default();
    copy.copy_from_slice(bytes);
    if let Ok(mut view) = TcpMut::new(&mut copy) {
        view.fill_checksum(pseudo_header);
        assert!(Tcp::new(&copy).is_ok_and(|view| view.checksum_is_right(pseudo_header)));
    }
    copy.copy_from_slice(bytes);
    if let Ok(mut view) = UdpMut::new(&mut copy) {
        view.fill_checksum(pseudo_header);
        assert!(Udp::new(&copy).is_ok_and(|view| view.checksum_is_right(pseudo_header)));
    }
    copy.copy_from_slice(bytes);
    if let Ok(mut view) = IcmpMut::new(&mut copy) {
        view.fill_checksum();
        assert!(Icmp::new(&copy).is_ok_and(|view| view.checksum_is_right()));
    }
    copy.copy_from_slice(bytes);
    if let Ok(mut view) = Icmpv6Mut::new(&mut copy) {
        view.fill_checksum(pseudo_header);
    }
}
