//! Groups: who gets what is sent to them, and what routers and switches are told.
#![cfg(all(feature = "multicast", feature = "ipv6"))]
#![allow(missing_docs)]

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use sprat_devices::ManualClock;
use sprat_net::simulation::{Link, World};
use sprat_net::{Configuration, Error, Ipv4, Ipv6, Options, Stack, UdpOptions, UdpSocket};
use sprat_packet::{Batch, Pool};

const SECOND: u64 = 1_000_000_000;

/// What has 10.0.0.N and 2001:db8::N.
fn configuration(last: u8) -> Configuration {
    Configuration {
        ipv4: Ipv4::Static {
            address: [10, 0, 0, last].into(),
            prefix: 24,
            gateway: None,
        },
        ipv6: Ipv6::Static {
            address: [0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()].into(),
            prefix: 64,
            gateway: None,
        },
        ..Configuration::default()
    }
}

fn bind(stack: &Stack, family: &str, port: u16) -> UdpSocket {
    let any: IpAddr = family.parse().expect("an address");
    let socket = stack.bind_udp((any, port), UdpOptions::default());
    socket.expect("free")
}

#[test]
fn members_get_what_is_sent_to_their_group_and_others_do_not() {
    for (any, group) in [("0.0.0.0", "239.1.2.3"), ("::", "ff05::1:3")] {
        let group: IpAddr = group.parse().expect("an address");
        let mut world = World::new(Link::default(), 1);
        let mut stack = |last| world.add(|options| options.configuration = configuration(last));
        let sockets = [1, 2, 3].map(|last| bind(&stack(last), any, 7));
        // Addresses are there.
        world.pass(Duration::from_secs(2));
        sockets[1].join(group).expect("a group");
        let mut send = |words: &'static [u8]| {
            let from = sockets[0].clone();
            let to = SocketAddr::new(group, 7);
            let sent = world.run(async move { from.send(words, to, None).await });
            assert_eq!(sent, Some(Ok(())));
            world.pass(Duration::from_millis(10));
        };
        send(b"one");
        let mut buffer = [0; 9];
        let got = sockets[1].try_receive(&mut buffer).expect("came");
        assert_eq!((&buffer[..got.length], got.to), (&b"one"[..], Some(group)));
        assert!(sockets[0].try_receive(&mut buffer).is_none());
        assert!(sockets[2].try_receive(&mut buffer).is_none());
        sockets[1].leave(group).expect("a member");
        send(b"two");
        assert!(sockets[1].try_receive(&mut buffer).is_none());
        assert_eq!(sockets[1].leave(group), Err(Error::BadAddress));
    }
}

#[test]
fn what_is_no_group_cannot_be_joined_and_there_are_sixteen_at_most() {
    let mut world = World::new(Link::default(), 1);
    let stack = world.add(|options| options.configuration = configuration(1));
    let socket = bind(&stack, "0.0.0.0", 7);
    assert_eq!(socket.join([10, 0, 0, 1]), Err(Error::BadAddress));
    for last in 0..16 {
        socket.join([239, 0, 0, last]).expect("a group");
    }
    assert_eq!(socket.join([239, 0, 0, 16]), Err(Error::TooMany));
    // Once more is the same, and another socket's is too.
    socket.join([239, 0, 0, 3]).expect("a group");
    let other = bind(&stack, "0.0.0.0", 8);
    other.join([239, 0, 0, 3]).expect("a group");
    drop(socket);
    other.join([239, 0, 0, 16]).expect("a group");
}

/// A stack alone on its link, with a link-local address.
struct Alone {
    stack: Stack,
    clock: Rc<ManualClock>,
    pool: Pool,
}

impl Alone {
    fn new() -> Self {
        let (clock, pool) = (Rc::new(ManualClock::default()), Pool::growing());
        let options = Options {
            configuration: configuration(1),
            ..Options::new([2, 0, 0, 0, 0, 5], [7; 32])
        };
        let stack = Stack::new(options, pool.clone(), clock.clone());
        let alone = Self { stack, clock, pool };
        alone.at(0, None);
        alone.at(2 * SECOND, None);
        alone
    }

    fn at(&self, moment: u64, frame: Option<&[u8]>) -> Vec<Vec<u8>> {
        self.clock.advance_to(moment);
        let (mut received, mut sent) = (Batch::new(), Batch::new());
        received.extend(frame.map(|frame| self.pool.packet(frame)));
        self.stack.poll(&mut received, &mut sent, 100);
        sent.drain().map(|packet| packet.data().to_vec()).collect()
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16);
    digits
        .chunks(2)
        .map(|two| pair(two).expect("hex"))
        .collect()
}

/// Of one family: a group, and the frames about it. Those of members are made by hand (RFC 2236,
/// RFC 2710), and a bridge of Linux that looks at them takes them for what they are; those that ask
/// are that bridge's own.
struct Frames {
    any: &'static str,
    group: &'static str,
    member: &'static str,
    leaves: &'static str,
    /// Who is in which groups, within ten seconds.
    asks_all: &'static str,
    /// Who is in this group, within one.
    asks_one: &'static str,
}

const FRAMES: [Frames; 2] = [
    Frames {
        any: "0.0.0.0",
        group: "239.1.2.3",
        member: "01005e010203 020000000005 0800 46c00020000040000102e912 0a000001 ef010203 94040000 1600f8fa ef010203",
        leaves: "01005e000002 020000000005 0800 46c00020000040000102fa14 0a000001 e0000002 94040000 1700f7fa ef010203",
        asks_all: "01005e000001 fa8ad361b0cd 0800 46c00020000040000102f918 0a0000fe e0000001 94040000 1164ee9b 00000000",
        asks_one: "01005e000001 fa8ad361b0cd 0800 46c00020000040000102f918 0a0000fe e0000001 94040000 110afdf0 ef010203",
    },
    Frames {
        any: "::",
        group: "ff05::1:3",
        member: "333300010003 020000000005 86dd 6000000000200001 fe80000000000000000000fffe000005 ff050000000000000000000000010003 3a00050200000100 8300811300000000 ff050000000000000000000000010003",
        leaves: "333300000002 020000000005 86dd 6000000000200001 fe80000000000000000000fffe000005 ff020000000000000000000000000002 3a00050200000100 8400801800000000 ff050000000000000000000000010003",
        asks_all: "333300000001 fa8ad361b0cd 86dd 6000000000200001 fe80000000000000f88ad3fffe61b0cd ff020000000000000000000000000001 3a00050200000000 8200dd5d27100000 00000000000000000000000000000000",
        asks_one: "333300000001 fa8ad361b0cd 86dd 6000000000200001 fe80000000000000f88ad3fffe61b0cd ff020000000000000000000000000001 3a00050200000000 8200017c03e80000 ff050000000000000000000000010003",
    },
];

const SILENCE: [Vec<u8>; 0] = [];

#[test]
fn routers_are_told_when_a_group_is_joined_and_left_and_when_they_ask() {
    for frames in FRAMES {
        let alone = Alone::new();
        let socket = bind(&alone.stack, frames.any, 7);
        let group: IpAddr = frames.group.parse().expect("an address");
        let (member, leaves) = ([bytes(frames.member)], bytes(frames.leaves));
        socket.join(group).expect("a group");
        assert_eq!(alone.stack.next_deadline(), Some(0));
        assert_eq!(alone.at(2 * SECOND, None), member);
        // Once more, for the first may be lost.
        let again = alone.stack.next_deadline().expect("a moment");
        assert!((2 * SECOND..12 * SECOND).contains(&again));
        assert_eq!(alone.at(again, None), member);
        assert_eq!(alone.at(20 * SECOND, None), SILENCE);
        for (question, within) in [(frames.asks_all, 10), (frames.asks_one, 1)] {
            let now = 20 * SECOND * (1 + u64::from(within == 1));
            assert_eq!(alone.at(now, Some(&bytes(question))), SILENCE);
            let due = alone.stack.next_deadline().expect("a moment");
            assert!((now..=now + within * SECOND).contains(&due), "{due}");
            assert_eq!(alone.at(due, None), member);
            assert_eq!(alone.at(now + 10 * SECOND, None), SILENCE);
        }
        let other = bind(&alone.stack, frames.any, 8);
        other.join(group).expect("a group");
        socket.leave(group).expect("a member");
        assert_eq!(alone.at(60 * SECOND, None), SILENCE);
        drop(other);
        assert_eq!(alone.at(60 * SECOND, None), [leaves]);
        let all = bytes(frames.asks_all);
        assert_eq!(alone.at(61 * SECOND, Some(&all)), SILENCE);
        assert_eq!(alone.at(80 * SECOND, None), SILENCE);
    }
}

#[test]
fn what_is_no_sound_question_is_not_answered() {
    for frames in FRAMES {
        let alone = Alone::new();
        let socket = bind(&alone.stack, frames.any, 7);
        let group: IpAddr = frames.group.parse().expect("an address");
        socket.join(group).expect("a group");
        alone.at(2 * SECOND, None);
        alone.at(15 * SECOND, None);
        let sound = bytes(frames.asks_all);
        let mut wrong: Vec<_> = (0..sound.len()).map(|end| sound[..end].to_vec()).collect();
        // Another sum; and the frames of members are no questions.
        let mut changed = sound.clone();
        changed[sound.len() - 1] ^= 1;
        wrong.extend([changed, bytes(frames.member), bytes(frames.leaves)]);
        // What is asked of another group.
        let mut other = bytes(frames.asks_one);
        let end = other.len();
        other[end - 1] ^= 4;
        wrong.push(other);
        for frame in wrong {
            assert_eq!(alone.at(15 * SECOND, Some(&frame)), SILENCE, "{frame:x?}");
            assert_eq!(alone.at(15 * SECOND, None), SILENCE);
            assert!(
                alone
                    .stack
                    .next_deadline()
                    .is_none_or(|due| due > 60 * SECOND)
            );
        }
    }
}

#[test]
fn nobody_is_told_of_groups_that_everybody_is_in() {
    let alone = Alone::new();
    for (any, group) in [
        ("0.0.0.0", "224.0.0.1"),
        ("::", "ff02::1"),
        ("::", "ff01::5"),
    ] {
        let socket = bind(&alone.stack, any, 7);
        let group: IpAddr = group.parse().expect("an address");
        socket.join(group).expect("a group");
        assert_eq!(alone.at(3 * SECOND, None), SILENCE);
        drop(socket);
        assert_eq!(alone.at(3 * SECOND, None), SILENCE);
    }
}
