//! UDP over a simulated link.
#![allow(missing_docs)]

use std::time::Duration;

use sprat_net::simulation::{Link, World};
use sprat_net::{Error, Stack, UdpOptions};

fn two() -> (World, Stack, Stack) {
    let mut world = World::new(
        Link {
            delay: Duration::from_micros(10),
            ..Link::default()
        },
        1,
    );
    let server = world.add_at(1);
    let client = world.add_at(2);
    (world, server, client)
}

#[test]
fn a_datagram_says_whom_it_is_from_and_to() {
    let (mut world, server, client) = two();
    let at = server
        .bind_udp(([0, 0, 0, 0], 7), UdpOptions::default())
        .expect("free");
    let from = client
        .bind_udp(([0, 0, 0, 0], 0), UdpOptions::default())
        .expect("free");
    let got = world.run(async {
        from.send(b"hello", ([10, 0, 0, 1], 7).into(), None).await?;
        let mut buffer = [0; 3];
        Ok::<_, Error>((at.receive(&mut buffer).await?, buffer))
    });
    let (datagram, bytes) = got.expect("arrives").expect("received");
    assert_eq!(&bytes, b"hel");
    assert_eq!(datagram.length, 3);
    assert_eq!(datagram.from, ([10, 0, 0, 2], from.local_port()).into());
    assert_eq!(datagram.to, Some([10, 0, 0, 1].into()));
}

#[test]
fn a_socket_that_is_full_drops_and_counts() {
    let (mut world, server, client) = two();
    let options = UdpOptions {
        datagrams: 4,
        bytes: 1000,
    };
    let at = server.bind_udp(([0, 0, 0, 0], 7), options).expect("free");
    let from = client
        .bind_udp(([0, 0, 0, 0], 0), UdpOptions::default())
        .expect("free");
    world.run(async {
        for number in 0..10u8 {
            from.send(&[number], ([10, 0, 0, 1], 7).into(), None)
                .await
                .expect("room");
        }
    });
    world.pass(Duration::from_secs(2));
    assert_eq!(server.counters().datagrams_dropped, 6);
    let mut buffer = [0; 10];
    for number in 0..4 {
        assert!(at.try_receive(&mut buffer).is_some());
        assert_eq!(buffer[0], number);
    }
    assert_eq!(at.try_receive(&mut buffer), None);
}

#[test]
fn what_can_never_be_sent_is_refused() {
    let (mut world, _, client) = two();
    let from = client
        .bind_udp(([0, 0, 0, 0], 0), UdpOptions::default())
        .expect("free");
    let to = ([10, 0, 0, 1], 7).into();
    assert_eq!(
        world.run(from.send(&[0; 40_000], to, None)),
        Some(Err(Error::TooLong))
    );
    assert_eq!(
        world.run(from.send(b"x", ([10, 0, 0, 1], 0).into(), None)),
        Some(Err(Error::BadAddress))
    );
}

#[test]
fn a_port_is_bound_once_and_free_again_when_its_socket_is_dropped() {
    let (_, server, _) = two();
    let any = ([0, 0, 0, 0], 7);
    let first = server.bind_udp(any, UdpOptions::default()).expect("free");
    assert_eq!(
        server.bind_udp(any, UdpOptions::default()).err(),
        Some(Error::InUse)
    );
    drop(first);
    assert!(server.bind_udp(any, UdpOptions::default()).is_ok());
}
