//! Any text as the body of a Script: an end, a message or a script that waits, and handlers that
//! answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::simulation::Simulation;
use sprat_fuzz::{Bench, Setup};

fuzz_target!(|body: &str| {
    let text = format!(
        "s :: Script({body});\n\
         t :: Script(TYPE PASSIVE, return $(add $(or $1 1) $2));\n\
         InfiniteSource(LIMIT 3) -> c :: Counter -> q :: Queue(4); q -> u :: Unqueue(ACTIVE false) -> Discard;"
    );
    let simulation = Simulation::new();
    let Some(mut bench) = Bench::new(&simulation, &text, Setup::default()) else { return };
    bench.run(12);
    bench.handlers("s", "run\nstep 2\ngoto a\npause\n");
    let _ = bench.router().read("s.run", body);
    bench.run(12);
    bench.finish();
});
