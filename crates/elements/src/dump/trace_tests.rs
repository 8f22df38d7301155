use std::string::String;
use std::vec::Vec;

use sprat_click::simulation::Simulation;

use crate::testing::Bench;

/// What is written of the packets of a trace, and what is said.
fn read(class: &str, trace: &[u8], fields: &str) -> (String, String) {
    let simulation = Simulation::new();
    simulation.put_file("in", trace);
    let bench = Bench::with(
        simulation,
        &std::format!("{class} -> ToIPSummaryDump(out, HEADER false, FIELDS {fields})"),
    );
    bench.run();
    let written = bench.simulation.file("out").unwrap_or_default();
    (
        String::from_utf8(written).expect("text"),
        bench.simulation.take_errors(),
    )
}

const FIELDS: &str = "timestamp link ip_src sport ip_dst dport ip_proto ip_len ip_capture_len";

/// The IP header and the beginning of the TCP header of a SYN, of 60 bytes in all.
#[rustfmt::skip]
const SYN: [u8; 36] = [
    0x45, 0, 0, 60, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    0, 5, 0, 80, 0, 0, 0, 9, 0, 0, 0, 0, 0xa0, 2, 0, 7,
];

#[test]
fn short_cells_of_nlanr_say_who_sent_how_much_to_whom() {
    let mut trace = Vec::new();
    #[rustfmt::skip]
    trace.extend([
        0, 0, 0, 3, 0, 0, 0, 7, // 3.000007
        10, 0, 0, 1, 10, 0, 0, 2,
        0, 60, 6, 2, // sixty bytes of TCP, SYN
        0, 5, 0, 80,
    ]);
    #[rustfmt::skip]
    trace.extend([
        0, 0, 0, 4, 0, 0, 0, 0, 10, 0, 0, 3, 10, 0, 0, 4, 0, 28, 17, 0, 0, 9, 0, 53,
    ]);
    let fields = std::format!("{FIELDS} tcp_flags udp_len");
    let (written, said) = read("FromNLANRDump(in)", &trace, &fields);
    assert_eq!(said, "");
    // Of the TCP header, the first sixteen bytes are there.
    assert_eq!(
        written,
        "3.000007 0 10.0.0.1 5 10.0.0.2 80 T 60 36 S -\n\
         4.000000 0 10.0.0.3 9 10.0.0.4 53 U 28 28 - 8\n"
    );
}

#[test]
fn long_cells_of_nlanr_hold_headers_and_an_interface() {
    let mut trace = Vec::from([0, 0, 0, 3, 5, 0, 0, 7]);
    trace.extend(SYN);
    let expected = "3.000007 5 10.0.0.1 5 10.0.0.2 80 T 60 36\n";
    for format in ["", ", FORMAT tsh", ", FORMAT guess"] {
        let (written, _) = read(&std::format!("FromNLANRDump(in{format})"), &trace, FIELDS);
        assert_eq!(written, expected, "{format}");
    }
    trace[4] = 0;
    let (written, _) = read("FromNLANRDump(in, FORMAT fr+)", &trace, FIELDS);
    assert_eq!(written, expected.replace("7 5", "7 0"));
}

/// A record of Endace's format with these bytes and this length on the wire.
fn record(kind: u8, flags: u8, bytes: &[u8], wire: u8) -> Vec<u8> {
    // 2.5 seconds.
    let mut record = Vec::from([0, 0, 0, 0x80, 2, 0, 0, 0, kind, flags, 0]);
    record.push(u8::try_from(16 + bytes.len()).expect("a short record"));
    record.extend([0, 0, 0, wire]);
    record.extend(bytes);
    record
}

#[test]
fn records_of_endace_hold_frames_of_several_links() {
    let ethernet: Vec<u8> = [&[0; 2][..], &[0; 12], &[8, 0], &SYN].concat();
    // Sixty bytes of IP, fourteen of Ethernet, four of check sequence.
    let mut trace = record(2, 1, &ethernet, 78);
    trace.extend(record(1, 0, &[&[0xff, 3, 0, 0x21][..], &SYN].concat(), 64));
    trace.extend(record(22, 2, &SYN, 60));
    let atm = [&[0; 4][..], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &SYN].concat();
    trace.extend(record(3, 0, &atm, 68));
    // With a further header of eight bytes, and filled up by two.
    let extended = [&[0; 8][..], &SYN, &[9; 2]].concat();
    trace.extend(record(0x80 | 22, 0, &extended, 36));
    let fields = "timestamp link ip_src dport ip_len ip_capture_len wire_len";
    let (written, said) = read("FromDAGDump(in, FORCE_IP true)", &trace, fields);
    assert_eq!(said, "");
    assert_eq!(
        written,
        "2.500000 1 10.0.0.1 80 60 36 50\n2.500000 0 10.0.0.1 80 60 36 40\n\
         2.500000 2 10.0.0.1 80 60 36 36\n2.500000 0 10.0.0.1 80 60 36 44\n\
         2.500000 0 10.0.0.1 80 60 36 36\n"
    );
}

#[test]
fn records_that_lie_about_their_length_end_a_trace() {
    let good = record(22, 0, &SYN, 60);
    for bad in [
        // Shorter than its header, of no known type, cut off, and with headers that never end.
        &[0, 0, 0, 0, 2, 0, 0, 0, 22, 0, 0, 3, 0, 0, 0, 60][..],
        &record(9, 0, &SYN, 60),
        &good[..30],
        &record(0x80 | 22, 0, &[0xff; 36], 60),
    ] {
        let trace = [&good, bad].concat();
        let (written, said) = read("FromDAGDump(in)", &trace, "ip_src");
        assert_eq!(said, "in: bad packet header; giving up\n");
        assert_eq!(written.lines().count(), 1);
    }
}

#[test]
fn an_unknown_format_is_refused() {
    let errors = Bench::errors("FromNLANRDump(in, FORMAT frr) -> Discard");
    assert!(
        errors.contains("FORMAT: expected 'fr', 'fr+', 'tsh' or 'guess'"),
        "{errors}"
    );
}
