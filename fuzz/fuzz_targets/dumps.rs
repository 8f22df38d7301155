//! Any bytes as a capture or an IP summary dump that a configuration reads: packets, or messages;
//! and what is written about the packets can be read again, with as many packets in it.
//!
//! The input is the reader's arguments, a zero, and the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::simulation::Simulation;
use sprat_fuzz::{Bench, Setup};

/// Rounds that are enough for every file of the lengths that are tried.
const ROUNDS: usize = 4000;

/// Packets that a file may make: one line of a summary may stand for very many.
const MOST: usize = 20_000;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let Some(Ok(arguments)) = parts.next().map(std::str::from_utf8) else { return };
    let Some(file) = parts.next() else { return };
    let is_capture = matches!(file.first(), Some(0xa1 | 0xd4 | 0x4d | 0x0a));
    let (reader, fields) = if is_capture {
        ("FromDump", "timestamp ip_src ip_dst ip_proto ip_len sport dport payload_md5")
    } else {
        (
            "FromIPSummaryDump",
            "timestamp first_timestamp ip_src ip_dst ip_tos ip_ttl ip_id ip_fragoff ip_opt ip_proto ip_len \
             sport dport tcp_seq tcp_ack tcp_flags tcp_opt tcp_window udp_len icmp_type payload_len count",
        )
    };
    let simulation = Simulation::new();
    simulation.put_file("in", file);
    let text = format!(
        "{reader}(in, STOP true, {arguments}) -> c :: Counter -> limit :: Switch -> \
         ToIPSummaryDump(out, FIELDS {fields}); limit[1] -> Discard; \
         Script(TYPE ACTIVE, wait 100ms, write stop);"
    );
    let Some(count) = read(&simulation, &text) else { return };
    let Some(written) = simulation.file("out") else { return };
    if count >= MOST {
        return;
    }
    let again = Simulation::new();
    again.put_file("in", &written);
    let text = "FromIPSummaryDump(in, STOP true) -> c :: Counter -> Discard;";
    assert_eq!(read(&again, text), Some(count), "{}", String::from_utf8_lossy(&written));
});

/// Runs a configuration to its end and gives the packets that its counter saw; `None` where it was
/// refused.
fn read(simulation: &std::rc::Rc<Simulation>, text: &str) -> Option<usize> {
    let mut bench = Bench::new(simulation, text, Setup::default())?;
    bench.run(ROUNDS);
    let count = bench.router().read("c.count", "").ok().and_then(|count| count.parse().ok());
    bench.finish();
    count
}
