//! How long packets and their headers are.

use std::string::String;

use sprat_click::simulation::Simulation;

use super::tests::quietly;
use crate::testing::Bench;

#[test]
fn bytes_that_a_line_does_not_give_count_as_extra_length() {
    let fields = "FIELDS ip_len ip_capture_len capture_len wire_len payload_len";
    let dump = "!data ip_opt tcp_opt ip_len payload\n\
                . . 50 \"HiFart\"\n. . - \"HiFart\"\n. . 44 \"HiFart\"\n";
    assert_eq!(
        quietly("", fields, dump),
        "50 46 46 46 10\n46 46 46 46 6\n44 44 46 46 4\n"
    );
    assert_eq!(
        quietly(", CHECKSUM true", fields, dump),
        "50 50 50 50 10\n46 46 46 46 6\n44 44 46 46 4\n"
    );
}

#[test]
fn the_packets_of_a_line_share_its_length() {
    // A hundred bytes in three: 33, 33 and what is left. No packet is shorter than its headers.
    let dump = "!proto U\n!data ip_len count\n100 3\n60 3\n";
    assert_eq!(
        quietly(", MULTIPACKET true", "FIELDS ip_len udp_len count", dump),
        "33 13 1\n33 13 1\n34 14 1\n28 8 1\n28 8 1\n28 8 1\n"
    );
    assert_eq!(
        quietly("", "FIELDS count ip_capture_len, MULTIPACKET true", dump),
        "1 28\n1 28\n1 28\n1 28\n1 28\n1 28\n"
    );
}

#[test]
fn what_is_over_of_the_ip_length_is_header() {
    // 60 bytes are 40 of headers, 5 of payload, and three more words of TCP options; and 3 bytes of
    // which nobody says what they are.
    let fields = "FIELDS ip_hl tcp_off ip_len ip_capture_len payload payload_len";
    assert_eq!(
        quietly("", fields, "!data ip_len payload\n60 hello\n"),
        "20 32 60 57 \"hello\" 8\n"
    );
    // 40 bytes of options are the most.
    assert_eq!(
        quietly("", fields, "!data ip_len payload_len\n100 12\n"),
        "28 60 100 88 - 12\n"
    );
    assert_eq!(
        quietly("", fields, "!data ip_len payload_len tcp_opt\n68 20 .\n"),
        "28 20 68 48 - 20\n"
    );
}

#[test]
fn a_line_without_a_word_of_ip_is_an_empty_packet() {
    let dump = "!data timestamp wire_len\n1 -\n2 100\n!flowid 1.0.0.1 2 3.0.0.4 5\n3 -\n";
    assert_eq!(
        quietly("", "FIELDS timestamp ip_len ip_src capture_len", dump),
        "1.000000 0 - 0\n2.000000 100 - 0\n3.000000 40 1.0.0.1 40\n"
    );
}

#[test]
fn the_length_on_the_wire_is_that_of_ip_where_nothing_else_is_said() {
    let dump = "!data ip_src wire_len ip_len eth_src\n1.0.0.1 100 - -\n1.0.0.1 100 60 -\n\
                1.0.0.1 100 - 1:2:3:4:5:6\n";
    assert_eq!(
        quietly("", "FIELDS ip_len ip_capture_len capture_len eth_src", dump),
        "100 40 40 -\n60 40 40 -\n86 40 54 01-02-03-04-05-06\n"
    );
}

#[test]
fn a_frame_that_is_not_ip_has_no_ip_header() {
    let dump = "!data eth_type ip_src payload\n0806 1.0.0.1 abc\n0800 1.0.0.1 abc\n";
    assert_eq!(
        quietly("", "FIELDS eth_type capture_len ip_src", dump),
        "0806 17 -\n0800 57 1.0.0.1\n"
    );
}

#[test]
fn headers_may_be_wrong_on_purpose() {
    let dump = "!data ip_hl tcp_off ip_len\n16 - 40\n20 16 40\n- - 10\n- - 30\n";
    let fields = "FIELDS ip_hl tcp_off sport tcp_seq, BAD_PACKETS true";
    assert_eq!(
        quietly("", fields, dump),
        "!bad IP header length 4\n- - - -\n\
         !bad TCP header length 4\n20 - 0 -\n\
         !bad IP length 10\n- - - -\n\
         !bad truncated TCP header\n20 - 0 0\n"
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
        "1.000000\n1.500000\n2.000000\n"
    );
    let dump = "!data timestamp count\n3 2\n";
    assert_eq!(
        quietly("", "FIELDS timestamp, MULTIPACKET true", dump),
        "3.000000\n3.000000\n"
    );
}

#[test]
fn packets_with_bad_headers_are_announced() {
    let simulation = Simulation::new();
    simulation.put_file("in", b"!data ip_src sport\n1.0.0.1 5\n");
    let bench = Bench::with(
        simulation,
        "FromIPSummaryDump(in) -> Truncate(30, EXTRA_LENGTH false) -> t :: Tee
         -> out :: ToIPSummaryDump(out, HEADER false, FIELDS src sport tcp_seq tcp_ack,
                                   BAD_PACKETS true);
         t [1] -> ToIPSummaryDump(lenient, HEADER false, FIELDS tcp_ack tcp_seq icmp_type,
                                  BAD_PACKETS true, CAREFUL_TRUNC false)",
    );
    bench.run();
    let lenient = bench.simulation.file("lenient").unwrap_or_default();
    assert_eq!(lenient, b"!bad truncated TCP header\n- 0 -\n");
    let written = bench.simulation.file("out").unwrap_or_default();
    // Ten bytes of the TCP header are there, which hold its ports and its sequence number.
    let expected = "!bad truncated IP missing 10\n1.0.0.1 5 0 -\n";
    assert_eq!(String::from_utf8(written).as_deref(), Ok(expected));
}
