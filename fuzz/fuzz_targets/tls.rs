//! Any bytes from the peer of a TLS connection, and genuine ones with a few changes: an error, never a
//! panic, a wait for nothing, or a byte that the peer did not send.
//!
//! The first byte of the input says which side is asked (bit 0), whether the rest are the peer's bytes
//! or changes to what a genuine peer sends (bit 1), and how many bytes come at a time. A change is a
//! place of two bytes, a kind and a value.
#![no_main]

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Read, Write};
use libfuzzer_sys::fuzz_target;
use sprat_tls::{Client, Environment, Server, TlsError, TlsStream};

const CERTIFICATE: &[u8] = include_bytes!("../identity/certificate.pem");
const KEY: &[u8] = include_bytes!("../identity/key.pem");

/// What each side sends once the handshake is over.
const MESSAGE: [u8; 5000] = [b'm'; 5000];

/// More than a side has to say to any peer.
const SAYS: usize = 16 << 10;

thread_local! {
    /// How many random bytes each side has had: the same ones in each run.
    static DRAWN: [Cell<u64>; 2] = const { [Cell::new(0), Cell::new(0)] };
}

/// The client (0) or the server (1), in 2030.
struct Side<const SIDE: usize>;

impl<const SIDE: usize> Environment for Side<SIDE> {
    fn fill(bytes: &mut [u8]) {
        DRAWN.with(|drawn| {
            for byte in bytes {
                let count = drawn[SIDE].get() + 1;
                drawn[SIDE].set(count);
                let mixed = (count + (SIDE as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                *byte = (mixed >> 56) as u8;
            }
        });
    }

    fn wall() -> i64 {
        1_893_456_000_000_000_000
    }
}

/// A stream of which so many bytes come at a time.
struct Wire<'b> {
    incoming: &'b [u8],
    piece: usize,
    /// Whether nothing comes after them.
    ended: bool,
    outgoing: Vec<u8>,
}

impl ErrorType for Wire<'_> {
    type Error = Infallible;
}

impl Read for Wire<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        if self.incoming.is_empty() && !self.ended {
            std::future::pending::<()>().await;
        }
        let count = buffer.len().min(self.piece).min(self.incoming.len());
        let (now, later) = self.incoming.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.incoming = later;
        Ok(count)
    }
}

impl Write for Wire<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

type Problem = TlsError<Infallible>;

/// What a side does with a connection: reads all there is, and says goodbye, before that if it is the
/// first to. (Who has said it must not be sent what is no record where rustls asserts what it thinks.)
async fn talk(mut stream: TlsStream<&mut Wire<'_>>, first: bool) -> Result<(), Problem> {
    stream.write_all(&MESSAGE).await?;
    if first {
        stream.close().await?;
    }
    let mut buffer = [0; 700];
    let mut read = 0;
    loop {
        match stream.read(&mut buffer).await? {
            0 => break,
            count => {
                let sent = MESSAGE.get(read..read + count);
                assert_eq!(sent, Some(&buffer[..count]), "nobody sent this");
                read += count;
            }
        }
    }
    assert_eq!(
        read,
        MESSAGE.len(),
        "the peer's goodbye came before its last byte"
    );
    if first { Ok(()) } else { stream.close().await }
}

/// Has a side talk to who sends these bytes, and be the first to say goodbye or not.
async fn side(server: bool, first: bool, wire: &mut Wire<'_>) -> Result<(), Problem> {
    DRAWN.with(|drawn| drawn[usize::from(server)].set(0));
    if server {
        let server = Server::new::<Side<1>>(CERTIFICATE, KEY).expect("they belong together");
        talk(server.accept(wire).await?, first).await
    } else {
        let client = Client::new::<Side<0>>(CERTIFICATE).expect("a certificate");
        talk(client.connect("service.test", wire).await?, first).await
    }
}

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What client and server say to each other where nobody interferes.
fn genuine() -> &'static [Vec<u8>; 2] {
    static GENUINE: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let mut said = [Vec::new(), Vec::new()];
        // Each says the same again to the same bytes: with more of them, it goes further.
        for turn in 0..8 {
            let server = turn % 2 == 1;
            let mut wire = Wire {
                incoming: &said[usize::from(!server)],
                piece: usize::MAX,
                ended: false,
                outgoing: Vec::new(),
            };
            let done = poll(side(server, !server, &mut wire));
            assert!(!matches!(done, Poll::Ready(Err(_))), "{done:?}");
            said[usize::from(server)] = wire.outgoing;
        }
        said
    })
}

/// The genuine bytes, changed.
fn changed(genuine: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut bytes = genuine.to_vec();
    for change in changes.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % (bytes.len() + 1);
        let value = change[3];
        match change[2] % 6 {
            0 if at < bytes.len() => bytes[at] ^= value,
            1 => bytes.insert(at, value),
            2 => drop(bytes.drain(at..bytes.len().min(at + usize::from(value)))),
            3 => bytes.truncate(at),
            // Once more, from there on.
            4 => bytes.extend_from_within(at..bytes.len().min(at + 16 * usize::from(value))),
            5 => bytes.extend_from_slice(change),
            _ => {}
        }
    }
    bytes
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    let server = first & 1 == 1;
    let peer = &genuine()[usize::from(!server)];
    let bytes = match first & 2 {
        0 => rest.to_vec(),
        _ => changed(peer, rest),
    };
    let mut wire = Wire {
        incoming: &bytes,
        piece: [usize::MAX, 1, 7, 1000][usize::from(first >> 2 & 3)],
        ended: true,
        outgoing: Vec::new(),
    };
    let Poll::Ready(result) = poll(side(server, false, &mut wire)) else {
        panic!("it waits, and nothing comes");
    };
    if bytes == *peer {
        assert!(result.is_ok(), "{result:?}");
    }
    assert!(wire.outgoing.len() < SAYS, "{} bytes", wire.outgoing.len());
});
