//! Resolving names over a simulated link, against a server that answers what RFC 1035 asks for.
#![allow(missing_docs)]

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use sprat_net::dns::{Header, Kind, Name, Question, Reader, flags, response};
use sprat_net::simulation::{Link, World};
use sprat_net::{Error, Ipv4, Stack, TcpOptions, UdpOptions};

const SERVER: [u8; 4] = [10, 0, 0, 53];

fn world(search: &[&str]) -> (World, Stack, Stack) {
    let mut world = World::new(
        Link {
            delay: Duration::from_millis(5),
            ..Link::default()
        },
        1,
    );
    let server = world.add_at(53);
    let client = world.add(|options| {
        options.configuration.ipv4 = Ipv4::Static {
            address: [10, 0, 0, 2].into(),
            prefix: 24,
            gateway: None,
        };
        options.configuration.name_servers = vec![SERVER.into()];
        options.configuration.search = search.iter().map(|zone| (*zone).into()).collect();
    });
    (world, server, client)
}

/// What a server answers: its flags, and records as they travel behind the question.
type Zone = Rc<dyn Fn(&Question) -> (u16, Vec<Vec<u8>>)>;

fn record(name: &str, kind: Kind, lifetime: u32, data: &[u8]) -> Vec<u8> {
    let name: Name = name.parse().expect("a name");
    let mut record = name.as_bytes().to_vec();
    record.extend(kind.0.to_be_bytes());
    record.extend(1u16.to_be_bytes());
    record.extend(lifetime.to_be_bytes());
    record.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
    record.extend(data);
    record
}

fn answer(message: &[u8], zone: &Zone) -> (Question, Vec<u8>) {
    let (header, mut reader) = Reader::new(message).expect("a header");
    let question = reader.question().expect("a question");
    let (bits, records) = zone(&question);
    let soa = u16::from(bits & 15 == response::NO_SUCH_NAME);
    let count = u16::try_from(records.len()).expect("few");
    let mut out = Header {
        id: header.id,
        flags: flags::RESPONSE | bits,
        counts: [1, count - soa, soa, 0],
    }
    .to_bytes()
    .to_vec();
    question.write(&mut out);
    records.iter().for_each(|record| out.extend(record));
    (question, out)
}

/// Answers over UDP with `zone` and over TCP with `long`; the names asked for.
fn serve(world: &World, server: &Stack, zone: Zone, long: Zone) -> Rc<RefCell<Vec<String>>> {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let socket = server
        .bind_udp(([0, 0, 0, 0], 53), UdpOptions::default())
        .expect("free");
    let seen = asked.clone();
    world.spawner().spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let question = socket.receive(&mut buffer).await.expect("open");
            let (name, message) = answer(&buffer[..question.length], &zone);
            seen.borrow_mut().push(name.name.to_string());
            socket
                .send(&message, question.from, None)
                .await
                .expect("sent");
        }
    });
    let listener = server
        .listen((SERVER, 53), TcpOptions::default())
        .expect("free");
    let seen = asked.clone();
    world.spawner().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await;
            let mut buffer = [0; 600];
            let mut filled = 0;
            while filled < 2 || filled < 2 + usize::from(u16::from_be_bytes([buffer[0], buffer[1]]))
            {
                filled += stream.read(&mut buffer[filled..]).await.expect("open");
            }
            let (name, message) = answer(&buffer[2..filled], &long);
            seen.borrow_mut().push(format!("tcp {}", name.name));
            let length = u16::try_from(message.len()).expect("short").to_be_bytes();
            stream.write_all(&length).await.expect("open");
            stream.write_all(&message).await.expect("open");
        }
    });
    asked
}

fn nothing() -> Zone {
    Rc::new(|_| (response::REFUSED, vec![]))
}

fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

#[test]
fn a_name_is_asked_for_once_while_its_answer_holds() {
    let (mut world, server, client) = world(&[]);
    let zone: Zone = Rc::new(|_| {
        (
            0,
            vec![record("www.example.", Kind::A, 60, &[192, 0, 2, 1])],
        )
    });
    let asked = serve(&world, &server, zone, nothing());
    for _ in 0..3 {
        assert_eq!(
            world.run(client.resolve("WWW.example")),
            Some(Ok(vec![address(1)]))
        );
    }
    assert_eq!(*asked.borrow(), ["www.example."]);
    assert_eq!(client.counters().name_cache_hits, 2);
    world.pass(Duration::from_secs(61));
    assert!(world.run(client.resolve("www.example")).is_some());
    assert_eq!(asked.borrow().len(), 2);
}

#[test]
fn an_address_needs_no_server() {
    let (mut world, _, client) = world(&[]);
    assert_eq!(
        world.run(client.resolve("192.0.2.7")),
        Some(Ok(vec![address(7)]))
    );
    assert_eq!(world.run(client.resolve("a..b")), Some(Err(Error::BadName)));
}

#[test]
fn aliases_lead_to_the_name_that_has_addresses() {
    let (mut world, server, client) = world(&[]);
    let zone: Zone = Rc::new(|_| {
        let target: Name = "host.example".parse().expect("a name");
        (
            0,
            vec![
                record("host.example.", Kind::A, 60, &[192, 0, 2, 1]),
                record("stranger.example.", Kind::A, 60, &[192, 0, 2, 9]),
                record("www.example.", Kind::CNAME, 60, target.as_bytes()),
            ],
        )
    });
    serve(&world, &server, zone, nothing());
    assert_eq!(
        world.run(client.resolve("www.example")),
        Some(Ok(vec![address(1)]))
    );
}

#[test]
fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let (mut world, server, client) = world(&[]);
    let short: Zone = Rc::new(|_| (flags::TRUNCATED, vec![]));
    let long: Zone = Rc::new(|_| {
        let records =
            (1..=100).map(|last| record("many.example.", Kind::A, 60, &[192, 0, 2, last]));
        (0, records.collect())
    });
    let asked = serve(&world, &server, short, long);
    let found = world.run(client.resolve("many.example"));
    assert_eq!(found, Some(Ok((1..=100).map(address).collect())));
    assert_eq!(*asked.borrow(), ["many.example.", "tcp many.example."]);
}

#[test]
fn a_name_without_a_dot_is_looked_for_in_the_search_list_first() {
    let (mut world, server, client) = world(&["one.example", "two.example"]);
    let zone: Zone = Rc::new(|question| match question.name.to_string().as_str() {
        "host.two.example." => (
            0,
            vec![record("host.two.example", Kind::A, 9, &[192, 0, 2, 2])],
        ),
        _ => (
            response::NO_SUCH_NAME,
            vec![record("example", Kind::SOA, 300, &[0; 22])],
        ),
    });
    let asked = serve(&world, &server, zone, nothing());
    assert_eq!(
        world.run(client.resolve("host")),
        Some(Ok(vec![address(2)]))
    );
    assert_eq!(*asked.borrow(), ["host.one.example.", "host.two.example."]);
    asked.borrow_mut().clear();
    assert_eq!(
        world.run(client.resolve("no.such")),
        Some(Err(Error::NoSuchName))
    );
    assert_eq!(
        *asked.borrow(),
        ["no.such.", "no.such.one.example.", "no.such.two.example."]
    );
}

#[test]
fn that_a_name_does_not_exist_is_remembered_as_long_as_its_zone_says() {
    let (mut world, server, client) = world(&[]);
    let mut soa = vec![0; 22];
    soa[18..].copy_from_slice(&100u32.to_be_bytes());
    let zone: Zone = Rc::new(move |_| {
        (
            response::NO_SUCH_NAME,
            vec![record("example", Kind::SOA, 3600, &soa)],
        )
    });
    let asked = serve(&world, &server, zone, nothing());
    for _ in 0..2 {
        assert_eq!(
            world.run(client.resolve("no.example")),
            Some(Err(Error::NoSuchName))
        );
    }
    assert_eq!(asked.borrow().len(), 1);
    world.pass(Duration::from_secs(101));
    assert!(world.run(client.resolve("no.example")).is_some());
    assert_eq!(asked.borrow().len(), 2);
}

#[test]
fn questions_are_repeated_over_a_link_that_loses_half_of_them() {
    let (mut world, server, client) = world(&[]);
    let zone: Zone = Rc::new(|_| {
        (
            0,
            vec![record("www.example.", Kind::A, 60, &[192, 0, 2, 1])],
        )
    });
    serve(&world, &server, zone, nothing());
    // The first answer makes both sides know where the other is.
    assert!(world.run(client.resolve("www.example")).is_some());
    world.pass(Duration::from_secs(30));
    world.pass(Duration::from_secs(31));
    world.link.loss = 300;
    assert_eq!(
        world.run(client.resolve("www.example")),
        Some(Ok(vec![address(1)]))
    );
}

#[test]
fn a_server_that_is_silent_or_refuses_fails_in_bounded_time() {
    let (mut world, server, client) = world(&[]);
    serve(&world, &server, nothing(), nothing());
    assert_eq!(
        world.run(client.resolve("www.example")),
        Some(Err(Error::NoServer))
    );
    world.link.loss = 1000;
    let start = world.now();
    assert_eq!(
        world.run(client.resolve("www.example")),
        Some(Err(Error::NoServer))
    );
    assert!(world.now() - start < 10_000_000_000);
}
