//! The kernel is at the other end of a pair of interfaces, in a namespace.

use super::*;
use crate::port::testing::{in_namespace, ip, kernel};

/// Runs a test with a port on one end of a pair, of whose other end the kernel has an address.
fn with_pair(queues: u32, test: impl FnOnce(Xdp) + Send + 'static) {
    in_namespace(move || {
        ip(&format!(
            "link add ours numrxqueues {queues} type veth peer name theirs"
        ));
        ip("address add 192.0.2.1/24 dev theirs");
        for name in ["ours", "theirs"] {
            ip(&format!("link set {name} addrgenmode none up"));
        }
        match Xdp::open("ours") {
            Ok(port) => test(port),
            Err(PortError::Interface { source, .. }) if is_missing(&source) => {
                println!("skipped: needs a kernel with AF_XDP");
            }
            Err(error) => panic!("{error}"),
        }
    });
}

/// Whether the kernel was built without it.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::ENOSYS)
    )
}

#[test]
fn datagrams_go_both_ways_with_right_checksums() {
    with_pair(1, kernel::exchange_datagrams);
}

#[test]
fn a_connection_carries_much_both_ways() {
    with_pair(1, kernel::echo_over_a_connection);
}

#[test]
fn all_queues_of_an_interface_are_joined() {
    with_pair(3, |port| {
        assert_eq!(port.queues.len(), 3);
        kernel::echo_over_a_connection(port);
    });
}

#[test]
fn a_checksum_that_is_wrong_is_left_as_it_is() {
    with_pair(1, kernel::send_a_wrong_checksum);
}

#[test]
fn a_vlan_tag_comes_with_its_frame() {
    with_pair(1, |mut port| {
        let mut theirs = packet::Packet::open("theirs", true).expect("a port");
        let mut frame = vec![0xff; 12];
        frame.extend([0x81, 0, 0x20, 7, 8, 0]);
        frame.extend(b"hello");
        let sent = Frame::new(&frame, FrameHead::default());
        theirs.send(&sent).expect("a port");
        theirs.kick().expect("a port");
        let mut came = Vec::new();
        let begun = std::time::Instant::now();
        while came.is_empty() && begun.elapsed().as_secs() < 20 {
            let mut look = |frame: &Frame<'_>| {
                let mut bytes = Vec::new();
                frame.append_to(&mut bytes);
                if bytes.ends_with(b"hello") {
                    came = bytes;
                }
                true
            };
            port.receive(99, 0, &mut look).expect("a port");
        }
        assert_eq!(came, frame);
    });
}

#[test]
fn a_frame_that_was_refused_comes_again() {
    with_pair(1, |mut port| {
        let mut theirs = packet::Packet::open("theirs", true).expect("a port");
        for number in 0..3 {
            let mut frame = [number; 60];
            frame[12..14].copy_from_slice(&[0x88, 0xb5]);
            let sent = Frame::new(&frame, FrameHead::default());
            theirs.send(&sent).expect("a port");
        }
        theirs.kick().expect("a port");
        let (mut numbers, mut refusals) = (Vec::new(), 0);
        let begun = std::time::Instant::now();
        while numbers.len() < 3 && begun.elapsed().as_secs() < 20 {
            // Every frame is taken the second time only.
            let mut take = |frame: &Frame<'_>| {
                refusals += 1;
                if refusals % 2 == 1 {
                    return false;
                }
                let mut bytes = Vec::new();
                frame.append_to(&mut bytes);
                numbers.push(bytes[20]);
                true
            };
            port.receive(99, 0, &mut take).expect("a port");
        }
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(refusals, 6);
        assert_eq!(port.counters().received.frames, 3);
    });
}

#[test]
fn more_frames_than_there_is_room_for_leave_one_batch_after_the_other() {
    with_pair(1, |mut port| {
        let mut theirs = packet::Packet::open("theirs", true).expect("a port");
        let mut frame = [7; 60];
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        let mut came = 0;
        for _ in 0..100 {
            for _ in 0..50 {
                port.send(&Frame::new(&frame, FrameHead::default()))
                    .expect("a port");
            }
            port.kick().expect("a port");
            came += theirs.receive(99, 0, &mut |_| true).expect("a port");
        }
        assert_eq!(port.counters().sent.frames, 5000);
        assert_eq!(port.counters().dropped, []);
        assert_eq!(came, 5000);
    });
}

#[test]
fn the_interface_is_the_kernels_again_when_the_port_is_gone() {
    with_pair(1, |port| {
        ip("address add 192.0.2.2/24 dev ours");
        let socket = std::net::UdpSocket::bind("192.0.2.2:7").expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a patient socket");
        drop(port);
        let mut theirs = packet::Packet::open("theirs", true).expect("a port");
        // From 192.0.2.9, without a checksum (RFC 768).
        let mut frame = vec![0xff; 12];
        frame.extend([8, 0, 0x45, 0, 0, 30, 0, 0, 0x40, 0, 64, 17, 0, 0]);
        frame.extend([
            192, 0, 2, 9, 192, 0, 2, 2, 0, 9, 0, 7, 0, 10, 0, 0, b'h', b'i',
        ]);
        let sum = super::super::offload::checksum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        let mut came = [0; 8];
        let begun = Instant::now();
        // What is sent while the interface changes hands may be lost.
        let length = loop {
            theirs
                .send(&Frame::new(&frame, FrameHead::default()))
                .and_then(|()| theirs.kick())
                .expect("a port");
            match socket.recv(&mut came) {
                Ok(length) => break length,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
            }
        };
        assert_eq!(&came[..length], b"hi");
    });
}

#[test]
fn a_port_that_was_handed_over_carries_frames_once_it_is_completed() {
    with_pair(2, |port| {
        drop(port);
        let claim = Xdp::claim("ours").expect("permitted");
        let copies = claim.descriptors.iter().map(|one| one.try_clone());
        let copy = Claim {
            what: claim.what.clone(),
            name: claim.name.clone(),
            frame_limit: claim.frame_limit,
            descriptors: copies.map(|copy| copy.expect("a copy")).collect(),
        };
        let port = Xdp::of_claim(copy).expect("a port");
        assert_eq!(port.queues.len(), 2);
        claim.complete().expect("permitted");
        drop(claim);
        kernel::echo_over_a_connection(port);
    });
}

#[test]
fn a_port_whose_interface_was_removed_says_so_and_one_whose_is_down_does_not() {
    with_pair(1, |mut port| {
        let frame = [7; 60];
        let mut both_ways = |until: u64| loop {
            port.send(&Frame::new(&frame, FrameHead::default()))
                .and_then(|()| port.kick())?;
            port.receive(99, 0, &mut |_| true)?;
            if monotonic_now() >= until {
                return Ok::<(), PortError>(());
            }
        };
        ip("link set ours down");
        both_ways(monotonic_now() + 2 * LOOK).expect("it may come up again");
        ip("link delete ours");
        let gone = both_ways(monotonic_now() + 20 * LOOK).expect_err("it is gone");
        let expected = "xdp:ours: No such device (os error 19)";
        assert_eq!(gone.to_string(), expected);
    });
}

#[test]
fn a_claim_that_lacks_descriptors_is_no_port() {
    let claim = Claim {
        what: Claimed::Xdp { index: 1 },
        name: "ours".into(),
        frame_limit: 1518,
        descriptors: Vec::new(),
    };
    let refused = claim.into_port().err().expect("a refusal").to_string();
    assert_eq!(refused, "xdp:ours: no descriptor came with it");
}

#[test]
fn a_port_that_has_sent_everything_waits_for_nothing_soon() {
    with_pair(1, |mut port| {
        let frame = [7; 60];
        for _ in 0..100 {
            port.send(&Frame::new(&frame, FrameHead::default()))
                .expect("a port");
        }
        port.kick().expect("a port");
        let soon = monotonic_now() + BREATH;
        assert!(
            port.deadline() > Some(soon),
            "only to look whether the interface is there"
        );
    });
}

#[test]
fn an_interface_is_joined_once() {
    with_pair(1, |_port| {
        let refused = Xdp::open("ours").err().expect("a refusal").to_string();
        let expected = "xdp:ours: something else takes its frames: another port xdp:ours";
        assert!(refused.starts_with(expected), "{refused}");
    });
}

#[test]
fn what_cannot_be_joined_is_named() {
    let text = |name: &str| Xdp::open(name).err().expect("a refusal").to_string();
    let refused = text("nosuch0");
    assert!(refused.starts_with("xdp:nosuch0: "), "{refused}");
    in_namespace(|| {
        ip("link add long mtu 9000 type veth peer name other");
        let refused = Xdp::open("long").err().expect("a refusal").to_string();
        assert_eq!(
            refused,
            "xdp:long: its frames have up to 9018 bytes, and AF_XDP carries 3840: lower its MTU, or \
             use packet:long"
        );
    });
}
