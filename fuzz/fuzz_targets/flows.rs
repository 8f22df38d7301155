//! Any packets, numbered by any field: the field is refused with a message, or reads no more than the
//! packet has; and reported as flows: IPFIX messages hold whole records, as their template says
//! (RFC 7011), of no more packets than came.
//!
//! The input is a field's name, a zero, and the frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::environment::Environment as _;
use sprat_click::simulation::Simulation;
use sprat_fuzz::{Bench, Setup, frames};

/// Rounds that are enough for all frames.
const ROUNDS: usize = 32;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let Some(Ok(field)) = parts.next().map(std::str::from_utf8) else { return };
    let frames = frames(parts.next().unwrap_or_default());
    let simulation = Simulation::new();
    let text = format!(
        "FromDevice(in) -> MarkIPHeader(14) -> e :: IPFIXExporter(CAPACITY 4)
         -> a :: AggregateIP({field}) -> AggregateCounter -> AggregateIPFlows -> Discard; a[1] -> Discard;
         e[1] -> ToDevice(messages);"
    );
    let Some(mut bench) = Bench::new(&simulation, &text, Setup::default()) else { return };
    for frame in &frames {
        simulation.simulated_device("in").arrive(frame, simulation.timestamp());
    }
    bench.run(ROUNDS);
    bench.handlers("e", "flush");
    bench.handlers("a", "");
    bench.run(ROUNDS);
    let mut packets = 0;
    for (message, _) in simulation.simulated_device("messages").take_sent() {
        packets += reported(&message);
    }
    assert!(packets <= frames.len() as u64, "{packets} packets reported of {}", frames.len());
    bench.finish();
});

fn half(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

/// The packets that a message reports, read by its own template.
fn reported(message: &[u8]) -> u64 {
    assert_eq!((half(message, 0), half(message, 2)), (10, message.len()));
    let mut rest = &message[16..];
    let mut elements = Vec::new();
    let mut packets = 0;
    while !rest.is_empty() {
        let (set, after) = rest.split_at(half(rest, 2));
        rest = after;
        let mut content = &set[4..];
        match half(set, 0) {
            2 => {
                let count = half(content, 2);
                elements = (0..count).map(|at| (half(content, 4 + 4 * at), half(content, 6 + 4 * at))).collect();
                assert_eq!(content.len(), 4 + 4 * count);
            }
            256 => {
                let length: usize = elements.iter().map(|(_, length)| length).sum();
                assert!(length > 0 && content.len() % length == 0);
                while !content.is_empty() {
                    for &(element, length) in &elements {
                        let (value, after) = content.split_at(length);
                        content = after;
                        // packetDeltaCount.
                        if element == 2 {
                            packets += value.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                        }
                    }
                }
            }
            other => panic!("a set of number {other}"),
        }
    }
    packets
}
