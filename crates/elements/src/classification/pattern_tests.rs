//! Patterns against packets made by hand. What must match is what Click's manual says.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Ipv4Prefix, Names, NoNames};

use super::{Headers, Program, parse_byte_pattern, parse_ip_pattern};

/// A packet from 10.0.0.1 to 18.26.4.44, without options.
fn ip(protocol: u8, transport: &[u8]) -> Vec<u8> {
    let mut packet = vec![
        0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 18, 26, 4, 44,
    ];
    packet.extend_from_slice(transport);
    packet
}

fn udp(source: u16, destination: u16) -> Vec<u8> {
    let mut transport = vec![0; 8];
    transport[..2].copy_from_slice(&source.to_be_bytes());
    transport[2..4].copy_from_slice(&destination.to_be_bytes());
    ip(17, &transport)
}

fn tcp(source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let mut transport = vec![0; 20];
    transport[..2].copy_from_slice(&source.to_be_bytes());
    transport[2..4].copy_from_slice(&destination.to_be_bytes());
    transport[12] = 0x50;
    transport[13] = flags;
    transport[14..16].copy_from_slice(&[0x20, 0]);
    ip(6, &transport)
}

fn icmp(kind: u8) -> Vec<u8> {
    ip(1, &[kind, 0, 0, 0, 0, 0, 0, 0])
}

/// The packet as a fragment that is not the first.
fn later_fragment(mut packet: Vec<u8>) -> Vec<u8> {
    packet[7] = 1;
    packet
}

struct Declared;

impl Names for Declared {
    fn ipv4(&self, name: &str) -> Option<Ipv4Addr> {
        (name == "BASTION").then_some(Ipv4Addr::new(10, 0, 0, 1))
    }

    fn ipv4_prefix(&self, name: &str) -> Option<Ipv4Prefix> {
        (name == "INTERNALNET").then(|| Ipv4Prefix::new(Ipv4Addr::new(10, 0, 0, 0), 24).unwrap())
    }
}

#[track_caller]
fn check(pattern: &str, packet: &[u8], expected: bool) {
    let expression = parse_ip_pattern(pattern, &Declared).unwrap();
    let headers = Headers::ip(packet);
    assert_eq!(expression.matches(&headers), expected, "{pattern}");
    let rule = Program::compile(&[expression]).unwrap().classify(&headers);
    assert_eq!(rule == 0, expected, "{pattern}, compiled");
}

#[track_caller]
fn matches(pattern: &str, packet: &[u8]) {
    check(pattern, packet, true);
}

#[track_caller]
fn rejects(pattern: &str, packet: &[u8]) {
    check(pattern, packet, false);
}

#[test]
fn addresses_match_by_direction() {
    let packet = udp(1, 2);
    matches("src host 10.0.0.1", &packet);
    rejects("dst host 10.0.0.1", &packet);
    matches("host 10.0.0.1", &packet);
    matches("src or dst host 18.26.4.44", &packet);
    rejects("src and dst host 18.26.4.44", &packet);
    matches("src and dst net 10.0.0.0/3", &packet);
    matches("10.0.0.0/24", &packet);
    matches("net 10.0.0.0 mask 255.255.255.0", &packet);
    rejects("src net 10.0.1.0 mask 255.255.255.0", &packet);
    matches("src BASTION && src net INTERNALNET && INTERNALNET", &packet);
    matches("src & 255.0.0.255 == 10.0.0.1", &packet);
}

#[test]
fn unequal_addresses_are_negations_of_equal_ones() {
    let packet = udp(1, 2);
    rejects("src host != 10.0.0.1", &packet);
    matches("dst host != 10.0.0.1", &packet);
    rejects("host != 10.0.0.1", &packet);
    matches("src and dst host != 10.0.0.1", &packet);
}

#[test]
fn ports_need_tcp_or_udp() {
    matches("src port 80", &tcp(80, 1, 0));
    matches("src port 80", &udp(80, 1));
    rejects("src tcp port 80", &udp(80, 1));
    matches("tcp src port 80", &tcp(80, 1, 0));
    rejects("src port 80", &ip(47, &[0, 80, 0, 0]));
    matches("port www", &udp(1, 80));
    matches("www", &tcp(1, 80, 0));
    matches("src and dst port 7", &udp(7, 7));
    rejects("src and dst port 7", &udp(7, 8));
    matches("udp dst port domain", &udp(7, 53));
}

#[test]
fn port_relations_do_not_match_other_protocols() {
    // The manual: 'src tcp port != 5' is 'tcp and not src tcp port 5'.
    matches("src tcp port != 5", &tcp(6, 5, 0));
    rejects("src tcp port != 5", &tcp(5, 6, 0));
    rejects("src tcp port != 5", &udp(6, 5));
    matches("!(src tcp port == 5)", &udp(6, 5));
    matches("dst tcp port > 1023", &tcp(1, 1024, 0));
    rejects("dst tcp port > 1023", &tcp(1, 1023, 0));
    matches("dst port >= 1023", &udp(1, 1023));
    matches("dst port < 1023", &udp(1, 1022));
    rejects("dst port <= 1023", &udp(1, 1024));
    matches("dst port >= 0", &udp(1, 1024));
    rejects("dst port < 0", &udp(1, 1024));
    matches("src tcp port & 10 == 8", &tcp(0xf8, 0, 0));
    rejects("src tcp port & 10 == 8", &tcp(0xfa, 0, 0));
    matches("dst port 1024-65535", &udp(1, 1024));
    rejects("dst port 1024-65535", &udp(1, 1023));
    rejects("dst port != 1024-65535", &udp(1, 1024));
}

#[test]
fn transport_fields_match_only_in_first_fragments() {
    matches("src port 80", &udp(80, 1));
    for pattern in [
        "src port 80",
        "src port != 81",
        "udp[0:2] 80",
        "transp[1] == 80",
        "port > 0",
    ] {
        matches(pattern, &udp(80, 1));
        rejects(pattern, &later_fragment(udp(80, 1)));
    }
    rejects("syn", &later_fragment(tcp(1, 2, 2)));
    rejects("icmp type echo", &later_fragment(icmp(8)));
    matches("udp", &later_fragment(udp(80, 1)));
    matches("not src port 80", &later_fragment(udp(80, 1)));
}

#[test]
fn a_test_of_missing_bytes_fails_and_its_negation_holds() {
    let packet = udp(0, 1);
    for cut in [19, 21] {
        rejects("ip[19:1] & 1 == 0 && transp[1] & 128 == 0", &packet[..cut]);
        rejects("transp[1] & 128 != 0", &packet[..cut]);
        matches("not (transp[1] & 128 == 0)", &packet[..cut]);
    }
    rejects("dst host 18.26.4.44", &packet[..19]);
    rejects("dst host != 10.0.0.1", &packet[..19]);
    matches("transp[0:4] == 1", &packet);
}

#[test]
fn header_fields_have_names() {
    let mut packet = udp(1, 2);
    packet[1] = 0xb9; // DSCP 46, ECN 01
    packet[3] = 28;
    matches(
        "ip vers 4 and ip hl 5 and ip id 0x1234 and ip tos 185 and ip ttl 64",
        &packet,
    );
    matches("ip len 28 and not ip len > 28", &packet);
    matches("ip dscp 46 and ip ect", &packet);
    matches(
        "ip dscp > 45 and ip dscp < 47 and ip dscp & 2 == 2",
        &packet,
    );
    rejects("ip ce", &packet);
    packet[1] = 3;
    matches("ip ce and ect", &packet);
    matches("ip ect 3 and ect != 1", &packet);
    rejects("ip ect 1", &packet);
    matches("ip ttl > 63 && ip ttl <= 64", &packet);
    rejects("ip frag", &packet);
    matches("unfrag", &packet);
    matches("ip frag", &later_fragment(udp(1, 2)));
    packet[6] = 0x20;
    matches("frag and src port 1", &packet);
    packet[6] = 0x40;
    matches("ip unfrag", &packet);
    matches("ip[16:4] 18.26.4.44 && ip[9] == 17 && ip[13:3] 1", &packet);
}

#[test]
fn protocols_options_windows_and_types_have_names() {
    matches("ip proto tcp", &tcp(1, 2, 0));
    matches("ip proto 17", &udp(1, 2));
    matches("ip proto != 6", &udp(1, 2));
    rejects("igmp", &udp(1, 2));
    matches("tcp opt syn", &tcp(1, 2, 0x12));
    matches("syn and ack", &tcp(1, 2, 0x12));
    matches("fin ack", &tcp(1, 2, 0x11));
    rejects("fin ack", &tcp(1, 2, 0x10));
    rejects("syn", &udp(1, 2));
    matches("tcp win 8192", &tcp(1, 2, 0));
    rejects("tcp win > 8192", &tcp(1, 2, 0));
    matches("icmp type echo", &icmp(8));
    matches("icmp echo", &icmp(8));
    matches("icmp type 3 or echo-reply", &icmp(0));
    matches("icmp type != 4", &icmp(8));
    rejects("icmp type != 4", &udp(1, 2));
    for packet in [tcp(7, 2, 0), udp(7, 2)] {
        matches("tcpudp", &packet);
        matches("tcpudp src port 7 and ip proto tcpudp", &packet);
        rejects("ip proto != tcpudp", &packet);
    }
    rejects("tcpudp", &icmp(8));
    matches("tcp[13] & 2", &tcp(1, 2, 2));
    rejects("tcp[13] & 2", &tcp(1, 2, 1));
}

#[test]
fn connectives_bind_as_in_c() {
    let packet = tcp(80, 1000, 2);
    matches("udp and syn or src port 80", &packet);
    rejects("udp && (syn || src port 80)", &packet);
    matches("not udp and tcp", &packet);
    matches("!udp", &packet);
    matches("tcp ? src port 80 : dst port 80", &packet);
    rejects("udp ? src port 80 : dst port 80", &packet);
    matches("true", &packet);
    rejects("false", &packet);
    matches("-", &packet);
    matches("", &packet);
    matches("any", &packet);
    matches("all", &packet);
}

#[test]
fn repeated_words_may_be_left_out() {
    matches("src port 80 or 81", &udp(81, 5));
    rejects("src port 80 or 81", &udp(5, 81));
    matches("dst tcp port 8000 or 8080", &tcp(1, 8080, 0));
    rejects("dst tcp port 8000 or 8080", &udp(1, 8080));
    matches("src 10.0.0.9 or 10.0.0.1", &udp(1, 2));
    rejects("dst 10.0.0.9 or 10.0.0.1", &udp(1, 2));
    matches("dst port ssh or www", &udp(1, 80));
    matches("src port 80 or dst 53", &udp(1, 53));
    // Whatever the last one was about, the direction is the same, and the protocol of ports.
    rejects("dst port 9 or 10.0.0.1", &udp(1, 2));
    matches("src port 9 or 10.0.0.1", &udp(1, 2));
    rejects("tcp or www", &udp(1, 80));
    matches("src port 9 or tcp www", &tcp(1, 80, 0));
    // A negation may stand among the words.
    matches("src port not 9", &udp(1, 2));
    rejects("src ! 10.0.0.1", &udp(1, 2));
}

#[test]
fn options_move_the_transport_header() {
    let mut packet = udp(80, 53);
    packet[0] = 0x46;
    packet.splice(20..20, [1, 1, 1, 0]);
    matches("src port 80 and dst port 53", &packet);
}

#[test]
fn mistakes_are_named_in_clicks_words() {
    for (pattern, message) in [
        ("src host", "'src ip host': address missing"),
        ("80", "specify header field or 'port'"),
        ("src", "partial directive"),
        ("tcp and", "missing expression"),
        ("tcp && )", "missing expression"),
        ("tcp )", "garbage after expression at ')'"),
        ("(tcp", "missing ')'"),
        ("tcp && !", "missing expression after '!'"),
        (
            "tcp && (",
            "missing expression\nmissing expression after '('",
        ),
        ("tcp ? udp", "missing ':' in ternary expression"),
        (
            "dst port nonesuch",
            "'dst port': value missing\nempty term near 'nonesuch'\n\
             garbage after expression at 'nonesuch'",
        ),
        (
            "dst nonesuch",
            "partial directive\nempty term near 'nonesuch'\n\
             garbage after expression at 'nonesuch'",
        ),
        (
            "nonesuch",
            "empty term near 'nonesuch'\nmissing expression\n\
             garbage after expression at 'nonesuch'",
        ),
        (
            "tcp nonesuch",
            "empty term near 'nonesuch'\ngarbage after expression at 'nonesuch'",
        ),
        (
            "echo",
            "'<none>  echo' is ambiguous; try 'port  echo', 'port  echo', 'icmp type  echo'",
        ),
        ("port syn", "'port  syn' is meaningless; try 'tcp opt  syn'"),
        (
            "tcp opt echo-reply",
            "'tcp opt tcp echo-reply' is meaningless; try 'icmp type tcp echo-reply'",
        ),
        (
            "ip ttl > foo",
            "dangling operator near 'foo'\n'ip ttl': value missing\n\
             empty term near 'foo'\ngarbage after expression at 'foo'",
        ),
        (
            "ip ttl >",
            "'ip ttl': value missing\nempty term near '>'\ngarbage after expression at '>'",
        ),
        (
            "ip ttl > and tcp",
            "dangling operator near 'and'\n'ip ttl': value missing",
        ),
        (
            "> foo",
            "dangling operator near 'foo'\npartial directive\n\
             empty term near 'foo'\ngarbage after expression at 'foo'",
        ),
        (
            "ip ttl 300 and (src or ip vers 20) udp tcp",
            "'ip ttl': out of range, bound 255\npartial directive\n\
             'ip vers': out of range, bound 15\ntransport protocol specified twice",
        ),
        (
            "tcp[x] = 5",
            "syntax error after '[', expected '[POS]' or '[POS:LEN]'\n\
             specify header field or 'port'",
        ),
        ("tcp[0] & 0 = 0", "zero mask ignored"),
        ("ip frag 5", "'ip frag': value not supported"),
        ("src src 1.2.3.4", "'src' or 'dst' specified twice"),
        ("icmp port 5", "'port': bad protocol 1"),
        ("udp opt syn", "'tcp opt': bad protocol 17"),
        ("ether ttl 5", "'ip ttl': ip only"),
        ("ip ect 4", "'ip ect': out of range, bound 3"),
        ("ip vers 16", "'ip vers': out of range, bound 15"),
        ("src port 65536", "'src port': out of range, bound 65535"),
        (
            "ip ttl & 0x100 5",
            "'ip ttl': mask out of range, bound 0xFF",
        ),
        ("host > 10.0.0.1", "'ip host': operator not supported"),
        ("host 10.0.0.0/8", "'ip host': address missing"),
        (
            "tcp opt != syn",
            "'tcp opt': operator or mask not supported",
        ),
        ("src dst port 1", "'src' or 'dst' specified twice"),
        ("ip ttl port 1", "type specified twice"),
        (
            "ip[0:5] 1",
            "LEN in '[POS:LEN]' out of range, should be between 1 and 4\n\
             specify header field or 'port'",
        ),
        (
            "ip[x] 1",
            "syntax error after '[', expected '[POS]' or '[POS:LEN]'\n\
             specify header field or 'port'",
        ),
    ] {
        let error = parse_ip_pattern(pattern, &NoNames).unwrap_err();
        assert_eq!(error.to_string(), message, "{pattern}");
    }
    let deep = "(".repeat(1000);
    assert_eq!(
        parse_ip_pattern(&deep, &NoNames).unwrap_err().to_string(),
        "pattern nested too deeply"
    );
}

#[track_caller]
fn bytes(pattern: &str, packet: &[u8], expected: bool) {
    let expression = parse_byte_pattern(pattern).unwrap();
    let headers = Headers::packet(packet);
    assert_eq!(expression.matches(&headers), expected, "{pattern}");
    let rule = Program::compile(&[expression]).unwrap().classify(&headers);
    assert_eq!(rule == 0, expected, "{pattern}, compiled");
}

#[test]
fn byte_patterns_match_values_wildcards_and_masks() {
    let packet = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55];
    bytes("0/0011 4/4455", &packet, true);
    bytes("0/0011 4/4456", &packet, false);
    bytes("1/1122334455", &packet, true);
    bytes("0/??11", &packet, true);
    bytes("0/?1", &packet, false);
    bytes("2/2F%F0", &packet, true);
    bytes("2/2f%ff", &packet, false);
    bytes("2/2?33%ff0f", &packet, true);
    bytes("-", &packet, true);
    bytes("!0/0011", &packet, false);
    bytes("! 0/0012 4/44", &packet, true);
    bytes("", &packet, true);
    bytes("0/0011%?f?f", &packet, true);
}

#[test]
fn byte_patterns_fail_past_the_end_unless_negated() {
    let packet = [0x08, 0x00];
    bytes("0/0800", &packet, true);
    bytes("0/080000", &packet, false);
    bytes("0/0800??", &packet, false);
    bytes("!0/080000", &packet, true);
}

#[test]
fn mistakes_in_byte_patterns_are_named_in_clicks_words() {
    for (pattern, message) in [
        ("12", "expected '/'"),
        ("x/00", "expected a digit"),
        ("!!1/00", "expected a digit"),
        ("12/0800 -", "expected a digit"),
        ("99999999999/00", "offset too great"),
        ("0/000", "value has odd number of hex digits"),
        ("0/", "value has less than 2 hex digits"),
        ("0/00g", "expected a digit"),
        (
            "0/0g 1/11",
            "value has less than 2 hex digits\nexpected a digit",
        ),
        (
            "0/0 1/111%f 2/22%f",
            "value has less than 2 hex digits\nvalue has odd number of hex digits\n\
             mask has too few hex digits\nmask has too few hex digits",
        ),
        ("0/00%0000", "mask has too many hex digits"),
        ("0/0000%00", "mask has too few hex digits"),
    ] {
        assert_eq!(
            parse_byte_pattern(pattern).unwrap_err().to_string(),
            message,
            "{pattern}"
        );
    }
}
