//! Any bytes from a client of a ControlSocket: answers, and a router that goes on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::simulation::Simulation;
use sprat_fuzz::{Bench, Setup};

const ROUTER: &str = "ControlSocket(TCP, 7777, VERBOSE true);\n\
    s :: Script(TYPE PASSIVE, return $args);\n\
    InfiniteSource(LIMIT 5) -> c :: Counter -> q :: Queue(4); q -> Unqueue -> Discard;\n\
    f :: IPFilter(allow all); Idle -> f -> Discard; r :: RadixIPLookup(0/0 0); Idle -> r -> Discard;";

fuzz_target!(|bytes: &[u8]| {
    let simulation = Simulation::new();
    let setup = Setup { client: bytes, ..Setup::default() };
    let mut bench = Bench::new(&simulation, ROUTER, setup).expect("a sound configuration");
    // The client sends thirty bytes at a time, two times of three.
    bench.run(40 + bytes.len() / 10);
    bench.finish();
});
