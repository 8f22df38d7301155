//! What tests of elements that number packets share.

use std::string::String;

use sprat_click::simulation::Simulation;

use crate::testing::Bench;

/// The aggregates and paints that an element gives the packets of a dump, with their identifications.
pub(super) fn numbered(element: &str, dump: &str) -> String {
    let simulation = Simulation::new();
    simulation.put_file("in", dump.as_bytes());
    let bench = Bench::with(
        simulation,
        &std::format!(
            "FromIPSummaryDump(in) -> {element}
             -> ToIPSummaryDump(out, HEADER false, FIELDS aggregate link ip_id)"
        ),
    );
    bench.run();
    String::from_utf8(bench.simulation.file("out").unwrap_or_default()).expect("text")
}
