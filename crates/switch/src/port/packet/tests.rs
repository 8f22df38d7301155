//! The kernel is at the other end of a pair of interfaces, in a namespace.

use super::*;
use crate::port::testing::{in_namespace, ip, kernel, wait_until_up};

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

/// A frame of a protocol that nobody speaks.
fn numbered(number: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![number; length];
    if let Some(protocol) = frame.get_mut(12..14) {
        protocol.copy_from_slice(&[0x88, 0xb5]);
    }
    frame
}

/// An interface that has just come up may lose what is sent at once.
fn wait_until_carried(port: &mut Packet, theirs: &mut Packet) {
    let begun = std::time::Instant::now();
    let mut came = 0;
    while came == 0 {
        assert!(begun.elapsed().as_secs() < 20, "nothing comes");
        let frame = numbered(99, 60);
        port.send(&Frame::new(&frame, FrameHead::default()))
            .and_then(|()| port.kick())
            .expect("a port that goes on");
        std::thread::sleep(std::time::Duration::from_millis(5));
        let look = &mut |frame: &Frame<'_>| {
            came += usize::from(bytes(frame)[0] == 99);
            true
        };
        theirs.receive(99, 0, look).expect("a port");
    }
}

/// Sends frames and says which of them come to the other end, by their first byte.
fn exchange(port: &mut Packet, theirs: &mut Packet, frames: &[Vec<u8>]) -> Vec<u8> {
    for frame in frames {
        let frame = Frame::new(frame, FrameHead::default());
        port.send(&frame).expect("a port");
    }
    port.kick().expect("a port that goes on");
    let mut came = Vec::new();
    let begun = std::time::Instant::now();
    let last = frames.last().map_or(0, |frame| frame[0]);
    while came.last() != Some(&last) && begun.elapsed().as_secs() < 20 {
        let mut look = |frame: &Frame<'_>| {
            let bytes = bytes(frame);
            if bytes[12..14] == [0x88, 0xb5] {
                came.push(bytes[0]);
            }
            true
        };
        theirs.receive(99, 0, &mut look).expect("a port");
    }
    came
}

#[test]
fn a_frame_that_cannot_leave_keeps_none_behind_it() {
    with_pair(|mut port| {
        let mut theirs = Packet::open("theirs", true).expect("a port");
        // One without a header, which the kernel refuses, and one that is longer than the interface
        // carries: 1,500 bytes behind the header.
        let frames = [
            numbered(1, 60),
            numbered(2, 10),
            numbered(3, 1514),
            numbered(4, 1515),
            numbered(5, 10),
            numbered(6, 60),
        ];
        for _ in 0..200 {
            assert_eq!(exchange(&mut port, &mut theirs, &frames), [1, 3, 6]);
        }
        let dropped = port.counters().dropped.clone();
        assert!(
            dropped.contains(&(DropCause::Malformed, 400)),
            "{dropped:?}"
        );
        assert!(dropped.contains(&(DropCause::OverLong, 200)), "{dropped:?}");
        let sent = &port.counters().sent;
        assert_eq!((sent.frames, sent.bytes), (600, 200 * (60 + 1514 + 60)));
    });
}

#[test]
fn a_tag_makes_a_frame_no_longer_as_interfaces_count() {
    with_pair(|mut port| {
        let mut theirs = Packet::open("theirs", true).expect("a port");
        let mut tagged = vec![1; 1518];
        tagged[12..16].copy_from_slice(&[0x81, 0, 0, 7]);
        let frames = [tagged, numbered(2, 60)];
        assert_eq!(exchange(&mut port, &mut theirs, &frames), [2]);
        assert_eq!(port.counters().sent.frames, 2);
        assert_eq!(port.counters().dropped, []);
    });
}

#[test]
fn frames_leave_again_once_an_interface_is_up_again() {
    with_pair(|mut port| {
        let mut theirs = Packet::open("theirs", true).expect("a port");
        let frames: Vec<_> = (1..=20).map(|number| numbered(number, 100)).collect();
        let numbers: Vec<_> = (1..=20).collect();
        let no_way = |port: &Packet| {
            let dropped = port.counters().dropped.iter();
            let count = dropped.filter(|(cause, _)| *cause == DropCause::NoWay);
            count.map(|(_, count)| *count).sum::<u64>()
        };
        for _ in 0..20 {
            assert_eq!(exchange(&mut port, &mut theirs, &frames), numbers);
            ip("link set ours down");
            let before = no_way(&port);
            for frame in &frames[..7] {
                let frame = Frame::new(frame, FrameHead::default());
                port.send(&frame).expect("a port");
            }
            port.kick().expect("a port that goes on");
            assert_eq!(no_way(&port), before + 7);
            ip("link set ours up");
            wait_until_up("ours");
            wait_until_carried(&mut port, &mut theirs);
        }
    });
}

#[test]
fn an_interface_with_long_frames_carries_them() {
    with_pair(|_| {
        for name in ["ours", "theirs"] {
            ip(&format!("link set {name} mtu 9000"));
        }
        let mut port = Packet::open("ours", true).expect("a port");
        let mut theirs = Packet::open("theirs", true).expect("a port");
        let lengths = [9014, 60, 2048, 2049, 4097, 9014, 64];
        let frames: Vec<_> = (1..).zip(lengths).collect();
        let frames: Vec<_> = frames
            .iter()
            .map(|(n, length)| numbered(*n, *length))
            .collect();
        for _ in 0..20 {
            assert_eq!(
                exchange(&mut port, &mut theirs, &frames),
                [1, 2, 3, 4, 5, 6, 7]
            );
        }
        let each: usize = lengths.iter().sum();
        assert_eq!(theirs.counters().received.bytes, 20 * each as u64);
    });
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let error = Packet::open("nosuch0", false).err().expect("a refusal");
    let text = error.to_string();
    assert!(text.starts_with("packet:nosuch0: "), "{text}");
}
