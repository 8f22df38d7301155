//! Addresses by DHCP over a simulated link.
#![allow(missing_docs)]
#![cfg(feature = "dhcp")]

use std::time::Duration;

use sprat_net::simulation::{Link, Spawner, World};
use sprat_net::{Stack, UdpOptions, UdpSocket};

const SERVER: [u8; 4] = [10, 0, 2, 2];
const OFFERED: [u8; 4] = [10, 0, 2, 15];

/// Answers as RFC 2131 asks for, with a lease of `lease` seconds.
fn serve(spawner: &Spawner, server: &Stack, lease: u32) {
    let socket = server
        .bind_udp(([0, 0, 0, 0], 67), UdpOptions::default())
        .expect("free");
    spawner.spawn(async move {
        let mut buffer = [0; 600];
        loop {
            let request = socket.receive(&mut buffer).await.expect("open");
            let request = &buffer[..request.length];
            answer(&socket, request, lease).await;
        }
    });
}

async fn answer(socket: &UdpSocket, request: &[u8], lease: u32) {
    let kind = option(request, 53).expect("a message type")[0];
    // DISCOVER is answered with OFFER, REQUEST with ACK.
    let reply = match kind {
        1 => 2,
        3 => 5,
        other => panic!("message type {other}"),
    };
    let mut message = vec![2, 1, 6, 0];
    message.extend(&request[4..8]);
    message.extend([0; 8]);
    message.extend(OFFERED);
    message.extend(SERVER);
    message.extend([0; 4]);
    message.extend(&request[28..44]);
    message.extend([0; 192]);
    message.extend([99, 130, 83, 99]);
    message.extend([53, 1, reply]);
    message.extend([54, 4]);
    message.extend(SERVER);
    message.extend([51, 4]);
    message.extend(lease.to_be_bytes());
    message.extend([1, 4, 255, 255, 255, 0]);
    message.extend([3, 4]);
    message.extend(SERVER);
    message.extend([6, 4, 10, 0, 2, 3, 255]);
    socket
        .send(&message, ([255, 255, 255, 255], 68).into(), None)
        .await
        .expect("sent");
}

fn option(message: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = message.get(240..)?;
    loop {
        let (&code, behind) = rest.split_first()?;
        if code == 0 {
            rest = behind;
            continue;
        }
        let (&length, behind) = behind.split_first()?;
        let (value, behind) = behind.split_at_checked(usize::from(length))?;
        if code == wanted {
            return Some(value);
        }
        rest = behind;
    }
}

fn world(loss: u32) -> (World, Stack, Stack) {
    let mut world = World::new(
        Link {
            delay: Duration::from_millis(1),
            loss,
            ..Link::default()
        },
        7,
    );
    let server = world.add(|options| {
        options.configuration.ipv4 = sprat_net::Ipv4::Static {
            address: SERVER.into(),
            prefix: 24,
            gateway: None,
        };
    });
    let client = world.add(|_| {});
    (world, server, client)
}

#[test]
fn an_address_a_gateway_and_a_name_server_come_by_dhcp() {
    let (mut world, server, client) = world(0);
    serve(&world.spawner(), &server, 3600);
    assert_eq!(client.lease().addresses, []);
    world.run(client.configured()).expect("configured");
    let lease = client.lease();
    assert_eq!(lease.addresses, [(OFFERED.into(), 24)]);
    assert_eq!(lease.name_servers, [std::net::IpAddr::from([10, 0, 2, 3])]);
    // Another network is reached by the gateway: the stack there refuses, which is an answer.
    let elsewhere = world.run(client.connect((SERVER, 9), sprat_net::TcpOptions::default()));
    assert_eq!(
        elsewhere.map(|result| result.err()),
        Some(Some(sprat_net::Error::Refused))
    );
}

#[test]
fn a_lease_comes_over_a_link_that_loses_frames() {
    let (mut world, server, client) = world(300);
    serve(&world.spawner(), &server, 3600);
    world.run(client.configured()).expect("configured");
    assert_eq!(client.lease().addresses, [(OFFERED.into(), 24)]);
}

#[test]
fn a_lease_that_nobody_renews_is_given_up() {
    let (mut world, server, client) = world(0);
    serve(&world.spawner(), &server, 60);
    world.run(client.configured()).expect("configured");
    world.pass(Duration::from_secs(600));
    assert_eq!(client.lease().addresses, [(OFFERED.into(), 24)], "renewed");
    world.link.loss = 1000;
    world.pass(Duration::from_secs(120));
    assert_eq!(client.lease().addresses, []);
}
