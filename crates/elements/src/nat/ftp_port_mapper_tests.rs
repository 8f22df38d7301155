use std::vec::Vec;

use crate::nat::testing::{INSIDE, OUTSIDE, assert_sums, segment};
use crate::testing::Bench;

/// A NAT with an FTP server before it.
fn nat(address: &str) -> Bench {
    Bench::new(&std::format!(
        "rw :: TCPRewriter(pattern {address} 3000-3999# - - 0 1, drop);
         FromDevice(inside) -> MarkIPHeader(0) -> FTPPortMapper(rw, rw, 0) -> [0]rw;
         FromDevice(outside) -> MarkIPHeader(0) -> [1]rw;
         rw[0] -> ToDevice(outside); rw[1] -> ToDevice(inside);"
    ))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// What the client sends at a sequence number, as it comes out.
fn client(bench: &Bench, sequence: u32, text: &[u8]) -> Vec<u8> {
    bench.arrive(
        "inside",
        &segment((INSIDE, 4000), (OUTSIDE, 21), [sequence, 900], text),
    );
    bench.run();
    let sent = bench.sent("outside").remove(0);
    assert_sums(&sent);
    assert_eq!(usize::from(sent[2]) << 8 | usize::from(sent[3]), sent.len());
    sent
}

#[test]
fn a_port_command_names_where_the_server_can_reach_the_client() {
    let bench = nat("198.51.100.100");
    client(&bench, 100, b"");
    let sent = client(&bench, 100, b"PORT 10,0,0,1,19,137\r\n");
    // The next port of the range is 3001, which is 11 * 256 + 185.
    assert_eq!(&sent[40..], b"PORT 198,51,100,100,11,185\r\n");

    // The server opens its data connection there.
    let opening = segment((OUTSIDE, 20), ([198, 51, 100, 100], 3001), [5, 0], b"");
    bench.arrive("outside", &opening);
    bench.run();
    let arrived = bench.sent("inside").remove(0);
    assert_sums(&arrived);
    assert_eq!(arrived[16..20], INSIDE);
    // 19 * 256 + 137.
    assert_eq!(arrived[22..24], 5001_u16.to_be_bytes());
}

#[test]
fn sequence_numbers_follow_a_command_that_became_longer_or_shorter() {
    for (address, command, grown) in [
        ("198.51.100.100", &b"PORT 10,0,0,1,19,137\r\n"[..], 6_u32),
        (
            "1.2.3.4",
            b"port 10,0,0,1,019,137\r\n",
            2_u32.wrapping_neg(),
        ),
    ] {
        let bench = nat(address);
        client(&bench, 100, b"");
        client(&bench, 100, command);
        let length = u32::try_from(command.len()).unwrap();
        let sent = client(&bench, 100 + length, b"LIST\r\n");
        assert_eq!(
            word(&sent, 24),
            (100 + length).wrapping_add(grown),
            "{address}"
        );
        // What the server acknowledges are the bytes that it got.
        let public: [u8; 4] = sent[12..16].try_into().unwrap();
        let port = u16::from_be_bytes([sent[20], sent[21]]);
        let acknowledged = (100 + length + 6).wrapping_add(grown);
        let answer = segment(
            (OUTSIDE, 21),
            (public, port),
            [900, acknowledged],
            b"200\r\n",
        );
        bench.arrive("outside", &answer);
        bench.run();
        let arrived = bench.sent("inside").remove(0);
        assert_sums(&arrived);
        assert_eq!(word(&arrived, 28), 100 + length + 6, "{address}");
        assert_eq!(word(&arrived, 24), 900, "{address}");
    }
}

#[test]
fn what_is_no_whole_port_command_passes_as_it_is() {
    let bench = nat("198.51.100.100");
    client(&bench, 100, b"");
    for text in [
        &b"PORT 10,0,0,1,19\r\n"[..],
        b"PORT 10,0,0,1,19,256\r\n",
        b"PORT 10,0,0,1,19,137,1\r\n",
        b"PORT 10,0,0,1,19,137",
        b"PORTS 10,0,0,1,19,137\r\n",
        b"PORT",
        b"NOOP\r\nPORT 10,0,0,1,19,137\r\n",
    ] {
        assert_eq!(&client(&bench, 100, text)[40..], text);
    }
    assert_eq!(bench.read("rw.size"), "1");
}

#[test]
fn what_it_is_told_must_be_rewriters_and_an_input() {
    for (arguments, wrong) in [
        (
            "q, rw, 0",
            "CONTROL_REWRITER: element type mismatch, expected TCPRewriter",
        ),
        (
            "rw, q, 0",
            "DATA_REWRITER: element type mismatch, expected IPRewriterBase",
        ),
        ("no, rw, 0", "CONTROL_REWRITER: does not name an element"),
        ("rw, rw, 2", "DATA_REWRITER_INPUT out of range"),
    ] {
        let errors = Bench::errors(&std::format!(
            "q :: Queue; rw :: TCPRewriter(drop); Idle -> FTPPortMapper({arguments}) -> rw -> Idle; Idle -> q -> Idle"
        ));
        assert!(errors.contains(wrong), "{errors}");
    }
}
