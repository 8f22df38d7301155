use std::string::String;

use sprat_click::simulation::Simulation;

use crate::testing::Bench;

/// What comes of a dump that is read with some keywords and written with some fields, without the
/// header; and what was said meanwhile.
fn through(keywords: &str, fields: &str, dump: &str) -> (String, String) {
    let simulation = Simulation::new();
    simulation.put_file("in", dump.as_bytes());
    let bench = Bench::with(
        simulation,
        &std::format!(
            "FromIPSummaryDump(in, STOP true{keywords})
             -> ToIPSummaryDump(out, HEADER false, {fields})"
        ),
    );
    bench.run_for(core::time::Duration::from_secs(60));
    let written = bench.simulation.file("out").unwrap_or_default();
    (
        String::from_utf8(written).expect("text"),
        bench.simulation.take_errors(),
    )
}

/// The same where nothing is said.
fn quietly(keywords: &str, fields: &str, dump: &str) -> String {
    let (written, errors) = through(keywords, fields, dump);
    assert_eq!(errors, "");
    written
}

#[test]
fn the_header_names_the_fields() {
    let simulation = Simulation::new();
    simulation.put_file("in", b"!data src dst\n1.0.0.1 1.0.0.2\n");
    let bench = Bench::with(
        simulation,
        "FromIPSummaryDump(in) -> ToIPSummaryDump(out, FIELDS src \"tcp seq\", BANNER me)",
    );
    bench.run();
    assert_eq!(
        bench.simulation.file("out").as_deref(),
        Some(&b"!IPSummaryDump 1.3\n!creator \"me\"\n!data ip_src tcp_seq\n1.0.0.1 0\n"[..])
    );
}

#[test]
fn fields_come_back_as_they_were() {
    let lines = [
        (
            "timestamp ip_src sport ip_dst dport ip_proto",
            "996033261.451094 192.150.187.37 22 192.168.1.100 2943 T",
        ),
        (
            "ip_proto ip_id ip_tos ip_dscp ip_ecn ip_ttl ip_sum",
            "17 48759 117 29 ect1 254 43812",
        ),
        ("ip_len ip_capture_len ip_hl", "132 40 20"),
        ("ip_fragoff ip_frag", "0 ."),
        ("ip_fragoff ip_frag", "24+ f"),
        ("ip_fragoff ip_frag", "0! !"),
        (
            "tcp_seq tcp_ack tcp_flags tcp_window tcp_urp tcp_sum",
            "93167339 93178192 SA 480 5 44417",
        ),
        ("tcp_flags", "."),
        (
            "tcp_opt",
            "mss1400;sackok;ts669063908:38382731;nop;wscale10",
        ),
        ("tcp_opt", "sack1-10;sack1-18;sack18-20"),
        ("tcp_opt", "254=1:2:3"),
        ("ip_opt", "rr{10.0.0.1,20.0.0.2}+5"),
        ("ip_opt", "ssrr{128.4.45.60,^128.4.49.61}"),
        ("ip_opt", "lsrr{^1.2.3.4};148=0:0"),
        ("ip_opt", "ts{1,10000,!45}+2++3"),
        ("ip_opt", "ts.ip{1.0.0.1=45,1.0.0.2=!46}+1"),
        ("ip_opt", "ts.preip{1.0.0.1=45,^1.0.0.2=0,1.0.0.3=7}"),
        ("payload payload_len", "\"GET \\\"\\\\\\r\\n\\000\\377\" 11"),
        ("direction link", "< 1"),
        ("count aggregate", "7 973"),
        ("first_timestamp ntimestamp", "1.000002 1.000003004"),
        ("ts_sec ts_usec", "1001 34"),
        ("ts_usec1", "1001000034"),
        ("eth_src eth_dst", "00-01-02-03-04-05 00-01-02-03-04-06"),
    ];
    for (fields, line) in lines {
        let dump = std::format!("!data {fields}\n{line}\n");
        let written = quietly("", &std::format!("FIELDS {fields}"), &dump);
        let line = line.replace("17 4", "U 4");
        assert_eq!(written, std::format!("{line}\n"), "{fields}");
    }
}

#[test]
fn an_icmp_message_has_a_type_and_an_identifier() {
    let fields = "icmp_type icmp_type_name icmp_code icmp_flowid icmp_seq icmp_nextmtu";
    let dump = "!proto I\n!data icmp_type icmp_flowid icmp_seq\necho 10 3\n11 1 1\n";
    let written = quietly("", &std::format!("FIELDS {fields}"), dump);
    assert_eq!(written, "8 echo 0 10 3 -\n11 timeexceeded 0 - - -\n");
}

#[test]
fn what_a_line_does_not_say_has_a_default() {
    let fields = "FIELDS proto ip_len ip_ttl ip_id sport tcp_flags tcp_opt ip_opt payload udp_len";
    let written = quietly("", fields, "!data ip_src ip_ttl\n1.0.0.1 -\n");
    assert_eq!(written, "T 40 100 0 0 . . . \"\" -\n");
}

#[test]
fn directives_set_defaults_for_the_lines_after_them() {
    let dump =
        "!data dport\n# remark\n1\n!proto U\n!flowid 1.0.0.1 5 - -\n!aggregate 9\n2 beyond\n";
    let written = quietly("", "FIELDS src sport dport proto aggregate", dump);
    assert_eq!(written, "0.0.0.0 0 1 T 0\n1.0.0.1 5 2 U 9\n");
}

#[test]
fn a_payload_may_do_without_quotation() {
    let written = quietly("", "FIELDS payload ip_len", "!data payload\nXXX\n\"a b\"\n");
    assert_eq!(written, "\"XXX\" 43\n\"a b\" 43\n");
}

#[test]
fn bytes_that_a_line_does_not_give_count_as_extra_length() {
    let fields = "FIELDS ip_len ip_capture_len capture_len wire_len payload_len";
    let dump = "!data ip_len payload\n50 \"HiFart\"\n- \"HiFart\"\n44 \"HiFart\"\n";
    assert_eq!(
        quietly("", fields, dump),
        "50 46 46 50 10\n46 46 46 46 6\n44 44 44 44 4\n"
    );
    assert_eq!(
        quietly(", CHECKSUM true", fields, dump),
        "50 50 50 50 10\n46 46 46 46 6\n44 44 44 44 4\n"
    );
}

#[test]
fn digests_are_those_of_rfc_1321() {
    let dump = "!data payload\n\"\"\n\"abc\"\n";
    assert_eq!(
        quietly("", "FIELDS payload_md5_hex", dump),
        "d41d8cd98f00b204e9800998ecf8427e\n900150983cd24fb0d6963f7d28e17f72\n"
    );
}

#[test]
fn a_line_for_several_packets_gives_them_over_its_time() {
    let dump = "!data first_timestamp timestamp count\n1 2 3\n";
    assert_eq!(
        quietly(", MULTIPACKET true", "FIELDS timestamp count", dump),
        "1.000000 1\n1.500000 1\n2.000000 1\n"
    );
    assert_eq!(
        quietly("", "FIELDS timestamp, MULTIPACKET true", dump),
        "2.000000\n2.000000\n2.000000\n"
    );
}

#[test]
fn a_line_that_is_no_packet_is_complained_about_once() {
    let (written, errors) = through("", "FIELDS src", "!data src\n?\n1.0.0.1\n?\n");
    assert_eq!(written, "1.0.0.1\n");
    assert_eq!(errors, "in:2: packet parse error\n");
}

#[test]
fn an_unknown_field_is_left_out_by_name() {
    let (written, errors) = through("", "FIELDS src", "!data nothing src\n7 1.0.0.1\n");
    assert_eq!(written, "1.0.0.1\n");
    assert_eq!(errors, "in:1: warning: unknown content type 'nothing'\n");
}

#[test]
fn packets_with_bad_headers_are_announced() {
    let simulation = Simulation::new();
    simulation.put_file("in", b"!data ip_src sport\n1.0.0.1 5\n");
    let bench = Bench::with(
        simulation,
        "FromIPSummaryDump(in) -> Truncate(30)
         -> ToIPSummaryDump(out, HEADER false, FIELDS src sport tcp_seq, BAD_PACKETS true)",
    );
    bench.run();
    let written = bench.simulation.file("out").unwrap_or_default();
    let expected = "!bad truncated TCP header\n1.0.0.1 5 -\n";
    assert_eq!(String::from_utf8(written).as_deref(), Ok(expected));
}

#[test]
fn with_timing_packets_come_at_their_pace() {
    for path in ["", "-> Queue -> Unqueue"] {
        let simulation = Simulation::new();
        simulation.put_file("in", b"!data timestamp\n5\n6\n7\n");
        let bench = Bench::with(
            simulation,
            &std::format!("FromIPSummaryDump(in, TIMING true) {path} -> c :: Counter -> Discard"),
        );
        bench.run_for(core::time::Duration::from_millis(1500));
        assert_eq!(bench.read("c.count"), "2");
        bench.run_for(core::time::Duration::from_millis(1500));
        assert_eq!(bench.read("c.count"), "3");
    }
}

#[test]
fn a_dump_may_stand_in_the_configuration() {
    let bench = Bench::new(
        "f :: FromIPSummaryDump(DATA \"!data src\n1.0.0.1\n1.0.0.2\", ACTIVE false)
         -> c :: Counter -> Discard",
    );
    bench.run();
    assert_eq!(bench.read("c.count"), "0");
    bench.write("f.active", "true");
    bench.run();
    assert_eq!(bench.read("c.count"), "2");
}

#[test]
fn unknown_fields_and_missing_files_are_refused_by_name() {
    let errors = Bench::errors("Idle -> ToIPSummaryDump(out, FIELDS ip_src nothing)");
    assert!(errors.contains("unknown field 'nothing'"), "{errors}");
    let errors = Bench::errors("FromIPSummaryDump(missing) -> Discard");
    assert!(errors.contains("missing: No such file"), "{errors}");
}
