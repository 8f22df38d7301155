use std::string::String;

use sprat_click::simulation::Simulation;

use crate::testing::Bench;

fn read(element: &str, dump: &str, fields: &str) -> (String, String) {
    let simulation = Simulation::new();
    simulation.put_file("in", dump.as_bytes());
    let bench = Bench::with(
        simulation,
        &std::format!("{element} -> ToIPSummaryDump(out, HEADER false, FIELDS {fields})"),
    );
    bench.run();
    let written = bench.simulation.file("out").unwrap_or_default();
    (
        String::from_utf8(written).expect("text"),
        bench.simulation.take_errors(),
    )
}

/// The flow of the manual's example.
const FLOW: &str =
    "192.4.1.32|18.26.4.44|0.0.0.0|14|16|5|1000|998006995|998006999|3917|80|0|18|6|0";

#[test]
fn a_netflow_line_is_a_flow() {
    let fields = "timestamp first_timestamp link src sport dst dport proto count ip_len tcp_flags";
    let dump = std::format!("# remark\n! another\n\n{FLOW}\nnonsense\n");
    let (written, said) = read("FromNetFlowSummaryDump(in)", &dump, fields);
    assert_eq!(
        written,
        "998006999.000000 998006995.000000 14 192.4.1.32 3917 18.26.4.44 80 T 5 1000 SA\n"
    );
    assert_eq!(said, "in:5: packet parse error\n");
}

#[test]
fn a_netflow_line_may_give_all_packets_of_its_flow() {
    let (written, _) = read(
        "FromNetFlowSummaryDump(in, MULTIPACKET true, LINK output)",
        FLOW,
        "timestamp link ip_len count",
    );
    let expected = (995..=999).map(|second| std::format!("998006{second}.000000 16 200 1\n"));
    assert_eq!(written, expected.collect::<String>());
    let both = read("FromNetFlowSummaryDump(in, LINK both)", FLOW, "link");
    // 14 in the upper bits, and 15 at most in the lower.
    assert_eq!(both.0, "239\n");
    let errors = Bench::errors("FromNetFlowSummaryDump(in, LINK up) -> Discard");
    assert!(
        errors.contains("LINK: expected 'input', 'output' or 'both'"),
        "{errors}"
    );
}

const TCP_FIELDS: &str =
    "timestamp src sport dst dport tcp_flags tcp_seq tcp_ack tcp_window payload_len tcp_opt";

#[test]
fn what_tcpdump_prints_of_a_connection_is_read_with_absolute_numbers() {
    let dump = "\
00:00:01.500000 IP 1.0.0.1.5 > 1.0.0.2.80: Flags [S], seq 1000, win 100, options [mss 1460,sackOK,TS val 7 ecr 0,nop,wscale 7], length 0
00:00:01.600000 IP 1.0.0.2.80 > 1.0.0.1.5: Flags [S.], seq 5000, ack 1001, win 90, options [mss 1400], length 0
00:00:01.700000 IP 1.0.0.1.5 > 1.0.0.2.80: Flags [.], ack 1, win 100, length 0
00:00:01.800000 IP 1.0.0.1.5 > 1.0.0.2.80: Flags [P.], seq 1:7, ack 1, win 100, length 6
00:00:01.900000 IP 1.0.0.2.80 > 1.0.0.1.5: Flags [.], ack 7, win 90, options [nop,nop,sack 2 {9:12}{20:30}], length 0
00:01:00.000000 IP 1.0.0.1.5 > 1.0.0.2.80: Flags [R], seq 1007, win 0, length 0
";
    let (written, said) = read("FromTcpdump(in)", dump, TCP_FIELDS);
    assert_eq!(said, "");
    assert_eq!(
        written,
        "1.500000 1.0.0.1 5 1.0.0.2 80 S 1000 0 100 0 mss1460;sackok;ts7:0;wscale7\n\
         1.600000 1.0.0.2 80 1.0.0.1 5 SA 5000 1001 90 0 mss1400\n\
         1.700000 1.0.0.1 5 1.0.0.2 80 A 1000 5001 100 0 .\n\
         1.800000 1.0.0.1 5 1.0.0.2 80 PA 1001 5001 100 6 .\n\
         1.900000 1.0.0.2 80 1.0.0.1 5 A 5000 1007 90 0 sack9-12;sack20-30\n\
         60.000000 1.0.0.1 5 1.0.0.2 80 R 1007 0 0 0 .\n"
    );
}

#[test]
fn the_old_form_is_read_too() {
    let dump = "\
990000000.25 1.0.0.1.5 > 1.0.0.2.80: S 1000:1000(0) win 100 <mss 1460> (DF)
990000000.50 1.0.0.2.80 > 1.0.0.1.5: S 5000:5000(0) ack 1001 win 90
990000000.75 1.0.0.1.5 > 1.0.0.2.80: P 1:7(6) ack 1 win 100
";
    let fields = std::format!("{TCP_FIELDS} ip_fragoff");
    let (written, said) = read("FromTcpdump(in)", dump, &fields);
    assert_eq!(said, "");
    assert_eq!(
        written,
        "990000000.250000 1.0.0.1 5 1.0.0.2 80 S 1000 0 100 0 mss1460 0!\n\
         990000000.500000 1.0.0.2 80 1.0.0.1 5 SA 5000 1001 90 0 . 0\n\
         990000000.750000 1.0.0.1 5 1.0.0.2 80 PA 1001 5001 100 6 . 0\n"
    );
}

#[test]
fn details_udp_and_icmp_are_read_and_other_protocols_left_out() {
    let dump = "\
00:00:01.000000 IP (tos 0x10, ttl 63, id 77, offset 0, flags [DF], proto UDP (17), length 41)
    1.0.0.1.5 > 1.0.0.2.7: UDP, length 13
00:00:02.000000 ARP, Request who-has 1.0.0.1 tell 1.0.0.2, length 28
00:00:03.000000 IP 1.0.0.1 > 1.0.0.2: ICMP echo request, id 9, seq 2, length 64
00:00:04.000000 IP6 ::1.5 > ::1.7: UDP, length 13
00:00:05.000000 IP 1.0.0.1.53 > 1.0.0.2.9: 4660+ A? example.com. (29)
00:00:06.000000 IP 1.0.0.1 > 1.0.0.2: nothing known
";
    let fields = "ts_sec ip_proto sport ip_tos ip_ttl ip_id ip_len icmp_type_name icmp_flowid";
    let (written, said) = read("FromTcpdump(in)", dump, fields);
    assert_eq!(
        written,
        "1 U 5 16 63 77 41 - -\n3 I - 0 100 0 84 echo 9\n5 U 53 0 100 0 57 - -\n"
    );
    assert_eq!(said, "in:7: packet parse error\n");
}
