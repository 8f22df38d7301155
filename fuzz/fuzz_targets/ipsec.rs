//! Packets through both ends of an IPsec association, changed in between: what comes out in tunnel mode
//! is a packet that went in, whatever was done to it on the way; and nothing panics.
//!
//! The input is a byte that says which association, how often something is changed, three bytes for each
//! change (which packet, where, how), and the frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::environment::Environment as _;
use sprat_click::simulation::Simulation;
use sprat_fuzz::{Bench, Setup, frames};

/// Rounds that are enough for all frames.
const ROUNDS: usize = 32;

const ESP_KEY: &str = "000102030405060708090a0b0c0d0e0f 10111213";
const AH_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fuzz_target!(|bytes: &[u8]| {
    let Some((&[mode, changes], rest)) = bytes.split_first_chunk::<2>() else { return };
    let Some((changes, packets)) = rest.split_at_checked(usize::from(changes % 16) * 3) else { return };
    let (name, key) = if mode & 1 == 0 { ("ESP", ESP_KEY) } else { ("AH", AH_KEY) };
    let tunnel = mode & 2 == 0;
    let ends = if tunnel { ", 192.0.2.1, 198.51.100.1" } else { "" };
    let simulation = Simulation::new();
    let text = format!(
        "FromDevice(in) -> Strip(14) -> CheckIPHeader -> e :: {name}Encap(0x1000, \\<{key}>{ends})
         -> ToDevice(between); e[1] -> Discard;
         FromDevice(changed) -> MarkIPHeader -> d :: {name}Decap(0x1000, \\<{key}>, TUNNEL {tunnel})
         -> ToDevice(out); d[1] -> Discard;"
    );
    let mut bench = Bench::new(&simulation, &text, Setup::default()).expect("a right configuration");
    let frames = frames(packets);
    let device = |name: &str| simulation.simulated_device(name);
    for frame in &frames {
        device("in").arrive(frame, simulation.timestamp());
    }
    bench.run(ROUNDS);
    let mut protected: Vec<Vec<u8>> =
        device("between").take_sent().into_iter().map(|(frame, _)| frame).collect();
    for change in changes.chunks_exact(3) {
        let count = protected.len();
        if let Some(frame) = protected.get_mut(usize::from(change[0]) % count.max(1)) {
            let length = frame.len();
            match frame.get_mut(usize::from(change[1]) % length.max(1)) {
                Some(_) if change[2] == 0 => frame.truncate(usize::from(change[1])),
                Some(byte) => *byte ^= change[2],
                None => {}
            }
        }
    }
    for frame in &protected {
        device("changed").arrive(frame, simulation.timestamp());
    }
    bench.run(ROUNDS);
    for (opened, _) in device("out").take_sent() {
        let genuine = frames.iter().filter_map(|frame| frame.get(14..));
        assert!(!tunnel || genuine.into_iter().any(|packet| packet.starts_with(&opened)), "forged");
    }
    bench.finish();
});
