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
pub(super) fn quietly(keywords: &str, fields: &str, dump: &str) -> String {
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
    let header = |arguments| {
        let configuration = std::format!("Idle -> ToIPSummaryDump(out{arguments})");
        let bench = Bench::new(&configuration);
        bench.run();
        let written = bench.simulation.file("out").unwrap_or_default();
        String::from_utf8(written).expect("text")
    };
    assert_eq!(header(""), "!IPSummaryDump 1.3\n!data timestamp ip_src\n");
    // Names of old, and names of which a part may be left out.
    assert_eq!(
        header(
            ", FIELDS utimestamp ntimestamp first_ts p opt agg tcp_ackno packet_count, BANNER 'a\"b'"
        ),
        "!IPSummaryDump 1.3\n!creator \"a\\\"b\"\n\
         !data timestamp timestamp first_timestamp ip_proto ip_opt aggregate tcp_ack count\n"
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
        ("tcp_flags", "FSRPAUECN"),
        ("tcp_opt", "mss1400;sackok;ts669063908:38382731;wscale10"),
        ("tcp_opt", "sack1-10;sack1-18;sack18-20"),
        ("tcp_opt", "254=1:2:3"),
        ("ip_opt", "rr{10.0.0.1,20.0.0.2}+5"),
        ("ip_opt", "ssrr{128.4.45.60^128.4.49.61}"),
        ("ip_opt", "lsrr{^1.2.3.4};148=0:0"),
        ("ip_opt", "lsrr{1.2.3.4^}"),
        ("ip_opt", "ts{1,10000,!45}+2++3"),
        ("ip_opt", "ts.ip{1.0.0.1=45,1.0.0.2=!46}+1"),
        ("ip_opt", "ts.preip{1.0.0.1=45^1.0.0.2,1.0.0.3}"),
        ("payload payload_len", "\"GET \\\"\\\\\\r\\n\\000\\377\" 10"),
        ("direction link", "< 1"),
        ("count aggregate", "7 973"),
        ("first_timestamp ntimestamp", "1.000002 1.000003004"),
        ("ts_sec ts_usec", "1001 34"),
        ("ts_usec1", "1001000034"),
        ("eth_src eth_dst", "00-01-02-03-04-05 00-01-02-03-04-06"),
        ("eth_dst eth_type", "00-01-02-03-04-06 86DD"),
        ("ip_opt", "ts{1,2^}"),
        ("ip_ecn ip_dscp", "ce 63"),
    ];
    for (fields, line) in lines {
        let dump = std::format!("!data {fields}\n{line}\n");
        let written = quietly("", &std::format!("FIELDS {fields}"), &dump);
        let line = line.replace("17 4", "U 4");
        assert_eq!(written, std::format!("{line}\n"), "{fields}");
    }
}

#[test]
fn options_may_be_written_in_several_ways() {
    // An option without its length is one byte: here, the one that says that the options end.
    let dump = "!data ip_opt\nssrr{1.0.0.1,^1.0.0.2}\nnop;nop;98=;eol\n98=7,99=8\nnop,nop,0\n.\n";
    let (written, said) = through("", "FIELDS ip_opt ip_hl", dump);
    assert_eq!(
        written,
        "ssrr{1.0.0.1^1.0.0.2} 32\n98=7;99=8 28\n. 24\n. 20\n"
    );
    assert_eq!(said, "in:3: packet parse error\n");
}

#[test]
fn only_commas_join_blocks_of_selective_acknowledgements() {
    // One option of 2 and 16 bytes, or two of 2 and 8.
    let dump = "!data tcp_sack\nsack1-2,sack5-6\nsack1-2;sack5-6\n";
    assert_eq!(
        quietly("", "FIELDS tcp_sack tcp_off", dump),
        "sack1-2;sack5-6 40\nsack1-2;sack5-6 40\n"
    );
    let written = binary("tcp_opt", "!data tcp_opt\nsack1-2;sack5-6\n");
    assert_eq!(written[4], 20);
    assert_eq!(written[5..7], [5, 10]);
    let written = binary("tcp_opt", "!data tcp_opt\nsack1-2,sack5-6\n");
    assert_eq!(written[5..7], [5, 18]);
}

#[test]
fn a_timestamp_alone_is_laid_out_as_the_standard_recommends() {
    let dump = "!data tcp_opt\nts1:2\n";
    let fields = "FIELDS tcp_opt tcp_ntopt tcp_sack tcp_off";
    assert_eq!(quietly("", fields, dump), "ts1:2 . . 32\n");
    assert_eq!(binary("tcp_opt", dump)[5..9], [1, 1, 8, 10]);
}

#[test]
fn some_fields_of_options_take_some_options_only() {
    let dump =
        "!data tcp_seq tcp_sack\n1 mss5\n2 sackok\n!data tcp_seq tcp_ntopt\n3 ts1:2\n4 mss5\n";
    assert_eq!(
        quietly("", "FIELDS tcp_seq tcp_opt", dump),
        "1 .\n2 sackok\n3 .\n4 mss5\n"
    );
}

#[test]
fn malformed_options_are_a_question_mark() {
    // An option of type 7 that claims to be nine bytes long in four bytes of options.
    let bytes = "\\<46000018 00000000 40060000 01000001 01000002 07090400>";
    let bench = Bench::new(&std::format!(
        "InfiniteSource(DATA {bytes}, LIMIT 1) -> MarkIPHeader
         -> ToIPSummaryDump(out, HEADER false, FIELDS ip_opt ip_src)"
    ));
    bench.run();
    let written = bench.simulation.file("out").unwrap_or_default();
    assert_eq!(written, b"? 1.0.0.1\n");
}

#[test]
fn old_dumps_have_other_letters_and_quoted_names() {
    let dump = "!data 'tcp flags' \"ip src\"\nXY 1.0.0.1\nAW 1.0.0.2\n2 1.0.0.3\n";
    assert_eq!(
        quietly("", "FIELDS tcp_flags ip_src", dump),
        "EC 1.0.0.1\nAC 1.0.0.2\nS 1.0.0.3\n"
    );
}

/// A dump of one packet in binary form, beginning behind the header.
fn binary(fields: &str, dump: &str) -> std::vec::Vec<u8> {
    let simulation = Simulation::new();
    simulation.put_file("in", dump.as_bytes());
    let bench = Bench::with(
        simulation,
        &std::format!(
            "FromIPSummaryDump(in) -> ToIPSummaryDump(out, BINARY true, FIELDS {fields})"
        ),
    );
    bench.run();
    let written = bench.simulation.file("out").unwrap_or_default();
    let header = std::format!("!IPSummaryDump 1.3\n!data {fields}\n!binary\n");
    assert!(written.starts_with(header.as_bytes()));
    written[header.len()..].to_vec()
}

#[test]
fn binary_records_are_laid_out_as_the_manual_says() {
    let written = binary(
        "timestamp ip_src sport ip_proto ip_fragoff tcp_opt ip_len",
        "!data timestamp ip_src sport ip_fragoff tcp_opt\n3.000007 1.2.3.4 258 0! wscale10\n",
    );
    #[rustfmt::skip]
    let expected = [
        0, 0, 0, 30, // the record's length
        0, 0, 0, 3, 0, 0, 0, 7, // seconds and microseconds
        1, 2, 3, 4,
        1, 2, // the port
        6, // TCP
        0x40, 0, // don't fragment
        4, 3, 3, 10, 0, // four bytes of options
        0, 0, 0, 44,
    ];
    assert_eq!(written, expected);
}

#[test]
fn binary_dumps_come_back_as_they_were() {
    let lines = [
        (
            "timestamp ip_src sport ip_dst dport ip_proto",
            "9.451094 1.0.0.1 22 1.0.0.2 23 U",
        ),
        (
            "ntimestamp first_timestamp ts_usec1",
            "1.000003 2.000004 1000003",
        ),
        (
            "ip_id ip_tos ip_dscp ip_ecn ip_ttl ip_sum",
            "48759 117 29 ect1 254 43812",
        ),
        ("ip_fragoff ip_frag ip_opt", "24+ f rr{10.0.0.1}+5"),
        (
            "tcp_seq tcp_ack tcp_flags tcp_window tcp_urp",
            "931673390 9 SAC 480 5",
        ),
        ("tcp_opt ip_opt", "mss1400;sack1-10 ."),
        ("direction count aggregate", "< 7 973"),
        ("eth_src eth_dst", "00-01-02-03-04-05 00-01-02-03-04-06"),
    ];
    for (fields, line) in lines {
        let mut dump = std::format!("!data {fields}\n!binary\n").into_bytes();
        dump.extend(binary(fields, &std::format!("!data {fields}\n{line}\n")));
        let simulation = Simulation::new();
        simulation.put_file("in", &dump);
        let bench = Bench::with(
            simulation,
            &std::format!(
                "FromIPSummaryDump(in) -> ToIPSummaryDump(out, HEADER false, FIELDS {fields})"
            ),
        );
        bench.run();
        let written = bench.simulation.file("out").unwrap_or_default();
        assert_eq!(
            String::from_utf8(written),
            Ok(std::format!("{line}\n")),
            "{fields}"
        );
    }
}

#[test]
fn a_binary_digest_is_that_of_rfc_1321() {
    let digest = [
        0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6, 0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f,
        0x72,
    ];
    for field in ["payload_md5", "payload_md5_hex"] {
        let written = binary(field, "!data payload\n\"abc\"\n");
        assert_eq!(written, [&[0, 0, 0, 20][..], &digest].concat(), "{field}");
    }
}

#[test]
fn lines_of_text_and_records_that_are_cut_off_may_stand_in_binary_dumps() {
    let mut dump = b"!data ip_src\n!binary\n".to_vec();
    dump.extend([0, 0, 0, 8, 1, 0, 0, 1]);
    dump.extend(b"\x80\0\0\x0d!proto U\n");
    dump.extend([0, 0, 0, 8, 1, 0, 0, 2]);
    dump.extend([0, 0, 0, 8, 1, 0]);
    let simulation = Simulation::new();
    simulation.put_file("in", &dump);
    let bench = Bench::with(
        simulation,
        "FromIPSummaryDump(in) -> ToIPSummaryDump(out, HEADER false, FIELDS ip_src ip_proto)",
    );
    bench.run();
    let written = bench.simulation.file("out").unwrap_or_default();
    assert_eq!(written, b"1.0.0.1 T\n1.0.0.2 U\n");
}

#[test]
fn what_has_no_binary_form_is_refused() {
    let errors = Bench::errors("Idle -> ToIPSummaryDump(out, BINARY true, FIELDS payload)");
    assert!(
        errors.contains("cannot use field payload with BINARY"),
        "{errors}"
    );
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
fn defaults_may_be_given_as_dumps_have_them() {
    for (flow, fields) in [
        ("1.0.0.1 5 2.0.0.2 6 U", "ip_ttl"),
        ("!flowid 1.0.0.1 5 2.0.0.2 6 U", "!data ip_ttl"),
        ("!flowid 1.0.0.1 5 2.0.0.2 6 U", "!contents ip_ttl"),
    ] {
        let keywords = std::format!(", FLOWID {flow}, FIELDS {fields}");
        let written = quietly(&keywords, "FIELDS src sport dst dport proto ip_ttl", "9\n");
        assert_eq!(written, "1.0.0.1 5 2.0.0.2 6 U 9\n", "{flow}");
    }
}

#[test]
fn a_payload_may_do_without_quotation() {
    let written = quietly("", "FIELDS payload ip_len", "!data payload\nXXX\n\"a b\"\n");
    assert_eq!(written, "\"XXX\" 43\n\"a b\" 43\n");
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
fn of_a_later_field_that_says_the_same_the_exact_one_counts() {
    let dump = "!data ip_fragoff ip_frag icmp_code_name icmp_type_name ip_proto\n\
                64+ f - - T\n- f - - T\n- - needfrag unreachable I\n";
    assert_eq!(
        quietly("", "FIELDS ip_fragoff ip_frag icmp_code", dump),
        "64+ f -\n800 f -\n0 . 4\n"
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
fn a_space_begins_a_line_with_a_value_that_is_none() {
    let dump = "!data src dst\n 1.0.0.1\n !data dst\n  # 2.0.0.2 3.0.0.3\n";
    let (written, errors) = through("", "FIELDS src dst", dump);
    assert_eq!(written, "0.0.0.0 1.0.0.1\n");
    assert_eq!(errors, "in:3: packet parse error\n");
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
fn directives_that_cannot_be_are_told() {
    let dump = "!proto\n!proto nothing\n!flowid 1.0.0.1 2\n!flowid 1.0.0.1 2 3.0.0.4 5 nothing\n\
                !aggregate x\n5\n!data\n";
    let (_, said) = through("", "", dump);
    assert_eq!(
        said,
        "in:1: bad !proto\nin:2: bad protocol in !proto\nin:3: bad !flowid specification\n\
         in:4: bad protocol in !flowid\nin:5: bad !aggregate specification\n\
         in:6: no '!data' provided\nin:7: no contents specified\n"
    );
}

#[test]
fn unknown_fields_and_missing_files_are_refused_by_name() {
    let errors = Bench::errors("Idle -> ToIPSummaryDump(out, FIELDS ip_src nothing)");
    assert!(
        errors.contains("unknown content type 'nothing'"),
        "{errors}"
    );
    let errors = Bench::errors("FromIPSummaryDump(missing) -> Discard");
    assert!(errors.contains("missing: No such file"), "{errors}");
}
