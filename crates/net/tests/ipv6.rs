//! IPv6 over a simulated link: addresses of neighbours are found by neighbour discovery.
#![allow(missing_docs)]
#![cfg(feature = "ipv6")]

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use sprat_net::simulation::{Link, World};
use sprat_net::{Configuration, Error, Ipv4, Ipv6, Stack, TcpOptions, UdpOptions};

fn address(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
}

fn add(world: &mut World, last: u16) -> Stack {
    world.add(|options| {
        options.configuration = Configuration {
            ipv4: Ipv4::Off,
            ipv6: Ipv6::Static {
                address: address(last),
                prefix: 64,
                gateway: None,
            },
            ..Configuration::default()
        };
    })
}

#[test]
fn connections_and_datagrams_are_carried_over_ipv6() {
    let mut world = World::new(Link::default(), 1);
    let (server, client) = (add(&mut world, 1), add(&mut world, 2));
    let any = Ipv6Addr::UNSPECIFIED;
    let listener = server
        .listen((any, 80), TcpOptions::default())
        .expect("free");
    let datagrams = server
        .bind_udp((any, 7), UdpOptions::default())
        .expect("free");
    let from = client
        .bind_udp((any, 0), UdpOptions::default())
        .expect("free");
    world.spawner().spawn(async move {
        let (mut stream, peer) = listener.accept().await;
        assert_eq!(peer.ip(), IpAddr::V6(address(2)));
        stream.write_all(b"hello").await.expect("open");
        stream.confirmed().await.expect("taken");
    });
    let got = world.run(async {
        let mut stream = client
            .connect((address(1), 80), TcpOptions::default())
            .await?;
        let mut words = [0; 5];
        let count = stream.read(&mut words).await?;
        from.send(b"ping", SocketAddr::from((address(1), 7)), None)
            .await?;
        let mut ping = [0; 4];
        let datagram = datagrams.receive(&mut ping).await?;
        Ok::<_, Error>((words[..count].to_vec(), ping, datagram.from.ip()))
    });
    let expected = (b"hello".to_vec(), *b"ping", IpAddr::V6(address(2)));
    assert_eq!(got, Some(Ok(expected)));
}
