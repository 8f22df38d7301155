//! What is written for embedded-io-async and edge-nal runs over these sockets unchanged: edge-http's
//! server and client, edge-ws' messages over a TCP stream, and edge-captive's name server over UDP.
#![allow(missing_docs)]

use std::fmt::{Debug, Display};
use std::net::SocketAddr;
use std::time::Duration;

use edge_http::io::client;
use edge_http::io::server::{Connection, Handler, handle_connection};
use edge_nal::{TcpBind as _, TcpSplit};
use edge_ws::FrameType;
use embedded_io_async::{Read, Write};
use sprat_net::simulation::{Link, World};
use sprat_net::{Error, Ipv4, Stack, TcpOptions};

/// edge-nal can give up what takes too long; nothing here does. `sprat` has a clock that goes.
struct Clock;

impl embassy_time_driver::Driver for Clock {
    fn now(&self) -> u64 {
        0
    }

    fn schedule_wake(&self, _: u64, _: &std::task::Waker) {
        panic!("no timer is expected");
    }
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock);

const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 80);

/// Two stacks on a link that loses every tenth frame or so.
fn two(seed: u8) -> (World, Stack, Stack) {
    let link = Link {
        delay: Duration::from_micros(200),
        loss: 100,
        ..Link::default()
    };
    let mut world = World::new(link, seed);
    let (server, client) = (world.add_at(1), world.add_at(2));
    (world, server, client)
}

/// A page that takes many segments.
fn page() -> String {
    "A sealed image holds what it needs and nothing else.\n".repeat(1000)
}

struct Pages;

impl Handler for Pages {
    type Error<E>
        = edge_http::io::Error<E>
    where
        E: Debug;

    async fn handle<T, const N: usize>(
        &self,
        _: impl Display + Copy,
        connection: &mut Connection<'_, T, N>,
    ) -> Result<(), Self::Error<T::Error>>
    where
        T: Read + Write + TcpSplit,
    {
        match connection.headers()?.path {
            "/" => {
                let head = [("Content-Type", "text/plain")];
                connection.initiate_response(200, Some("OK"), &head).await?;
                connection.write_all(page().as_bytes()).await
            }
            _ => connection.initiate_response(404, None, &[]).await,
        }
    }
}

#[test]
fn edge_http_serves_and_asks_over_these_sockets() {
    let (mut world, server, client) = two(2);
    world.spawner().spawn(async move {
        let listener = server.bind(SERVER.into()).await.expect("free");
        loop {
            let (_, stream) = edge_nal::TcpAccept::accept(&listener).await.expect("one");
            let mut buffer = [0; 4096];
            handle_connection::<_, _, 16>(stream, &mut buffer, None, 0, Pages).await;
        }
    });
    let got = world.run(async {
        let mut buffer = [0; 4096];
        let remote = SocketAddr::from(SERVER);
        let mut connection: client::Connection<'_, _, 16> =
            client::Connection::new(&mut buffer, &client, remote);
        let mut answers = Vec::new();
        // The second over the connection of the first.
        for path in ["/", "/none"] {
            connection
                .initiate_request(true, edge_http::Method::Get, path, &[("Host", "a")])
                .await?;
            connection.initiate_response().await?;
            let code = connection.headers()?.code;
            let mut body = Vec::new();
            let mut part = [0; 1500];
            loop {
                match connection.read(&mut part).await? {
                    0 => break,
                    count => body.extend_from_slice(&part[..count]),
                }
            }
            answers.push((code, String::from_utf8(body).expect("text")));
        }
        drop(connection);
        Ok::<_, edge_http::io::Error<Error>>(answers)
    });
    let answers = got.expect("ends").expect("answered");
    assert_eq!(answers, [(200, page()), (404, String::new())]);
}

#[test]
fn messages_of_edge_ws_cross_a_stream() {
    let (mut world, server, client) = two(3);
    world.spawner().spawn(async move {
        let listener = server.listen(SERVER, TcpOptions::default()).expect("free");
        let (mut stream, _) = listener.accept().await;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let (kind, length) = edge_ws::io::recv(&mut stream, &mut buffer)
                .await
                .expect("a message");
            edge_ws::io::send(&mut stream, kind, None, &buffer[..length])
                .await
                .expect("sent");
            if kind == FrameType::Close {
                break;
            }
        }
    });
    let answers = world.run(async {
        let options = TcpOptions::default();
        let mut stream = client.connect(SERVER, options).await.expect("a connection");
        let mut buffer = vec![0; 1 << 16];
        let mut answers = Vec::new();
        let page = page();
        for (kind, message) in [
            (FrameType::Text(false), "a"),
            (FrameType::Binary(false), &page),
            (FrameType::Ping, ""),
            (FrameType::Close, ""),
        ] {
            // Who asks masks what it says (RFC 6455, section 5.3).
            edge_ws::io::send(&mut stream, kind, Some(0x1234_5678), message.as_bytes())
                .await
                .expect("sent");
            let (same, length) = edge_ws::io::recv(&mut stream, &mut buffer)
                .await
                .expect("a message");
            let text = String::from_utf8(buffer[..length].to_vec()).expect("text");
            answers.push((same == kind, text == message));
        }
        answers
    });
    assert_eq!(answers.expect("ends"), [(true, true); 4]);
}

#[test]
fn the_name_server_of_edge_captive_answers_our_questions() {
    let link = Link::default();
    let mut world = World::new(link, 4);
    let server = world.add_at(1);
    let client = world.add(|options| {
        options.configuration.ipv4 = Ipv4::Static {
            address: [10, 0, 0, 2].into(),
            prefix: 24,
            gateway: None,
        };
        options.configuration.name_servers = vec![SERVER.0.into()];
    });
    world.spawner().spawn(async move {
        let (mut out, mut incoming) = ([0; 512], [0; 512]);
        let local = SocketAddr::from(([0, 0, 0, 0], 53));
        let address = [192, 0, 2, 7].into();
        let minute = Duration::from_secs(60);
        edge_captive::io::run(&server, local, &mut out, &mut incoming, address, minute)
            .await
            .expect("goes on");
    });
    let found = world.run(async {
        let host = "any.example.test";
        edge_nal::Dns::get_host_by_name(&client, host, edge_nal::AddrType::IPv4).await
    });
    assert_eq!(found.expect("ends"), Ok([192, 0, 2, 7].into()));
}
