//! The parts of a TCP connection's end, each by itself.

use core::time::Duration;
use std::format;
use std::string::String;

use sprat_click::simulation::Simulation;

use crate::testing::Bench;

/// What is written to the file `out` of segments that go in: flags, sequence and acknowledgement
/// numbers, payload.
fn run(segments: &[&str], text: &str) -> (Bench, String) {
    let simulation = Simulation::new();
    let mut dump =
        String::from("!data src sport dst dport tcp_flags tcp_seq tcp_ack payload proto\n");
    for segment in segments {
        dump += &format!("2.0.0.2 80 1.0.0.1 5 {segment} T\n");
    }
    simulation.put_file("in", dump.as_bytes());
    let text = text
        .replace("IN", "FromIPSummaryDump(in, CHECKSUM true)")
        .replace(
            "OUT",
            "ToIPSummaryDump(out, HEADER false, FIELDS tcp_seq payload)",
        );
    let bench = Bench::with(simulation, &text);
    bench.run_for(Duration::from_millis(100));
    let written = bench.simulation.file("out").unwrap_or_default();
    (bench, String::from_utf8(written).unwrap_or_default())
}

#[test]
fn tcpbuffer_gives_segments_in_order() {
    for (segments, skip, expected) in [
        // What comes early waits, and what came already is dropped.
        (
            &[
                "A 100 0 'ab'",
                "A 104 0 'ef'",
                "A 102 0 'cd'",
                "A 104 0 'xx'",
            ][..],
            "false",
            "100 \"ab\"\n102 \"cd\"\n104 \"ef\"\n",
        ),
        // Something is missing.
        (&["A 100 0 'ab'", "A 104 0 'ef'"], "false", "100 \"ab\"\n"),
        (
            &["A 100 0 'ab'", "A 104 0 'ef'"],
            "true",
            "100 \"ab\"\n104 \"ef\"\n",
        ),
        // A SYN takes a number; numbers go on after the last.
        (
            &["S 4294967294 0 ''", "A 1 0 'cd'", "A 4294967295 0 'ab'"],
            "false",
            "4294967294 \"\"\n4294967295 \"ab\"\n1 \"cd\"\n",
        ),
        // Data takes the place of an acknowledgement without any.
        (&["A 100 0 ''", "A 100 0 'ab'"], "false", "100 \"ab\"\n"),
    ] {
        let (bench, _) = run(
            segments,
            &format!("IN -> TCPBuffer({skip}) -> u :: Unqueue(ACTIVE false) -> OUT"),
        );
        bench.write("u.active", "true");
        bench.run();
        let written = bench.simulation.file("out").unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&written), expected, "{segments:?}");
    }
}

#[test]
fn tcpbuffer_drops_what_comes_after_it_was_given() {
    let (_, written) = run(
        &["A 100 0 'ab'", "A 100 0 'ab'", "A 102 0 'cd'"],
        "IN -> TCPBuffer -> Unqueue -> OUT",
    );
    assert_eq!(written, "100 \"ab\"\n102 \"cd\"\n");
}

#[test]
fn tcpack_acknowledges_what_has_come_without_a_gap() {
    for (segments, expected, said) in [
        // Nothing before a SYN with an acknowledgement, and none for that.
        (&["A 101 0 'ab'"][..], "", 0),
        (&["SA 100 0 ''"], "", 0),
        // One for several, of 20 ms.
        (&["SA 100 0 ''", "A 101 0 'ab'", "A 103 0 'cd'"], "105\n", 0),
        // What waits in the buffer counts once the gap is filled.
        (&["SA 100 0 ''", "A 103 0 'cd'", "A 101 0 'ab'"], "105\n", 1),
        (&["SA 100 0 ''", "A 103 0 'cd'"], "101\n", 1),
    ] {
        let (bench, _) = run(
            segments,
            "IN -> a :: TCPAck -> TCPBuffer -> Unqueue(ACTIVE false) -> Discard;
             Idle -> [1] a; a [1] -> Discard;
             a [2] -> ToIPSummaryDump(out, HEADER false, FIELDS tcp_ack)",
        );
        let written = bench.simulation.file("out").unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&written), expected, "{segments:?}");
        let message = "seqno < ack_nxt: out of order or retransmitted packet\n";
        assert_eq!(bench.simulation.take_errors(), message.repeat(said));
    }
}

#[test]
fn tcpack_writes_the_number_to_what_is_sent() {
    let (_, written) = run(
        &["SA 100 0 ''"],
        "IN -> a :: TCPAck(DELAY 1ms) -> TCPBuffer -> Unqueue -> Discard;
         FromIPSummaryDump(DATA \"!data tcp_flags payload proto\\nP 'ab' T\\n\") -> DelayShaper(10ms) -> Unqueue
         -> [1] a [1] -> ToIPSummaryDump(out, HEADER false, FIELDS tcp_flags tcp_ack payload);
         a [2] -> Discard",
    );
    assert_eq!(written, "PA 101 \"ab\"\n");
}

#[test]
fn copiers_write_what_they_saw() {
    for (class, fields, expected) in [
        (
            "CopyFlowID",
            "src sport dst dport",
            "2.0.0.2 80 1.0.0.1 5\n",
        ),
        ("CopyTCPSeq", "tcp_seq", "105\n"),
    ] {
        let (bench, written) = run(
            &["A 103 0 'ab'", "A 105 0 'ab'", "A 104 0 'ab'"],
            &format!(
                "IN -> c :: {class} -> Discard;
                 FromIPSummaryDump(DATA \"!data src proto\\n7.0.0.7 T\\n\") -> Queue -> DelayShaper(10ms) -> u :: Unqueue
                 -> [1] c [1] -> t :: Tee -> ToIPSummaryDump(out, HEADER false, FIELDS {fields});
                 t [1] -> n :: Counter -> Discard"
            ),
        );
        assert_eq!(written, expected, "{class}");
        assert_eq!(bench.read("n.count"), "1");
        bench.write("c.reset", "");
    }
}

#[test]
fn bufferconverter_cuts_text_and_puts_it_together() {
    let (bench, written) = run(
        &["A 1 0 ''", "A 1 0 'ab'", "A 3 0 'cd'"],
        "IN -> Queue -> b :: BufferConverter(4) -> OUT; Idle -> [1] b;
         Script(write b.data 0123456789, end)",
    );
    assert_eq!(written, "0 \"0123\"\n0 \"4567\"\n0 \"89\"\n");
    for expected in ["ab", "cd", ""] {
        assert_eq!(bench.read("b.data"), expected);
    }
    let found = Bench::errors("Idle -> b :: BufferConverter(0) -> Discard; Idle -> [1] b");
    assert!(
        found.contains("MTU: must be between 1 and 65495"),
        "{found}"
    );
}

const CONNECTION: &str = "IN -> d :: TCPDemux -> c :: TCPConn -> OUT;
     FromIPSummaryDump(DATA \"!data proto payload\\nT 'xy'\\n\") -> q :: Queue -> [1] c [1] -> Unqueue
     -> ToIPSummaryDump(sent, HEADER false, FIELDS src sport dst dport payload);
     c [2] -> ToIPSummaryDump(syn, HEADER false, FIELDS src sport dst dport tcp_flags)";

#[test]
fn tcpconn_sends_once_there_is_a_connection() {
    for (request, segments, expected) in [
        (
            "connect 1.0.0.1 5 2.0.0.2 80",
            &["SA 9 0 ''"][..],
            "1.0.0.1 5 2.0.0.2 80 \"xy\"\n",
        ),
        ("connect 1.0.0.1 5 2.0.0.2 80", &["A 9 0 ''"], ""),
        // Of another port.
        ("connect 1.0.0.1 6 2.0.0.2 80", &["SA 9 0 ''"], ""),
        ("listen 1.0.0.1 5", &["SA 9 0 ''"], ""),
    ] {
        let text = format!("{CONNECTION};\nScript(write c.ctrl {request}, end)");
        let (bench, _) = run(
            segments,
            &text.replace("IN ->", "IN -> Queue -> DelayShaper(1ms) -> Unqueue ->"),
        );
        let file = |name| {
            String::from_utf8(bench.simulation.file(name).unwrap_or_default()).unwrap_or_default()
        };
        assert_eq!(file("sent"), expected, "{request}");
        if request.starts_with("connect 1.0.0.1 5") {
            assert_eq!(file("syn"), "1.0.0.1 5 2.0.0.2 80 S\n");
        }
        let unknown = request.contains(" 6 ");
        let message = "reject packet from unknown flow\n".repeat(usize::from(unknown));
        assert_eq!(bench.simulation.take_errors(), message);
    }
}

#[test]
fn tcpconn_has_one_connection_at_a_time() {
    let (bench, _) = run(&[], CONNECTION);
    for (value, expected) in [
        (
            "connect",
            Some("SRC: required argument missing\nSPORT: required argument missing"),
        ),
        ("open 1.0.0.1 5", Some("action must be connect or listen")),
        ("listen 1.0.0.1 5", None),
        ("listen 1.0.0.1 5", Some("TCPConn already active")),
    ] {
        let found = bench.write_fails("c.ctrl", value);
        match expected {
            None => assert_eq!(found, None, "{value}"),
            Some(expected) => assert!(
                found.as_deref().is_some_and(|it| it.contains(expected)),
                "{found:?}"
            ),
        }
    }
    bench.write("c.reset", "");
    bench.write("c.ctrl", "listen 1.0.0.1 5");
}

#[test]
fn parts_that_are_not_there_are_missed() {
    for (text, expected) in [
        (
            "Idle -> a :: TCPAck -> Discard; Idle -> [1] a; a [1] -> Discard; a [2] -> Discard",
            "need at least 1 downstream TCPBuffer",
        ),
        (
            "Idle -> c :: TCPConn -> Discard; Idle -> [1] c [1] -> Unqueue -> Discard; c [2] -> Discard",
            "need at least 1 upstream TCPDemux",
        ),
    ] {
        let found = Bench::errors(text);
        assert!(found.contains(expected), "{found}");
    }
}
