//! Any text as a Click configuration: a graph or messages, never a panic and never without end. A
//! graph that is written out reads as the same graph; and one whose elements accept it runs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::diagnostics::Diagnostics;
use sprat_click::environment::Environment as _;
use sprat_click::graph::Flat;
use sprat_click::language::{AnyClass, NoLibraries, Options, Source, parse};
use sprat_click::simulation::Simulation;
use sprat_fuzz::{Bench, Setup};
use std::rc::Rc;

/// An echo request in an Ethernet frame, its checksums right.
const FRAME: &[u8] = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0\
    \x45\0\0\x1c\0\x01\0\0\x40\x01\x66\xde\x0a\0\0\x01\x0a\0\0\x02\x08\0\xf7\xfe\0\0\0\x01";

fuzz_target!(|text: &str| {
    let Some(graph) = read(text) else { return };
    let written = graph.unparse();
    let again = read(&written).map(|graph| parts(&graph));
    assert_eq!(again, Some(parts(&graph)), "what was written reads differently:\n{written}");

    let simulation = Simulation::new();
    let Some(mut bench) = Bench::new(&simulation, text, Setup::default()) else { return };
    for device in ["eth0", "eth1", "inside", "outside"] {
        simulation.simulated_device(device).arrive(FRAME, simulation.timestamp());
    }
    bench.run(8);
    bench.finish();
});

/// The graph that a configuration is; `None` where it is refused.
fn read(text: &str) -> Option<Flat> {
    let options = Options { classes: &AnyClass, requirements: &NoLibraries, definitions: &[] };
    let mut diagnostics = Diagnostics::new();
    let read = parse(Source::new("config", text), &options, &mut diagnostics);
    assert!(read.is_ok() || !diagnostics.to_string().is_empty(), "refused without a word");
    read.ok()
}

/// Elements and connections, in an order that does not depend on how they were written.
fn parts(graph: &Flat) -> (Vec<[Rc<str>; 3]>, Vec<[(Rc<str>, u16); 2]>) {
    let elements = graph.elements.iter();
    let mut elements: Vec<_> = elements.map(|e| [e.name.clone(), e.class.clone(), e.config.clone()]).collect();
    let end = |(element, port): (usize, u16)| (graph.elements[element].name.clone(), port);
    let mut connections: Vec<_> = graph.connections.iter().map(|c| [end(c.from), end(c.to)]).collect();
    elements.sort();
    connections.sort();
    (elements, connections)
}
