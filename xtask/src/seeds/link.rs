//! Frames as they come to a service's own network, and to the one that a monitor serves an instance.

/// Flags in a frame's length (`fuzz/src/frames.rs`, `fuzz/src/answers.rs`): its checksums are filled in,
/// and what it answers is.
const CHECKSUMS: u16 = 0xc000;
const ANSWERS: u16 = 0x2000;

const SERVICE: [u8; 4] = [10, 0, 0, 5];
const NEIGHBOUR: [u8; 4] = [10, 0, 0, 9];
const GUEST: [u8; 4] = [10, 0, 2, 15];
const GATEWAY: [u8; 4] = [10, 0, 2, 2];
const NAME_SERVER: [u8; 4] = [10, 0, 2, 3];
const EVERYBODY: [u8; 4] = [255; 4];

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;

const SYN: u8 = 2;
const FIN: u8 = 1;
const PUSHED: u8 = 0x18;

/// For the target `stack`: behind two bytes that say how it has its addresses and how time passes.
pub(super) fn stack() -> Vec<Vec<u8>> {
    let from = |to| (NEIGHBOUR, to);
    let connection = [
        plain(ipv4(TCP, from(SERVICE), &segment(80, SYN, b""))),
        reply(ipv4(TCP, from(SERVICE), &segment(80, PUSHED, b"hello"))),
        reply(ipv4(TCP, from(SERVICE), &segment(80, FIN | 0x10, b""))),
    ];
    let datagrams = [
        plain(ipv4(UDP, from(SERVICE), &datagram(9, b"hello"))),
        plain(ipv4(ICMP, from(SERVICE), b"\x08\0\0\0\0\x01\0\x01data")),
        // A question who is in groups.
        plain(ipv4(2, from([224, 0, 0, 1]), b"\x11\x64\xee\x9b\0\0\0\0")),
        reply(ipv4(UDP, from(SERVICE), &datagram(9, NAMES))),
    ];
    let leases = [2, 5].map(|kind| reply(ipv4(UDP, from(EVERYBODY), &datagram(68, &lease(kind)))));
    let routers = [
        plain(ipv6(b"\x86\0\0\0\x40\0\x07\x08\0\0\0\0\0\0\0\0\x03\x04\x40\xc0\0\0\x70\x80\0\0\x38\x40\0\0\0\0\x20\x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\0\x19\x03\0\0\0\0\x07\x08\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01")),
        // Who has the link-local address, and that a neighbour has.
        plain(ipv6(b"\x87\0\0\0\0\0\0\0\xfe\x80\0\0\0\0\0\0\0\0\0\xff\xfe\0\0\x05")),
        plain(ipv6(b"\x88\0\0\0\x20\0\0\0\xfe\x80\0\0\0\0\0\0\0\0\0\xff\xfe\0\0\x05\x02\x01\x02\0\0\0\0\x09")),
        // Who is in groups, of version 2.
        plain(ipv6(b"\x82\0\0\0\x03\xe8\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x7d\0\0")),
    ];
    vec![
        [&[2, 1][..], &connection.concat()].concat(),
        [&[2, 4][..], &datagrams.concat()].concat(),
        [&[3, 1][..], &leases.concat()].concat(),
        [&[0, 16][..], &routers.concat()].concat(),
    ]
}

/// For the target `usernet`.
pub(super) fn usernet() -> Vec<Vec<u8>> {
    let to = |host| (GUEST, host);
    let connection = [
        plain(ipv4(TCP, to(GATEWAY), &segment(80, SYN, b""))),
        reply(ipv4(TCP, to(GATEWAY), &segment(80, PUSHED, b"hello"))),
        reply(ipv4(TCP, to(GATEWAY), &segment(80, FIN | 0x10, b""))),
    ];
    let datagrams = [
        plain(ipv4(UDP, ([0; 4], EVERYBODY), &datagram(67, &lease(1)))),
        plain(ipv4(UDP, to(NAME_SERVER), &datagram(53, NAMES))),
        plain(ipv4(UDP, to(GATEWAY), &datagram(53, b"hello"))),
        plain(ipv4(ICMP, to(GATEWAY), b"\x08\0\0\0\0\x01\0\x01data")),
        // To a port where nobody listens.
        plain(ipv4(TCP, to(GATEWAY), &segment(81, SYN, b""))),
    ];
    vec![connection.concat(), datagrams.concat()]
}

/// An answer with one address, which is a question as well.
const NAMES: &[u8] =
    b"\0\x01\x81\x80\0\x01\0\x01\0\0\0\0\x04host\x07example\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x09";

fn plain(frame: Vec<u8>) -> Vec<u8> {
    record(frame, CHECKSUMS)
}

fn reply(frame: Vec<u8>) -> Vec<u8> {
    record(frame, CHECKSUMS | ANSWERS)
}

fn record(mut frame: Vec<u8>, flags: u16) -> Vec<u8> {
    let length = u16::try_from(frame.len()).unwrap_or(0);
    frame.splice(..0, (length | flags).to_le_bytes());
    frame
}

fn ipv4(protocol: u8, (from, to): ([u8; 4], [u8; 4]), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap_or(0);
    let mut frame = vec![2, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0];
    frame.extend(length.to_be_bytes());
    frame.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
    frame.extend([from, to].concat());
    frame.extend(payload);
    frame
}

/// A message of ICMPv6 by fe80::1 to everybody.
fn ipv6(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(0);
    let mut frame = vec![
        0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0,
    ];
    frame.extend(length.to_be_bytes());
    frame.extend([58, 255]);
    for start in [[0xfe, 0x80], [0xff, 2]] {
        frame.extend(start);
        frame.extend([0; 13]);
        frame.push(1);
    }
    frame.extend(message);
    frame
}

fn segment(port: u16, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut segment = 5000u16.to_be_bytes().to_vec();
    segment.extend(port.to_be_bytes());
    segment.extend([0; 8]);
    segment.extend([0x50, flags, 0x40, 0, 0, 0, 0, 0]);
    segment.extend(data);
    segment
}

fn datagram(port: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap_or(0);
    let mut datagram = if port < 100 { port ^ 7 } else { 5000 }
        .to_be_bytes()
        .to_vec();
    datagram.extend(port.to_be_bytes());
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(data);
    datagram
}

/// A message of DHCP (RFC 2131, section 2) of this type.
fn lease(kind: u8) -> Vec<u8> {
    let mut message = vec![if kind == 1 { 1 } else { 2 }, 1, 6, 0, 1, 2, 3, 4];
    message.extend([0; 8]);
    message.extend([SERVICE, NEIGHBOUR, [0; 4], [2, 0, 0, 0]].concat());
    message.extend([0, 5]);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99, 53, 1, kind, 54, 4]);
    message.extend(NEIGHBOUR);
    message.extend([51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 3, 4]);
    message.extend(NEIGHBOUR);
    message.extend([6, 4]);
    message.extend(NEIGHBOUR);
    message.push(255);
    message
}
