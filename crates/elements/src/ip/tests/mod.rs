//! The IPv4 elements on packets made by hand from RFC 791.

mod annotation;
mod check;
mod fragments;
mod header;
mod options;
mod payload;

use core::net::Ipv4Addr;
use core::time::Duration;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use sprat_packet::headers::{Ipv4, Ipv4Fields, Ipv4Mut, UdpFields, protocol};

use crate::testing::Bench;

/// Long enough for all that is there to pass; a device polls each simulated microsecond.
const MOMENT: Duration = Duration::from_micros(20);

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const DESTINATION: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

fn fields(length: usize) -> Ipv4Fields {
    Ipv4Fields {
        type_of_service: 0,
        total_length: u16::try_from(length).unwrap(),
        identification: 0x1234,
        flags_and_offset: 0,
        time_to_live: 64,
        protocol: protocol::UDP,
        source: SOURCE,
        destination: DESTINATION,
    }
}

/// A packet with a good header, and a payload of `length` bytes that count up.
fn packet(length: usize) -> Vec<u8> {
    let payload = (0..length).map(|byte| u8::try_from(byte % 251).unwrap());
    fields(20 + length)
        .to_bytes()
        .into_iter()
        .chain(payload)
        .collect()
}

/// A packet whose header has `options` of a multiple of four bytes.
fn packet_with_options(options: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = packet(length);
    bytes.splice(20..20, options.iter().copied());
    bytes[0] += u8::try_from(options.len() / 4).unwrap();
    let total = u16::try_from(bytes.len()).unwrap();
    let mut ip = Ipv4Mut::new(&mut bytes).unwrap();
    ip.set_total_length(total);
    ip.fill_checksum();
    bytes
}

fn frame(packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from([0, 1, 2, 3, 4, 5, 0, 6, 7, 8, 9, 10, 0x08, 0x00]);
    frame.extend(packet);
    frame
}

/// Sends packets through `elements`, which has the network header marked and nothing before it, and
/// returns what leaves by outputs 0 and 1 of the element called `e`.
fn through(elements: &str, packets: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let bench = Bench::new(&format!(
        "FromDevice(in) -> MarkIPHeader(14) -> Strip(14) -> e :: {elements} -> ToDevice(out); e[1] -> ToDevice(side)"
    ));
    for packet in packets {
        bench.arrive("in", &frame(packet));
    }
    bench.run_for(MOMENT);
    (bench.sent("out"), bench.sent("side"))
}

/// Sends one packet through an element with one output.
fn one(element: &str, packet: &[u8]) -> Vec<u8> {
    let bench = Bench::new(&format!(
        "FromDevice(in) -> MarkIPHeader(14) -> Strip(14) -> {element} -> ToDevice(out)"
    ));
    bench.arrive("in", &frame(packet));
    bench.run_for(MOMENT);
    bench.sent("out").remove(0)
}

fn read_checked(bytes: &[u8]) -> Ipv4<'_> {
    let ip = Ipv4::new(bytes).unwrap();
    assert!(ip.checksum_is_right());
    ip
}

/// Runs `packets` through `elements`, and gives back what comes out.
fn all_through(elements: &str, packets: &[Vec<u8>]) -> (Bench, Vec<Vec<u8>>) {
    let bench = Bench::new(&format!(
        "FromDevice(in) -> MarkIPHeader(0) -> {elements} -> ToDevice(out)"
    ));
    for packet in packets {
        bench.arrive("in", packet);
    }
    bench.run_for(MOMENT);
    let sent = bench.sent("out");
    (bench, sent)
}
