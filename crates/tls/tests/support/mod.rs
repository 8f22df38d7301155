//! What the tests share: an environment, a pipe, certificates that `openssl` makes.
#![allow(dead_code, unreachable_pub)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::future::{Future, poll_fn};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::Command;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{SystemTime, UNIX_EPOCH};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use sprat_tls::{Client, Environment, Server};
use tempfile::TempDir;

/// This machine.
pub struct Here;

impl Environment for Here {
    fn fill(bytes: &mut [u8]) {
        let mut random = File::open("/dev/urandom").expect("random numbers");
        random.read_exact(bytes).expect("as many as wanted");
    }

    fn wall() -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        i64::try_from(now.expect("after 1970").as_nanos()).expect("before 2262")
    }
}

/// The same in a hundred years.
pub struct Later;

impl Environment for Later {
    fn fill(bytes: &mut [u8]) {
        Here::fill(bytes);
    }

    fn wall() -> i64 {
        Here::wall() + 100 * 365 * 86_400 * 1_000_000_000
    }
}

/// A certificate for `service.test` and 127.0.0.1 that vouches for itself, and its key.
pub struct Identity {
    folder: TempDir,
}

/// Kinds of keys, as `openssl req -newkey` has them.
pub const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
pub const P256_OF_ANOTHER: &[&str] = &[
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-subj",
    "/CN=another.test",
];
pub const P384: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
pub const ED25519: &[&str] = &["ed25519"];
pub const RSA: &[&str] = &["rsa:2048"];

impl Identity {
    /// None where there is no `openssl`.
    pub fn new(kind: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Command::new("openssl")
            .current_dir(folder.path())
            .args([
                "req",
                "-x509",
                "-nodes",
                "-days",
                "30",
                "-subj",
                "/CN=service.test",
            ])
            .args(["-newkey"])
            .args(kind)
            .args(["-keyout", "key.pem", "-out", "certificate.pem", "-addext"])
            .arg("subjectAltName=DNS:service.test,IP:127.0.0.1")
            // One that is an authority is not accepted as a server's.
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .output();
        let Ok(made) = made else {
            eprintln!("skipped: needs openssl");
            return None;
        };
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        Some(Self { folder })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn certificate(&self) -> Vec<u8> {
        fs::read(self.path().join("certificate.pem")).expect("it was made")
    }

    pub fn key(&self) -> Vec<u8> {
        fs::read(self.path().join("key.pem")).expect("it was made")
    }

    pub fn server(&self) -> Server {
        Server::new::<Here>(&self.certificate(), &self.key()).expect("they belong together")
    }

    pub fn client(&self) -> Client {
        Client::new::<Here>(&self.certificate()).expect("a certificate")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("gone")
    }
}

impl std::error::Error for Gone {}

impl embedded_io_async::Error for Gone {
    fn kind(&self) -> ErrorKind {
        ErrorKind::ConnectionReset
    }
}

/// Bytes on their way in one direction.
#[derive(Default)]
pub struct Way {
    pub bytes: VecDeque<u8>,
    pub ended: bool,
}

/// One end of a pipe that holds a few bytes in each direction.
pub struct End {
    pub incoming: Rc<RefCell<Way>>,
    pub outgoing: Rc<RefCell<Way>>,
    room: usize,
}

/// A pipe that holds so many bytes in each direction.
pub fn pipe(room: usize) -> (End, End) {
    let (there, back) = (Rc::<RefCell<Way>>::default(), Rc::<RefCell<Way>>::default());
    let one = End {
        incoming: back.clone(),
        outgoing: there.clone(),
        room,
    };
    let other = End {
        incoming: there,
        outgoing: back,
        room,
    };
    (one, other)
}

impl Drop for End {
    fn drop(&mut self) {
        self.outgoing.borrow_mut().ended = true;
    }
}

impl ErrorType for End {
    type Error = Gone;
}

impl Read for End {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Gone> {
        poll_fn(|_| {
            let mut way = self.incoming.borrow_mut();
            if way.bytes.is_empty() && !way.ended {
                return Poll::Pending;
            }
            Poll::Ready(std::io::Read::read(&mut way.bytes, buffer).map_err(|_| Gone))
        })
        .await
    }
}

impl Write for End {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Gone> {
        poll_fn(|_| {
            let mut way = self.outgoing.borrow_mut();
            let count = bytes.len().min(self.room - way.bytes.len());
            if count == 0 {
                return Poll::Pending;
            }
            way.bytes.extend(&bytes[..count]);
            Poll::Ready(Ok(count))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        Ok(())
    }
}

/// Whether a future ends when it is polled once.
pub fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs two futures in turn until both have ended.
pub fn join<A: Future, B: Future>(one: A, other: B) -> (A::Output, B::Output) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    for _ in 0..1_000_000 {
        if first.is_none()
            && let Poll::Ready(output) = poll(one.as_mut())
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = poll(other.as_mut())
        {
            second = Some(output);
        }
        if first.is_some() && second.is_some() {
            break;
        }
    }
    let stuck = "both wait for each other";
    (first.expect(stuck), second.expect(stuck))
}

/// Runs a future that waits for nothing but calls that block.
pub fn run<F: Future>(future: F) -> F::Output {
    match poll(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for something"),
    }
}

/// A socket of this machine, whose calls block.
pub struct Socket(pub TcpStream);

impl ErrorType for Socket {
    type Error = ErrorKind;
}

impl Read for Socket {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(buffer).map_err(|_| ErrorKind::Other)
    }
}

impl Write for Socket {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(bytes).map_err(|_| ErrorKind::Other)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
