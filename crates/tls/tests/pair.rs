//! A server and a client of ours, over a pipe in memory, and what strangers put into it.
#![allow(missing_docs)]

mod support;

use std::pin::pin;

use embedded_io_async::{Read as _, Write as _};
use sprat_tls::{Client, Problem, Server, SetupError, TlsError, TlsStream};
use support::{
    ED25519, End, Gone, Here, Identity, Later, P256, P256_OF_ANOTHER, RSA, join, pipe, poll,
};

/// A connection, both ends.
fn connected(identity: &Identity, room: usize) -> (TlsStream<End>, TlsStream<End>) {
    let (near, far) = pipe(room);
    let (server, client) = (identity.server(), identity.client());
    let (served, connected) = join(server.accept(near), client.connect("service.test", far));
    (served.expect("accepted"), connected.expect("connected"))
}

async fn read_all(stream: &mut TlsStream<End>) -> Result<Vec<u8>, TlsError<Gone>> {
    let (mut all, mut piece) = (Vec::new(), [0; 1000]);
    loop {
        match stream.read(&mut piece).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&piece[..count]),
        }
    }
}

#[test]
fn bytes_of_any_length_arrive_and_the_end_is_told() {
    let long: Vec<u8> = (0..100_000_u32)
        .map(|n| n.to_le_bytes()[n as usize % 3])
        .collect();
    for kind in [P256, ED25519] {
        let Some(identity) = Identity::new(kind) else {
            return;
        };
        let (mut server, mut client) = connected(&identity, 700);
        let asks = async {
            client.write_all(&long).await.expect("sent");
            client.close().await.expect("told");
            read_all(&mut client).await.expect("an answer")
        };
        let answers = async {
            let question = read_all(&mut server).await.expect("a question");
            server.write_all(&question).await.expect("sent");
            server.close().await.expect("told");
        };
        let (echo, ()) = join(asks, answers);
        assert!(echo == long);
    }
}

#[test]
fn a_pipe_that_ends_without_a_farewell_was_cut() {
    let Some(identity) = Identity::new(P256) else {
        return;
    };
    let (mut server, client) = connected(&identity, 4096);
    drop(client);
    let mut reading = pin!(read_all(&mut server));
    assert!(matches!(
        poll(reading.as_mut()),
        std::task::Poll::Ready(Err(TlsError::CutOff))
    ));
}

#[test]
fn a_byte_changed_on_the_way_ends_the_connection_with_an_alert() {
    let Some(identity) = Identity::new(P256) else {
        return;
    };
    let (mut server, mut client) = connected(&identity, 4096);
    let way = client.stream().outgoing.clone();
    let (sent, ()) = join(client.write_all(b"a message"), async {});
    sent.expect("sent");
    let last = way.borrow().bytes.len() - 1;
    way.borrow_mut().bytes[last] ^= 1;
    let (read, ()) = join(read_all(&mut server), async {});
    assert_eq!(read, Err(TlsError::Protocol(Problem::Broken)));
    // It stays so, whatever comes.
    let (again, ()) = join(read_all(&mut server), async {});
    assert_eq!(again, read);
    let (told, ()) = join(read_all(&mut client), async {});
    assert_eq!(told, Err(TlsError::Protocol(Problem::Alert)));
}

#[test]
fn a_write_that_was_given_up_breaks_no_record() {
    let Some(identity) = Identity::new(P256) else {
        return;
    };
    let (mut server, mut client) = connected(&identity, 500);
    let message = vec![7; 2000];
    // Its record is longer than the pipe: the rest waits.
    assert!(poll(pin!(client.write_all(&message))).is_pending());
    let sends = async {
        client.write_all(b"!").await.expect("sent");
        client.close().await.expect("told");
    };
    let (read, ()) = join(read_all(&mut server), sends);
    let read = read.expect("whole records");
    assert_eq!(read[..2000], message);
    assert_eq!(&read[2000..], b"!");
}

#[test]
fn a_read_that_was_given_up_loses_nothing() {
    let Some(identity) = Identity::new(P256) else {
        return;
    };
    let (mut server, mut client) = connected(&identity, 500);
    let message = [9; 2000];
    let mut writing = pin!(client.write_all(&message));
    assert!(poll(writing.as_mut()).is_pending());
    let mut buffer = [0; 2000];
    // Part of a record is there, and is taken out of the pipe.
    assert!(poll(pin!(server.read(&mut buffer))).is_pending());
    let (wrote, read) = join(writing, server.read_exact(&mut buffer));
    wrote.expect("sent");
    read.expect("all of it");
    assert_eq!(buffer, message);
}

/// What a server makes of these bytes when nothing follows, and how many it sends back.
fn accept(bytes: &[u8]) -> Option<(TlsError<Gone>, usize)> {
    let identity = Identity::new(P256)?;
    let (near, mut far) = pipe(1 << 20);
    let back = far.incoming.clone();
    let sends = async {
        far.write_all(bytes).await.expect("room");
        drop(far);
    };
    let (accepted, ()) = join(async { identity.server().accept(near).await }, sends);
    let length = back.borrow().bytes.len();
    Some((accepted.err().expect("no handshake"), length))
}

#[test]
fn what_is_not_tls_gets_an_alert_and_nothing_more() {
    // An alert is seven bytes: a record's head of five and two of its own (RFC 8446, section 6).
    for (bytes, error, answer) in [
        (
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            TlsError::Protocol(Problem::NotTls),
            7,
        ),
        (&[0; 100], TlsError::Protocol(Problem::NotTls), 7),
        // A handshake that ends after its head, and none at all.
        (b"\x16\x03\x01\x02\x00\x01", TlsError::CutOff, 0),
        (b"", TlsError::CutOff, 0),
        // A hello that is none.
        (
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff",
            TlsError::Protocol(Problem::Broken),
            7,
        ),
    ] {
        let Some(outcome) = accept(bytes) else {
            return;
        };
        assert_eq!(outcome, (error, answer), "{bytes:?}");
    }
}

#[test]
fn a_hello_without_end_is_held_to_one_record() {
    // A hello of the greatest length, in records of the greatest length.
    let mut bytes = Vec::new();
    for number in 0..8 {
        bytes.extend([22, 3, 1, 0x40, 0]);
        let head: &[u8] = if number == 0 {
            &[1, 0, 0xff, 0xff]
        } else {
            &[]
        };
        bytes.extend(head);
        bytes.extend(vec![0; (1 << 14) - head.len()]);
    }
    let Some((error, _)) = accept(&bytes) else {
        return;
    };
    assert_eq!(error, TlsError::Protocol(Problem::TooLong));
}

#[test]
fn a_client_accepts_nobody_but_whom_it_was_told_to() {
    let (Some(identity), Some(stranger)) = (Identity::new(P256), Identity::new(P256_OF_ANOTHER))
    else {
        return;
    };
    let later = Client::new::<Later>(&identity.certificate()).expect("a certificate");
    for (client, name, problem) in [
        (identity.client(), "other.test", Problem::WrongName),
        (identity.client(), "127.0.0.2", Problem::WrongName),
        (stranger.client(), "service.test", Problem::UnknownIssuer),
        (later, "service.test", Problem::NotValidNow),
    ] {
        let (near, far) = pipe(4096);
        let server = identity.server();
        let (served, connected) = join(server.accept(near), client.connect(name, far));
        assert_eq!(connected.err(), Some(TlsError::Protocol(problem)), "{name}");
        assert!(served.is_err(), "{name}");
    }
    let (_near, far) = pipe(4096);
    let client = identity.client();
    let (nowhere, ()) = join(client.connect("not a name", far), async {});
    assert_eq!(nowhere.err(), Some(TlsError::Protocol(Problem::BadName)));
}

#[test]
fn files_that_will_not_do_are_refused_with_the_reason() {
    let (Some(one), Some(other), Some(rsa)) =
        (Identity::new(P256), Identity::new(P256), Identity::new(RSA))
    else {
        return;
    };
    let (certificate, key) = (one.certificate(), one.key());
    let half = &certificate[..certificate.len() / 2];
    for (certificate, key, error) in [
        (&b""[..], &key[..], SetupError::NoCertificate),
        (&key, &key, SetupError::NoCertificate),
        (half, &key, SetupError::NotPem),
        (&certificate, b"", SetupError::NoKey),
        (&certificate, &certificate, SetupError::NoKey),
        (&certificate, &other.key(), SetupError::KeyOfAnother),
        (&rsa.certificate(), &rsa.key(), SetupError::KeyKind),
    ] {
        assert_eq!(Server::new::<Here>(certificate, key).err(), Some(error));
    }
    assert_eq!(
        Client::new::<Here>(b"").err(),
        Some(SetupError::NoCertificate)
    );
    let no_certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(
        Client::new::<Here>(no_certificate).err(),
        Some(SetupError::Certificate)
    );
}
