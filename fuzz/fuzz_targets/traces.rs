//! Any bytes as a trace of any format that a configuration reads: packets, or messages. What is written
//! about them in binary form can be read again, with as many packets in it.
//!
//! The input is a byte that says which reader, its further arguments, a zero, and the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::simulation::Simulation;
use sprat_fuzz::{Bench, Setup};
use std::rc::Rc;

/// Rounds that are enough for every file of the lengths that are tried.
const ROUNDS: usize = 4000;

/// Packets that a file may make: one line of a summary may stand for very many.
const MOST: usize = 20_000;

const READERS: [&str; 7] = [
    "FromNLANRDump(in",
    "FromNLANRDump(in, FORMAT fr",
    "FromNLANRDump(in, FORMAT tsh",
    "FromDAGDump(in",
    "FromNetFlowSummaryDump(in",
    "FromTcpdump(in",
    "FromIPSummaryDump(in",
];

const FIELDS: &str = "timestamp first_timestamp ip_src ip_dst ip_tos ip_ttl ip_id ip_frag ip_fragoff ip_opt \
                      ip_proto ip_len sport dport tcp_seq tcp_ack tcp_flags tcp_opt tcp_window udp_len \
                      icmp_type payload_len payload_md5 count direction eth_src";

fuzz_target!(|bytes: &[u8]| {
    let Some((&reader, bytes)) = bytes.split_first() else { return };
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let Some(Ok(arguments)) = parts.next().map(std::str::from_utf8) else { return };
    let Some(file) = parts.next() else { return };
    let reader = READERS[usize::from(reader) % READERS.len()];
    let simulation = Simulation::new();
    simulation.put_file("in", file);
    let text = format!(
        "{reader}, STOP true, {arguments}) -> AggregateIPFlows -> ToIPFlowDumps(flow) -> c :: Counter -> \
         ToIPSummaryDump(out, BINARY true, FIELDS {FIELDS}); Script(wait 100ms, write stop);"
    );
    let Some(count) = read(&simulation, &text) else { return };
    let Some(written) = simulation.file("out") else { return };
    if count >= MOST {
        return;
    }
    let again = Simulation::new();
    again.put_file("in", &written);
    let text = "FromIPSummaryDump(in, STOP true) -> c :: Counter -> Discard;";
    assert_eq!(read(&again, text), Some(count));
});

/// Runs a configuration to its end and gives the packets that its counter saw; `None` where it was
/// refused.
fn read(simulation: &Rc<Simulation>, text: &str) -> Option<usize> {
    let mut bench = Bench::new(simulation, text, Setup::default())?;
    bench.run(ROUNDS);
    let count = bench.router().read("c.count", "").ok().and_then(|count| count.parse().ok());
    bench.finish();
    count
}
