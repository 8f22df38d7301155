//! Any bytes as the state of another instance's rewriters and counters: refused, or taken in so that
//! packets pass as ever, and what is held then can be handed on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::environment::Environment as _;
use sprat_click::simulation::Simulation;
use sprat_fuzz::{Bench, Setup, frames};

/// Rewriters of every kind, two of which share a table.
const REWRITERS: &str = "
    rw :: IPRewriter(pattern 198.51.100.1 3000-3999# - - 0 1, drop, MAPPING_CAPACITY 4);
    tcp :: TCPRewriter(pattern 198.51.100.2 - - - 0 0, MAPPING_CAPACITY rw);
    udp :: UDPRewriter(pattern 198.51.100.3 - - - 0 0);
    pings :: ICMPPingRewriter(pattern 198.51.100.1 - 0-65535 0 0);
    hosts :: IPAddrRewriter(pattern 198.51.100.10-198.51.100.20 - 0 0);
    pairs :: IPAddrPairRewriter(pattern 198.51.100.30 - 0 0);
    FromDevice(in) -> c :: Counter -> MarkIPHeader(14) -> t :: Tee;
    t[0] -> FTPPortMapper(rw, rw, 0) -> [0] rw; t[1] -> [1] rw;
    rw[0] -> Discard; rw[1] -> Discard;
    t[2] -> tcp -> Discard; t[3] -> udp -> Discard; t[4] -> pings -> Discard;
    t[5] -> hosts -> Discard; t[6] -> pairs -> Discard;";

/// Rounds that are enough for all frames.
const ROUNDS: usize = 32;

fuzz_target!(|bytes: &[u8]| {
    // The frames, behind their length.
    let Some((&length, rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let (first, state) = rest.split_at(usize::from(u16::from_le_bytes(length)).min(rest.len()));
    let simulation = Simulation::new();
    let Some(mut bench) = Bench::new(&simulation, REWRITERS, Setup::default()) else {
        return;
    };
    let _ = bench.router().import_state(state);
    for frame in frames(first) {
        simulation
            .simulated_device("in")
            .arrive(&frame, simulation.timestamp());
    }
    bench.run(ROUNDS);
    for element in ["rw", "tcp", "udp", "pings", "hosts", "pairs"] {
        bench.handlers(element, "");
    }
    let held = bench.router().export_state();
    let Some(other) = Bench::new(&simulation, REWRITERS, Setup::default()) else {
        return;
    };
    assert_eq!(
        other.router().import_state(&held),
        Ok(()),
        "what is held can be handed on"
    );
    other.finish();
    bench.finish();
});
