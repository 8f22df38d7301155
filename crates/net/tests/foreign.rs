//! What is written for embedded-io-async and edge-nal runs over these sockets unchanged: edge-http's
//! server and client.
#![allow(missing_docs)]

use std::fmt::{Debug, Display};
use std::net::SocketAddr;
use std::time::Duration;

// The clock that edge-nal wants a driver for comes with this crate.
use edge_http::io::client;
use edge_http::io::server::{Connection, Handler, handle_connection};
use edge_nal::{TcpBind as _, TcpSplit};
use embassy_time as _;
use embedded_io_async::{Read, Write};
use sprat_net::simulation::{Link, World};
use sprat_net::{Error, Stack};

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
