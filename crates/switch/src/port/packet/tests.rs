//! The kernel is at the other end of a pair of interfaces, in a namespace.

use super::*;
use crate::port::testing::{in_namespace, ip, kernel};

/// Runs a test with a port on one end of a pair, of whose other end the kernel has an address.
fn with_pair(test: impl FnOnce(Packet) + Send + 'static) {
    in_namespace(|| {
        ip("link add ours type veth peer name theirs");
        ip("address add 192.0.2.1/24 dev theirs");
        for name in ["ours", "theirs"] {
            ip(&format!("link set {name} up"));
        }
        // Nobody but the port answers on its side.
        ip("link set ours arp off");
        test(Packet::open("ours", true).expect("a port"));
    });
}

fn bytes(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.append_to(&mut bytes);
    bytes
}

#[test]
fn datagrams_go_both_ways_with_right_checksums() {
    with_pair(kernel::exchange_datagrams);
}

#[test]
fn a_connection_carries_much_both_ways() {
    with_pair(kernel::echo_over_a_connection);
}

#[test]
fn a_checksum_that_is_wrong_is_left_as_it_is() {
    with_pair(kernel::send_a_wrong_checksum);
}

#[test]
fn a_port_does_not_see_what_it_sends() {
    with_pair(|mut port| {
        let frame = Frame::new(&[0xff; 60], FrameHead::default());
        port.send(&frame).expect("a port");
        port.kick().expect("a port");
        assert_eq!(port.counters().sent.frames, 1);
        let mut seen = 0;
        let mut count = |frame: &Frame<'_>| {
            seen += usize::from(bytes(frame)[..14] == [0xff; 14]);
            true
        };
        port.receive(99, 0, &mut count).expect("a port");
        assert_eq!(seen, 0);
    });
}

#[test]
fn a_port_whose_interface_is_down_waits_and_one_whose_interface_is_removed_fails() {
    with_pair(|mut port| {
        let mut receive = || port.receive(99, 0, &mut |_| true).map(|_| port.deadline());
        assert_eq!(receive().expect("a port"), None);
        ip("link set ours down");
        assert!(receive().expect("it may come back").is_some());
        ip("link set ours up");
        receive().expect("it is back");
        ip("link set ours down");
        receive().expect("it may come back");
        // The kernel says nothing more to the socket.
        ip("link delete ours");
        let error = receive().expect_err("it is gone").to_string();
        assert!(error.contains("No such device"), "{error}");
    });
}

#[test]
fn a_vlan_tag_comes_with_its_frame() {
    with_pair(|mut port| {
        let mut theirs = Packet::open("theirs", true).expect("a port");
        let mut frame = vec![0xff; 12];
        frame.extend([0x81, 0, 0x20, 7, 8, 0]);
        frame.extend(b"hello");
        let sent = Frame::new(&frame, FrameHead::default());
        theirs.send(&sent).expect("a port");
        theirs.kick().expect("a port");
        let mut tagged = None;
        let begun = std::time::Instant::now();
        while tagged.is_none() && begun.elapsed().as_secs() < 20 {
            let mut look = |frame: &Frame<'_>| {
                let bytes = bytes(frame);
                if bytes.ends_with(b"hello") {
                    tagged = Some(bytes[12..18].to_vec());
                }
                true
            };
            port.receive(99, 0, &mut look).expect("a port");
        }
        assert_eq!(tagged.expect("the datagram"), [0x81, 0, 0x20, 7, 8, 0]);
    });
}

#[test]
fn frames_for_an_interface_that_is_down_are_dropped_and_counted() {
    with_pair(|mut port| {
        ip("link set ours down");
        for _ in 0..2 {
            let frame = Frame::new(&[0; 60], FrameHead::default());
            port.send(&frame).expect("a port");
        }
        port.kick().expect("a port that goes on");
        assert_eq!(port.counters().dropped, [(DropCause::NoWay, 2)]);
        assert_eq!(port.counters().sent.frames, 0);
    });
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let error = Packet::open("nosuch0", false).err().expect("a refusal");
    let text = error.to_string();
    assert!(text.starts_with("packet:nosuch0: "), "{text}");
}
