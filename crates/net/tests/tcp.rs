//! TCP over a simulated link.
#![allow(missing_docs)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use sprat_net::simulation::{Link, World};
use sprat_net::{Error, Stack, TcpOptions, TcpStream};

const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 80);

fn lan() -> Link {
    Link {
        delay: Duration::from_micros(50),
        ..Link::default()
    }
}

fn two(link: Link, seed: u8) -> (World, Stack, Stack) {
    let mut world = World::new(link, seed);
    let server = world.add_at(1);
    let client = world.add_at(2);
    (world, server, client)
}

async fn read_to_end(stream: &mut TcpStream) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    let mut part = [0; 1000];
    loop {
        match stream.read(&mut part).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&part[..count]),
        }
    }
}

/// Bytes whose place shows in their value.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from((at ^ at >> 8 ^ at >> 16) & 0xff).expect("a byte"))
        .collect()
}

/// Echoes every connection, each in a task of its own.
fn serve_echo(world: &World, server: &Stack, options: TcpOptions) {
    let listener = server.listen(SERVER, options).expect("a free port");
    let spawner = world.spawner();
    spawner.clone().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await;
            spawner.spawn(async move {
                let mut part = [0; 2000];
                while let Ok(count @ 1..) = stream.read(&mut part).await {
                    if stream.write_all(&part[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

#[test]
fn a_connection_opens_carries_and_closes() {
    let (mut world, server, client) = two(lan(), 1);
    serve_echo(&world, &server, TcpOptions::default());
    let answer = world.run(async {
        let mut stream = client.connect(SERVER, TcpOptions::default()).await?;
        assert_eq!(stream.peer_address(), Some(SERVER.into()));
        stream.write_all(b"hello").await?;
        stream.finish();
        read_to_end(&mut stream).await
    });
    assert_eq!(answer, Some(Ok(b"hello".to_vec())));
    assert_eq!(server.counters().accepted, 1);
    assert_eq!(client.counters().connected, 1);
    // TIME-WAIT is over after a while, and nothing is left but the listener.
    world.pass(Duration::from_secs(30));
    assert_eq!((server.sockets(), client.sockets()), (0, 0));
}

#[test]
fn a_port_without_listener_refuses_and_a_silent_host_times_out() {
    let (mut world, _server, client) = two(lan(), 1);
    let refused = world.run(client.connect(SERVER, TcpOptions::default()));
    assert_eq!(
        refused.map(|result| result.err()),
        Some(Some(Error::Refused))
    );
    let silent = world.run(client.connect(([10, 0, 0, 99], 80), TcpOptions::default()));
    assert_eq!(
        silent.map(|result| result.err()),
        Some(Some(Error::TimedOut))
    );
    let beyond = world.run(client.connect(([192, 0, 2, 1], 80), TcpOptions::default()));
    assert_ne!(beyond.map(|result| result.is_ok()), Some(true));
}

#[test]
fn bytes_arrive_whole_and_in_order_both_ways_over_a_link_that_loses_doubles_and_reorders() {
    for seed in 1..6 {
        let link = Link {
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(2),
            loss: 20,
            duplication: 10,
        };
        let (mut world, server, client) = two(link, seed);
        serve_echo(&world, &server, TcpOptions::bulk());
        let sent = pattern(300_000);
        let expected = sent.clone();
        let back = world.run(async move {
            let stream = client.connect(SERVER, TcpOptions::bulk()).await?;
            let (mut reader, mut writer) = stream.split();
            let write = async {
                writer.write_all(&sent).await?;
                writer.finish();
                Ok::<_, Error>(())
            };
            let read = async {
                let mut all = Vec::new();
                let mut part = [0; 5000];
                loop {
                    match reader.read(&mut part).await? {
                        0 => return Ok::<_, Error>(all),
                        count => all.extend_from_slice(&part[..count]),
                    }
                }
            };
            let (write, read) = both(write, read).await;
            write?;
            read
        });
        let back = back.expect("comes to an end").expect("not reset");
        assert!(back == expected, "seed {seed}: {} bytes", back.len());
    }
}

/// Waits for two futures at once.
async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    let (mut first, mut second) = (None, None);
    std::future::poll_fn(|context| {
        if first.is_none()
            && let std::task::Poll::Ready(value) = a.as_mut().poll(context)
        {
            first = Some(value);
        }
        if second.is_none()
            && let std::task::Poll::Ready(value) = b.as_mut().poll(context)
        {
            second = Some(value);
        }
        match (first.take(), second.take()) {
            (Some(a), Some(b)) => std::task::Poll::Ready((a, b)),
            (a, b) => {
                (first, second) = (a, b);
                std::task::Poll::Pending
            }
        }
    })
    .await
}

#[test]
fn one_side_may_be_done_while_the_other_goes_on() {
    let (mut world, server, client) = two(lan(), 1);
    let listener = server.listen(SERVER, TcpOptions::default()).expect("free");
    let heard = Rc::new(RefCell::new(Vec::new()));
    world.spawner().spawn({
        let heard = heard.clone();
        async move {
            let (mut stream, _) = listener.accept().await;
            let request = read_to_end(&mut stream).await.expect("not reset");
            heard.borrow_mut().extend(request);
            stream.write_all(&pattern(50_000)).await.expect("open");
        }
    });
    let answer = world.run(async {
        let mut stream = client.connect(SERVER, TcpOptions::default()).await?;
        stream.write_all(b"all of it").await?;
        stream.finish();
        assert_eq!(stream.write(b"more").await, Err(Error::Closed));
        read_to_end(&mut stream).await
    });
    assert_eq!(*heard.borrow(), b"all of it");
    assert!(answer == Some(Ok(pattern(50_000))));
}

#[test]
fn a_stream_dropped_with_unread_bytes_resets_its_peer() {
    let (mut world, server, client) = two(lan(), 1);
    let listener = server.listen(SERVER, TcpOptions::default()).expect("free");
    world.spawner().spawn(async move {
        let (mut stream, _) = listener.accept().await;
        stream.readable().await;
    });
    let end = world.run(async {
        let mut stream = client.connect(SERVER, TcpOptions::default()).await?;
        stream.write_all(b"unread").await?;
        read_to_end(&mut stream).await
    });
    assert_eq!(end, Some(Err(Error::Reset)));
    assert_eq!(client.counters().resets, 1);
}

#[test]
fn thousands_of_connections_are_open_at_once_and_each_gets_its_own_bytes() {
    const COUNT: usize = 3000;
    let mut world = World::new(lan(), 1);
    let server = world.add(|options| {
        options.connections = 4000;
        options.configuration.ipv4 = at(1);
    });
    let client = world.add(|options| {
        options.connections = 4000;
        options.configuration.ipv4 = at(2);
    });
    let small = TcpOptions {
        receive_buffer: 1024,
        send_buffer: 1024,
        backlog: 4000,
        half_open: 4000,
        ..TcpOptions::default()
    };
    serve_echo(&world, &server, small);
    let done = Rc::new(Cell::new(0));
    for number in 0..COUNT {
        let (client, done, spawner) = (client.clone(), done.clone(), world.spawner());
        spawner.spawn(async move {
            let mut stream = client.connect(SERVER, small).await.expect("room");
            // All are open before the first one speaks.
            client.sleep(Duration::from_secs(2)).await;
            let text = format!("connection {number}");
            stream.write_all(text.as_bytes()).await.expect("open");
            stream.finish();
            let answer = read_to_end(&mut stream).await.expect("not reset");
            assert_eq!(answer, text.as_bytes());
            done.set(done.get() + 1);
        });
    }
    world.pass(Duration::from_millis(1900));
    assert_eq!(server.sockets(), COUNT);
    world.pass(Duration::from_secs(60));
    assert_eq!(done.get(), COUNT);
    assert_eq!(server.sockets(), 0);
}

fn at(last: u8) -> sprat_net::Ipv4 {
    sprat_net::Ipv4::Static {
        address: [10, 0, 0, last].into(),
        prefix: 24,
        gateway: None,
    }
}

/// A SYN to the server from 10.0.0.2, from `port`, as RFC 9293 draws it.
fn syn(port: u16, source: u8) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(port.to_be_bytes());
    segment.extend(80u16.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    let (source, destination) = ([10, 0, 0, source], [10, 0, 0, 1]);
    let mut pseudo = Vec::new();
    pseudo.extend(source);
    pseudo.extend(destination);
    pseudo.extend([0, 6, 0, 20]);
    pseudo.extend(&segment);
    let sum = ones_complement(&pseudo).to_be_bytes();
    segment[16..18].copy_from_slice(&sum);
    let mut header = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    header.extend(source);
    header.extend(destination);
    let sum = ones_complement(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, source[3], 8, 0];
    frame.extend(header);
    frame.extend(segment);
    frame
}

/// RFC 1071.
fn ones_complement(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

#[test]
fn a_flood_of_syns_holds_no_more_than_the_half_open_limit_and_a_client_still_gets_in() {
    let (mut world, server, client) = two(lan(), 1);
    let options = TcpOptions {
        half_open: 64,
        ..TcpOptions::default()
    };
    serve_echo(&world, &server, options);
    for port in 1..=20_000u16 {
        world.inject(&syn(port, 77));
        if port % 100 == 0 {
            world.pass(Duration::from_millis(1));
            assert!(server.sockets() <= 64, "{} held", server.sockets());
        }
    }
    let counters = server.counters();
    let turned_away = counters.half_open_evicted + counters.half_open_full;
    assert_eq!(turned_away, 20_000 - 64);
    // Each place is free again after 10 of the 200 milliseconds.
    assert!(counters.half_open_evicted >= 18 * 64, "{counters:?}");
    let answer = world.run(async {
        let mut stream = client.connect(SERVER, TcpOptions::default()).await?;
        stream.write_all(b"still there?").await?;
        stream.finish();
        read_to_end(&mut stream).await
    });
    assert_eq!(answer, Some(Ok(b"still there?".to_vec())));
    // Nobody answered the others; they are not kept.
    world.pass(Duration::from_secs(60));
    assert_eq!(server.sockets(), 0);
}

#[test]
fn many_who_come_at_once_do_not_drive_each_other_out() {
    const COUNT: usize = 300;
    let (mut world, server, client) = two(lan(), 1);
    serve_echo(&world, &server, TcpOptions::default());
    let done = Rc::new(Cell::new(0));
    for _ in 0..COUNT {
        let (client, done, spawner) = (client.clone(), done.clone(), world.spawner());
        spawner.spawn(async move {
            let mut stream = client
                .connect(SERVER, TcpOptions::default())
                .await
                .expect("not reset");
            stream.write_all(b"served").await.expect("open");
            stream.finish();
            let answer = read_to_end(&mut stream).await.expect("not reset");
            assert_eq!(answer, b"served");
            done.set(done.get() + 1);
        });
    }
    world.pass(Duration::from_secs(60));
    assert_eq!(done.get(), COUNT);
    let counters = server.counters();
    assert!(counters.half_open_full > 0, "{counters:?}");
    assert_eq!(counters.half_open_evicted, 0);
}

#[test]
fn a_listener_that_is_not_served_holds_its_backlog_and_drops_what_comes_after() {
    let (mut world, server, client) = two(lan(), 1);
    let listener = server
        .listen(
            SERVER,
            TcpOptions {
                backlog: 3,
                ..TcpOptions::default()
            },
        )
        .expect("free");
    let open = Rc::new(Cell::new(0));
    for _ in 0..10 {
        let (client, open) = (client.clone(), open.clone());
        world.spawner().spawn(async move {
            if let Ok(stream) = client.connect(SERVER, TcpOptions::default()).await {
                open.set(open.get() + 1);
                client.sleep(Duration::from_secs(100)).await;
                drop(stream);
            }
        });
        world.pass(Duration::from_millis(1));
    }
    world.pass(Duration::from_secs(30));
    assert_eq!(open.get(), 3);
    assert!(server.counters().backlog_full >= 7);
    drop(listener);
    world.pass(Duration::from_secs(5));
    assert_eq!(server.sockets(), 0);
}

#[test]
fn a_full_table_gives_up_connections_that_only_wait_to_be_forgotten() {
    let mut world = World::new(lan(), 1);
    let server = world.add_at(1);
    let client = world.add(|options| {
        options.connections = 10;
        options.configuration.ipv4 = at(2);
    });
    serve_echo(&world, &server, TcpOptions::default());
    // Whoever closes first keeps TIME-WAIT: here the client.
    for _ in 0..50 {
        let answer = world.run(async {
            let mut stream = client.connect(SERVER, TcpOptions::default()).await?;
            stream.write_all(b"x").await?;
            stream.finish();
            read_to_end(&mut stream).await
        });
        assert_eq!(answer, Some(Ok(b"x".to_vec())));
    }
    assert!(client.sockets() <= 10);
    assert!(client.counters().time_wait_evicted >= 40);
}

#[test]
fn a_peer_that_vanishes_is_noticed_and_forgotten() {
    let (mut world, server, client) = two(lan(), 1);
    serve_echo(&world, &server, TcpOptions::default());
    let stream = world
        .run(client.connect(SERVER, TcpOptions::default()))
        .expect("answered")
        .expect("open");
    assert_eq!(server.sockets(), 1);
    world.link.loss = 1000;
    world.pass(Duration::from_secs(400));
    assert_eq!(server.sockets(), 0);
    drop(stream);
    world.pass(Duration::from_secs(100));
    assert_eq!(client.sockets(), 0);
}

#[test]
fn a_port_is_listened_at_once() {
    let (_world, server, _client) = two(lan(), 1);
    let options = TcpOptions::default();
    let first = server.listen(([0, 0, 0, 0], 80), options).expect("free");
    assert_eq!(server.listen(SERVER, options).err(), Some(Error::InUse));
    assert_eq!(
        server.listen(([0, 0, 0, 0], 0), options).err(),
        Some(Error::BadAddress)
    );
    drop(first);
    assert!(server.listen(SERVER, options).is_ok());
}
