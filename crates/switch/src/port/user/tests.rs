//! The port from both sides: a stack as the instance, sockets on the loopback as the world.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use smoltcp::socket::{dhcpv4, icmp, tcp, udp};
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, IpAddress, IpEndpoint};
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use sprat_usernet::{
    CONNECTION_LIMIT, GATEWAY, GATEWAY_ETHERNET, GUEST, NAME_SERVER, PREFIX, Publish,
};

use super::User;
use crate::port::testing::{ADDRESS, Guest};
use crate::port::{DropCause, Port as _, UserOptions};

/// An instance that has no address yet.
fn bare(options: &UserOptions) -> Guest<User> {
    Guest::bare(User::open(options).expect("the port opens"))
}

/// One that has its address.
fn guest(options: &UserOptions) -> Guest<User> {
    let mut guest = bare(options);
    configure(&mut guest);
    guest
}

fn configure(guest: &mut Guest<User>) {
    guest.set_address(GUEST, PREFIX);
    guest
        .interface
        .routes_mut()
        .add_default_ipv4_route(GATEWAY)
        .expect("room for a route");
}

fn open() -> UserOptions {
    UserOptions {
        loopback: true,
        ..UserOptions::default()
    }
}

fn published(text: &str) -> UserOptions {
    UserOptions {
        publish: vec![text.parse::<Publish>().expect("a publication")],
        ..UserOptions::default()
    }
}

/// A server that sends back what it gets, once; its port.
fn echo_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut writer = stream.try_clone().expect("another handle");
        std::io::copy(&mut stream, &mut writer).expect("bytes both ways");
    });
    port
}

/// The byte at a place of a long stream.
fn byte(at: usize) -> u8 {
    u8::try_from((at * 31 + at / 4099) % 251).expect("below 251")
}

fn dropped(port: &User, cause: &DropCause) -> u64 {
    let dropped = &port.counters().dropped;
    dropped
        .iter()
        .find(|(known, _)| known == cause)
        .map_or(0, |(_, count)| *count)
}

#[test]
fn dhcp_gives_the_address_the_gateway_and_the_name_server() {
    let mut guest = bare(&UserOptions::default());
    let handle = guest.sockets.add(dhcpv4::Socket::new());
    let (address, router, server) =
        guest.until(
            |guest| match guest.get::<dhcpv4::Socket<'_>>(handle).poll() {
                Some(dhcpv4::Event::Configured(config)) => Some((
                    config.address,
                    config.router,
                    config.dns_servers.first().copied(),
                )),
                _ => None,
            },
        );
    assert_eq!(address.to_string(), "10.0.2.15/24");
    assert_eq!(router, Some(Ipv4Addr::new(10, 0, 2, 2)));
    assert_eq!(server, Some(Ipv4Addr::new(10, 0, 2, 3)));
}

#[test]
fn the_gateway_answers_a_ping() {
    let mut guest = guest(&UserOptions::default());
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(7)).expect("an identity");
    let request = Icmpv4Repr::EchoRequest {
        ident: 7,
        seq_no: 3,
        data: b"who is there",
    };
    let room = socket
        .send(request.buffer_len(), IpAddress::Ipv4(GATEWAY))
        .expect("room");
    let checksums = smoltcp::phy::ChecksumCapabilities::default();
    request.emit(&mut Icmpv4Packet::new_unchecked(room), &checksums);
    let handle = guest.sockets.add(socket);
    let answer = guest.until(|guest| {
        let socket = guest.get::<icmp::Socket<'_>>(handle);
        socket.recv().ok().map(|(bytes, _)| bytes.to_vec())
    });
    let packet = Icmpv4Packet::new_checked(&answer[..]).expect("a message");
    assert_eq!(
        Icmpv4Repr::parse(&packet, &checksums),
        Ok(Icmpv4Repr::EchoReply {
            ident: 7,
            seq_no: 3,
            data: b"who is there"
        })
    );
}

#[test]
fn a_connection_carries_megabytes_both_ways_unchanged_and_ends_on_both_sides() {
    const TOTAL: usize = 4 << 20;
    let mut guest = guest(&open());
    let handle = guest.connect((GATEWAY, echo_server()), 40_000);
    let (mut sent, mut received) = (0, 0);
    guest.until(|guest| {
        let socket = guest.get::<tcp::Socket<'_>>(handle);
        while sent < TOTAL && socket.can_send() {
            let piece: Vec<u8> = (sent..TOTAL.min(sent + 50_000)).map(byte).collect();
            sent += socket.send_slice(&piece).expect("it can send");
            if sent == TOTAL {
                socket.close();
            }
        }
        while socket.can_recv() {
            let mut piece = [0; 50_000];
            let count = socket.recv_slice(&mut piece).expect("it can receive");
            for value in &piece[..count] {
                assert_eq!(*value, byte(received), "at {received}");
                received += 1;
            }
        }
        (socket.state() == tcp::State::TimeWait || !socket.is_open()).then_some(())
    });
    assert_eq!((sent, received), (TOTAL, TOTAL));
    guest.until(|guest| (guest.wire.port.network.connections() == 0).then_some(()));
}

#[test]
fn a_connection_that_the_host_refuses_is_refused_to_the_instance() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        listener.local_addr().expect("its address").port()
    };
    let mut guest = guest(&open());
    let handle = guest.connect((GATEWAY, closed), 40_000);
    guest.until(|guest| {
        let socket = guest.get::<tcp::Socket<'_>>(handle);
        assert_ne!(socket.state(), tcp::State::Established);
        (!socket.is_open()).then_some(())
    });
    assert_eq!(guest.wire.port.network.connections(), 0);
}

#[test]
fn the_hosts_loopback_is_refused_where_it_was_not_opened() {
    let mut guest = guest(&UserOptions::default());
    let handle = guest.connect((GATEWAY, echo_server()), 40_000);
    guest.until(|guest| (!guest.get::<tcp::Socket<'_>>(handle).is_open()).then_some(()));
    assert_eq!(dropped(&guest.wire.port, &DropCause::Forbidden), 1);
}

#[test]
fn a_published_port_leads_to_the_instance_even_when_it_starts_later() {
    let mut guest = bare(&published("0:80"));
    let host = guest.wire.port.publications()[0].host;
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(host).expect("a connection");
        stream.write_all(b"GET").expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        answer
    });
    // The client is there before the instance has an address.
    guest.until(|guest| (guest.wire.port.network.connections() == 1).then_some(()));
    configure(&mut guest);
    let handle = guest.tcp();
    guest
        .get::<tcp::Socket<'_>>(handle)
        .listen(80)
        .expect("a port to listen on");
    // It makes itself known as any stack does: by asking for its gateway.
    let udp = guest.udp(9);
    guest
        .get::<udp::Socket<'_>>(udp)
        .send_slice(b"", IpEndpoint::new(IpAddress::Ipv4(GATEWAY), 9))
        .expect("room");
    guest.until(|guest| {
        let socket = guest.get::<tcp::Socket<'_>>(handle);
        let mut request = [0; 8];
        let count = socket.recv_slice(&mut request).unwrap_or(0);
        (count > 0).then(|| {
            assert_eq!(&request[..count], b"GET");
            assert_eq!(
                socket.remote_endpoint().map(|end| end.addr),
                Some(IpAddress::Ipv4(GATEWAY))
            );
            socket.send_slice(b"200").expect("room");
            socket.close();
        })
    });
    guest.until(|_| client.is_finished().then_some(()));
    assert_eq!(client.join().expect("the client ends"), b"200");
}

#[test]
fn an_instance_that_breaks_a_connection_off_is_seen_to_by_its_peer() {
    let mut guest = guest(&published("0:80"));
    let host = guest.wire.port.publications()[0].host;
    // Nobody listens, so the instance refuses.
    let mut stream = TcpStream::connect(host).expect("a connection");
    let reader = thread::spawn(move || stream.read(&mut [0; 8]));
    guest.until(|_| reader.is_finished().then_some(()));
    let error = reader.join().expect("it ends").expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn datagrams_go_out_and_answers_come_back() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = server.local_addr().expect("its address").port();
    thread::spawn(move || {
        let mut bytes = [0; 64];
        let (count, peer) = server.recv_from(&mut bytes).expect("a datagram");
        bytes[..count].reverse();
        server.send_to(&bytes[..count], peer).expect("an answer");
    });
    let mut guest = guest(&open());
    let handle = guest.udp(5000);
    let to = IpEndpoint::new(IpAddress::Ipv4(GATEWAY), port);
    guest
        .get::<udp::Socket<'_>>(handle)
        .send_slice(b"abc", to)
        .expect("room");
    let (bytes, from) = guest.until(|guest| {
        let socket = guest.get::<udp::Socket<'_>>(handle);
        let (bytes, meta) = socket.recv().ok()?;
        Some((bytes.to_vec(), meta.endpoint))
    });
    assert_eq!((&bytes[..], from), (&b"cba"[..], to));
}

#[test]
fn a_port_published_for_datagrams_keeps_its_peers_apart() {
    let mut guest = guest(&published("0:53/udp"));
    let host = guest.wire.port.publications()[0].host;
    let handle = guest.udp(53);
    let peers: Vec<UdpSocket> = (0..3_u8)
        .map(|number| {
            let peer = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            peer.connect(host).expect("a peer");
            peer.send(&[number]).expect("a question");
            peer.set_read_timeout(Some(Duration::from_secs(10)))
                .expect("a timeout");
            peer
        })
        .collect();
    let mut answered = 0;
    guest.until(|guest| {
        let socket = guest.get::<udp::Socket<'_>>(handle);
        while let Ok((bytes, meta)) = socket.recv() {
            let answer = [bytes[0], 100];
            socket.send_slice(&answer, meta).expect("room");
            answered += 1;
        }
        (answered == 3 && socket.send_queue() == 0).then_some(())
    });
    for (number, peer) in (0..3).zip(&peers) {
        let mut answer = [0; 8];
        let count = peer.recv(&mut answer).expect("an answer");
        assert_eq!(answer[..count], [number, 100]);
    }
}

#[test]
fn names_are_asked_of_the_hosts_resolver() {
    let resolver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address: SocketAddr = resolver.local_addr().expect("its address");
    thread::spawn(move || {
        let mut query = [0; 512];
        let (count, peer) = resolver.recv_from(&mut query).expect("a query");
        query[2] |= 0x80;
        resolver.send_to(&query[..count], peer).expect("an answer");
    });
    let mut guest = guest(&UserOptions {
        resolver: Some(address),
        ..UserOptions::default()
    });
    let handle = guest.udp(5000);
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x01\x00\x01";
    let to = IpEndpoint::new(IpAddress::Ipv4(NAME_SERVER), 53);
    guest
        .get::<udp::Socket<'_>>(handle)
        .send_slice(query, to)
        .expect("room");
    let answer = guest.until(|guest| {
        let socket = guest.get::<udp::Socket<'_>>(handle);
        let (bytes, meta) = socket.recv().ok()?;
        assert_eq!(meta.endpoint, to);
        Some(bytes.to_vec())
    });
    assert_eq!(answer.len(), query.len());
    assert_eq!(answer[2], 0x81);
}

/// A frame with the first segment of a connection from a port of the instance.
fn syn(from: u16, to: (Ipv4Addr, u16)) -> Vec<u8> {
    let mut frame = vec![0; 54];
    frame[..6].copy_from_slice(&GATEWAY_ETHERNET);
    frame[6..12].copy_from_slice(&ADDRESS);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14] = 0x45;
    frame[17] = 40;
    frame[22..24].copy_from_slice(&[64, 6]);
    frame[26..30].copy_from_slice(&GUEST.octets());
    frame[30..34].copy_from_slice(&to.0.octets());
    let sum = crate::port::offload::checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[34..36].copy_from_slice(&from.to_be_bytes());
    frame[36..38].copy_from_slice(&to.1.to_be_bytes());
    frame[46..50].copy_from_slice(&[0x50, 2, 0xff, 0xff]);
    // The pseudo header: addresses, protocol, length.
    let mut summed = frame[26..34].to_vec();
    summed.extend([0, 6, 0, 20]);
    summed.extend(&frame[34..54]);
    let sum = crate::port::offload::checksum(&summed);
    frame[50..52].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn a_flood_of_connections_is_bounded_and_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let to = listener.local_addr().expect("its address").port();
    let mut port = User::open(&open()).expect("the port opens");
    for from in 1..=10_000 {
        let frame = syn(from, (GATEWAY, to));
        port.send(&Frame::new(&frame, FrameHead::default()))
            .expect("the port takes frames");
        if from % 64 == 0 {
            // Nobody ever answers what comes back.
            port.receive(1024, i64::MAX, &mut |_| true)
                .expect("the port gives frames");
        }
    }
    assert!(port.network.connections() <= CONNECTION_LIMIT);
    assert!(dropped(&port, &DropCause::TooMany) >= 10_000 - CONNECTION_LIMIT as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_frame_breaks_the_port(
        changes in proptest::collection::vec((0..120_usize, any::<u8>()), 0..12),
        length in 0..120_usize,
        protocol in prop_oneof![Just(1_u8), Just(6), Just(17)],
        head in (any::<u32>(), any::<u16>(), any::<u16>()),
    ) {
        let mut port = User::open(&UserOptions::default()).expect("the port opens");
        let mut frame = syn(1, (GATEWAY, 67));
        frame.resize(120, 0);
        frame[23] = protocol;
        for (at, value) in changes {
            frame[at] = value;
        }
        frame[24..26].fill(0);
        let sum = crate::port::offload::checksum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        let head = FrameHead {
            offload: head.0,
            checksum_start: head.1,
            checksum_offset: head.2,
            ..FrameHead::default()
        };
        port.send(&Frame::new(&frame[..length], head)).expect("the port takes frames");
        port.receive(64, i64::MAX, &mut |_| true).expect("the port gives frames");
    }
}

#[test]
fn a_connection_to_no_single_host_is_dropped_without_an_answer() {
    for address in ["224.0.0.1", "255.255.255.255", "0.0.0.0"] {
        let mut port = User::open(&UserOptions::default()).expect("the port opens");
        let frame = syn(40_000, (address.parse().expect("an address"), 80));
        port.send(&Frame::new(&frame, FrameHead::default()))
            .expect("the port takes frames");
        assert_eq!(dropped(&port, &DropCause::Forbidden), 1, "{address}");
        let answers = port.receive(64, i64::MAX, &mut |_| true);
        assert_eq!(answers.expect("the port gives frames"), 0, "{address}");
    }
}

#[test]
fn an_instance_that_never_speaks_first_is_asked_for() {
    // It has its address from the start, and nothing to say.
    let mut guest = guest(&published("0:7/udp"));
    let host = guest.wire.port.publications()[0].host;
    let handle = guest.udp(7);
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    client.send_to(b"hello", host).expect("a way");
    guest.until(|guest| {
        let socket = guest.get::<udp::Socket<'_>>(handle);
        (socket.recv().ok()?.0 == b"hello").then_some(())
    });
}
