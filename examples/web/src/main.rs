//! A web server (HTTP/1.1, RFC 9110 and 9112) for the files of `site`, which are in the image.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod connection;
mod date;
mod request;
mod response;
#[cfg(feature = "tls")]
mod secure;

use alloc::rc::Rc;
use core::net::{Ipv4Addr, SocketAddr};

use sprat::devices::Folder;
use sprat::metrics::{Counter, Gauge, counter, gauge};
use sprat::net::{TcpListener, TcpOptions, TcpStream};
use sprat::{Env, Result, log, spawn};

sprat::parameters! {
    /// What the web server takes.
    pub struct Options {
        /// A granted file: the certificate to serve HTTPS with, in PEM.
        certificate: &'static str = "",
        /// A granted file: the key of the certificate.
        key: &'static str = "",
    }
}

const SITE: Folder = sprat::include_folder!("site");

const PORT: u16 = 80;

/// Connections at a time. Each holds at most some 40 KiB, and 50 more where it is encrypted.
const CONNECTIONS: usize = 512;

const HEAP: u64 = if cfg!(feature = "tls") { 64 } else { 32 } << 20;

/// What all connections share: the date, and what is counted.
struct Shared {
    date: date::Date,
    requests: Counter,
    errors: Counter,
    refused: Counter,
    #[cfg(feature = "tls")]
    handshakes: Counter,
    #[cfg(feature = "tls")]
    failed_handshakes: Counter,
    connections: Gauge,
}

#[sprat::main(takes("*": InputFile), heap = HEAP)]
async fn main(mut env: Env, options: Options) -> Result<()> {
    let shared = Rc::new(Shared {
        date: date::Date::default(),
        requests: counter("http_requests_total", "Requests that were answered"),
        errors: counter("http_errors_total", "Answers with a status of 400 or above"),
        refused: counter("http_refused_total", "Connections that were turned away"),
        #[cfg(feature = "tls")]
        handshakes: counter("tls_handshakes_total", "Connections that were encrypted"),
        #[cfg(feature = "tls")]
        failed_handshakes: counter(
            "tls_failures_total",
            "Connections that ended, or were ended, before they were encrypted",
        ),
        connections: gauge("http_connections", "Open connections"),
    });
    let network = env.network("eth0")?;
    network.configured().await;
    let listener = network.listen((Ipv4Addr::UNSPECIFIED, PORT), sizes())?;
    log::info!("serving {} files on port {PORT}", SITE.paths().count());
    #[cfg(feature = "tls")]
    secure::begin(&env, &options, &network, &shared)?;
    #[cfg(not(feature = "tls"))]
    if !options.certificate.is_empty() || !options.key.is_empty() {
        return Err(sprat::Error::new(
            "parameters 'certificate', 'key': this image carries no TLS; the feature tls builds one that does",
        ));
    }
    loop {
        let (stream, _, open) = shared.admit(&listener).await;
        let shared = shared.clone();
        spawn(async move {
            let _open = open;
            // A peer that breaks off has nothing to be told.
            let _ = connection::serve(stream, &SITE, &shared).await;
        })
        .detach();
    }
}

fn sizes() -> TcpOptions {
    TcpOptions {
        send_buffer: 16 << 10,
        // All of them may come at once.
        backlog: CONNECTIONS,
        half_open: CONNECTIONS,
        ..TcpOptions::default()
    }
}

/// A connection that counts as open, while this is there.
struct Open(Rc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.add(-1);
    }
}

impl Shared {
    /// Waits for a connection there is room for; others are turned away.
    async fn admit(self: &Rc<Self>, listener: &TcpListener) -> (TcpStream, SocketAddr, Open) {
        loop {
            let (stream, peer) = listener.accept().await;
            if usize::try_from(self.connections.value()).is_ok_and(|open| open < CONNECTIONS) {
                self.connections.add(1);
                return (stream, peer, Open(self.clone()));
            }
            self.refused.increment();
            log::debug!("turned {peer} away: too many connections");
            stream.abort();
        }
    }
}
