//! Addresses between packets and annotations.

use super::*;

#[test]
fn addresses_move_between_packet_and_annotation() {
    let sent = one("GetIPAddress(12) -> StoreIPAddress(16)", &packet(8));
    assert_eq!(sent[16..20], SOURCE.octets());
    let sent = one(
        "MarkIPHeader -> GetIPAddress(IP src) -> StoreIPAddress(16)",
        &packet(8),
    );
    assert_eq!(sent[16..20], SOURCE.octets());
    // A zero annotation changes nothing, a zero address does.
    assert_eq!(one("StoreIPAddress(16)", &packet(8)), packet(8));
    assert_eq!(
        one("StoreIPAddress(0.0.0.0, 16)", &packet(8))[16..20],
        [0; 4]
    );
    assert_eq!(
        through("StoreIPAddress(1.2.3.4, 25)", &[packet(8)]).1,
        [packet(8)]
    );
}

#[test]
fn stored_source_mends_the_checksums() {
    let mut bytes = packet(12);
    let udp = UdpFields {
        source_port: 9,
        destination_port: 10,
        length: 12,
        checksum: 0,
    };
    bytes[20..28].copy_from_slice(&udp.to_bytes());
    let mut with_checksum = bytes.clone();
    let mut ip = Ipv4Mut::new(&mut with_checksum).unwrap();
    let pseudo_header = ip.pseudo_header(12);
    sprat_packet::headers::UdpMut::new(ip.payload_mut())
        .unwrap()
        .fill_checksum(pseudo_header);
    let sent = one(
        "StoreIPAddress(1.2.3.4, src) -> CheckIPHeader -> CheckUDPHeader",
        &with_checksum,
    );
    assert_eq!(read_checked(&sent).source(), Ipv4Addr::new(1, 2, 3, 4));
    // "No checksum" stays so.
    assert_eq!(one("StoreIPAddress(1.2.3.4, dst)", &bytes)[26..28], [0, 0]);
}

#[test]
fn random_addresses_have_the_prefix_and_keep_the_limit() {
    let packets: Vec<_> = (0..200).map(|_| packet(0)).collect();
    let bench = Bench::new(
        "FromDevice(in) -> Strip(14) -> SetRandIPAddress(10.3.0.0/16, 5) -> StoreIPAddress(16) -> ToDevice(out)",
    );
    for packet in &packets {
        bench.arrive("in", &frame(packet));
    }
    bench.run_for(MOMENT);
    let addresses: std::collections::HashSet<Vec<u8>> = bench
        .sent("out")
        .iter()
        .map(|packet| packet[16..20].to_vec())
        .collect();
    assert_eq!(addresses.len(), 5);
    assert!(addresses.iter().all(|address| address[..2] == [10, 3]));
}

#[test]
fn wrong_places_of_addresses_are_named() {
    for (element, wrong) in [
        ("GetIPAddress", "set one of OFFSET, IP"),
        ("GetIPAddress(16, IP src)", "set one of OFFSET, IP"),
        ("GetIPAddress(IP both)", "bad IP"),
        (
            "StoreIPAddress(both)",
            "type mismatch: OFFSET requires integer",
        ),
        (
            "StoreIPAddress(1.2.3.4, -1)",
            "type mismatch: OFFSET requires integer",
        ),
    ] {
        let errors = Bench::errors(&std::format!("Idle -> {element} -> Idle"));
        assert!(errors.contains(wrong), "{element}: {errors}");
    }
}
