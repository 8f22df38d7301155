//! What writes fields of the header.

use super::*;

#[test]
fn dec_ip_ttl_takes_one_and_mends_the_checksum() {
    let sent = one("DecIPTTL", &packet(8));
    assert_eq!(read_checked(&sent).time_to_live(), 63);
    assert_eq!(sent[20..], packet(8)[20..]);
}

#[test]
fn dec_ip_ttl_turns_expired_packets_away_unchanged() {
    let expired: Vec<_> = [0, 1]
        .map(|time_to_live| {
            let mut bytes = packet(8);
            let mut ip = Ipv4Mut::new(&mut bytes).unwrap();
            ip.set_time_to_live(time_to_live);
            ip.fill_checksum();
            bytes
        })
        .into();
    let (sent, side) = through("DecIPTTL", &expired);
    assert!(sent.is_empty());
    assert_eq!(side, expired);
}

#[test]
fn dec_ip_ttl_spares_multicast_only_when_told() {
    let mut multicast = packet(8);
    let mut ip = Ipv4Mut::new(&mut multicast).unwrap();
    ip.set_destination(Ipv4Addr::new(224, 0, 0, 9));
    ip.fill_checksum();
    assert_eq!(one("DecIPTTL(MULTICAST false)", &multicast), multicast);
    assert_eq!(
        read_checked(&one("DecIPTTL", &multicast)).time_to_live(),
        63
    );
    assert_eq!(one("DecIPTTL(ACTIVE false)", &packet(8)), packet(8));
}

#[test]
fn code_point_and_congestion_bits_are_set_apart_from_each_other() {
    let mut marked = packet(8);
    let mut ip = Ipv4Mut::new(&mut marked).unwrap();
    ip.set_type_of_service(42 << 2 | 3);
    ip.fill_checksum();
    assert_eq!(
        read_checked(&one("SetIPDSCP(10)", &marked)).type_of_service(),
        10 << 2 | 3
    );
    assert_eq!(
        read_checked(&one("SetIPECN(ect1)", &marked)).type_of_service(),
        42 << 2 | 1
    );
    assert_eq!(read_checked(&one("SetIPECN(no)", &marked)).ecn(), 0);
    let errors = Bench::errors("Idle -> SetIPDSCP(64) -> Idle");
    assert!(errors.contains("DSCP: out of range, bound 63"), "{errors}");
}

#[test]
fn what_ip_encap_cannot_write_is_named() {
    for (arguments, expected) in [
        (
            "4, 1.0.0.1, x",
            "DST argument should be IP address or 'DST_ANNO'",
        ),
        ("4, 1.0.0.1, 2.0.0.2, ECT x", "bad ECT value 'x'"),
        (
            "4, 1.0.0.1, 2.0.0.2, TOS 1, DSCP 1",
            "cannot set both TOS and DSCP",
        ),
        (
            "4, 1.0.0.1, 2.0.0.2, TOS 1, CE true",
            "cannot set both TOS and ECN bits",
        ),
        ("4, 1.0.0.1, 2.0.0.2, TOS 256", "TOS too large; max 255"),
        ("4, 1.0.0.1, 2.0.0.2, DSCP 64", "DSCP too large; max 63"),
        (
            "4, 1.0.0.1, 2.0.0.2, ECT 2, CE true",
            "can set at most one ECN option",
        ),
    ] {
        let errors = Bench::errors(&format!("Idle -> IPEncap({arguments}) -> Idle"));
        assert_eq!(errors.lines().nth(1), Some(&*format!("  {expected}")));
    }
}

#[test]
fn ip_encap_writes_the_header_of_rfc_2003() {
    let inner = packet(8);
    let sent = one(
        "IPEncap(ipip, 18.26.4.24, 140.247.60.147, DSCP 1, CE true, DF true, TTL 9)",
        &inner,
    );
    let outer = read_checked(&sent);
    let expected = Ipv4Fields {
        type_of_service: 1 << 2 | 3,
        total_length: 48,
        identification: 0,
        flags_and_offset: Ipv4::DONT_FRAGMENT,
        time_to_live: 9,
        protocol: 4,
        source: Ipv4Addr::new(18, 26, 4, 24),
        destination: Ipv4Addr::new(140, 247, 60, 147),
    };
    assert_eq!(outer.fields(), expected);
    assert_eq!(outer.payload(), inner);
    assert_eq!(
        one("IPEncap(4, 1.0.0.1, 2.0.0.2) -> StripIPHeader", &inner),
        inner
    );
}

#[test]
fn ip_encap_takes_the_destination_from_the_annotation() {
    let sent = one(
        "SetIPAddress(7.7.7.7) -> IPEncap(4, 1.0.0.1, DST_ANNO)",
        &packet(8),
    );
    assert_eq!(read_checked(&sent).destination(), Ipv4Addr::new(7, 7, 7, 7));
}

#[test]
fn set_ip_checksum_rights_a_wrong_one() {
    let mut wrong = packet(8);
    wrong[10] ^= 0x55;
    assert_eq!(one("SetIPChecksum", &wrong), packet(8));
}

#[test]
fn mark_ip_ce_drops_what_is_not_ecn_capable() {
    let packets = [0_u8, 1, 2, 3].map(|ecn| {
        let mut bytes = packet(4);
        let mut ip = Ipv4Mut::new(&mut bytes).unwrap();
        ip.set_type_of_service(0xb8 | ecn);
        ip.fill_checksum();
        bytes
    });
    for (argument, count) in [("", 3), ("true", 4)] {
        let (bench, sent) = all_through(&format!("m :: MarkIPCE({argument})"), &packets);
        assert_eq!(sent.len(), count);
        for bytes in &sent {
            let ip = Ipv4::new(bytes).unwrap();
            assert_eq!(ip.type_of_service(), 0xbb);
            assert!(ip.checksum_is_right());
        }
        assert_eq!(bench.read("m.drops"), (4 - count).to_string());
    }
}

#[test]
fn set_ip_ecn_takes_the_names_of_rfc_3168() {
    for (name, bits) in [
        ("no", 0),
        ("ECT(1)", 1),
        ("ect2", 2),
        ("ECT(0)", 2),
        ("CE", 3),
    ] {
        let (_, sent) = all_through(&format!("SetIPECN({name})"), &[packet(4)]);
        assert_eq!(Ipv4::new(&sent[0]).unwrap().ecn(), bits, "{name}");
    }
}

#[test]
fn forceip_makes_headers_that_check_of_random_bytes() {
    let bench = Bench::new(
        "RandomSource(20, LIMIT 200) -> f :: ForceIP -> CheckIPHeader(VERBOSE true) -> c :: Counter -> Discard;
         RandomSource(100, LIMIT 200) -> SetIPAddress(1.2.3.4) -> StoreIPAddress(16) -> f;
         RandomSource(19, LIMIT 200) -> f",
    );
    bench.run();
    let said = bench.simulation.take_errors();
    // Sources that no packet may have are all that is wrong with some.
    let wrong: Vec<&str> = said
        .lines()
        .filter(|line| !line.contains("bad source address"))
        .collect();
    assert_eq!(wrong, [""; 0]);
    let passed: usize = bench.read("c.count").parse().unwrap();
    assert_eq!(passed + said.lines().count(), 400);
}

#[test]
fn duppath_holds_no_more_than_it_has_room_for() {
    let bench = Bench::new(
        "InfiniteSource(LIMIT 200) -> IPEncap(udp, 1.0.0.1, 2.0.0.2) -> d :: DupPath -> a :: Counter -> Discard;
         InfiniteSource(LIMIT 7) -> d;
         d [1] -> u :: Unqueue(ACTIVE false) -> b :: Counter -> Discard",
    );
    bench.run();
    bench.write("u.active", "true");
    bench.run();
    // What is no IP goes the first way.
    assert_eq!(bench.read("a.count"), "7");
    assert_eq!(bench.read("b.count"), "128");
}
