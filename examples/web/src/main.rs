//! A web server (HTTP/1.1, RFC 9110 and 9112) for the files of `site`, which are in the image.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod connection;
mod date;
mod request;
mod response;

use alloc::rc::Rc;
use core::net::Ipv4Addr;

use sprat::devices::Folder;
use sprat::metrics::{Counter, Gauge, counter, gauge};
use sprat::net::TcpOptions;
use sprat::{Env, Result, log, spawn};

const SITE: Folder = sprat::include_folder!("site");

const PORT: u16 = 80;

/// Connections at a time. Each holds at most some 40 KiB.
const CONNECTIONS: usize = 512;

/// What is counted.
struct Counters {
    requests: Counter,
    errors: Counter,
    refused: Counter,
    connections: Gauge,
}

#[sprat::main(heap = 32 << 20)]
async fn main(mut env: Env) -> Result<()> {
    let counters = Rc::new(Counters {
        requests: counter("http_requests_total", "Requests that were answered"),
        errors: counter("http_errors_total", "Answers with a status of 400 or above"),
        refused: counter("http_refused_total", "Connections that were turned away"),
        connections: gauge("http_connections", "Open connections"),
    });
    let network = env.network("eth0")?;
    network.configured().await;
    let sizes = TcpOptions {
        send_buffer: 16 << 10,
        // All of them may come at once.
        backlog: CONNECTIONS,
        half_open: CONNECTIONS,
        ..TcpOptions::default()
    };
    let listener = network.listen((Ipv4Addr::UNSPECIFIED, PORT), sizes)?;
    log::info!("serving {} files on port {PORT}", SITE.paths().count());
    loop {
        let (stream, peer) = listener.accept().await;
        if usize::try_from(counters.connections.value()).is_ok_and(|open| open >= CONNECTIONS) {
            counters.refused.increment();
            log::debug!("turned {peer} away: too many connections");
            stream.abort();
            continue;
        }
        let counters = counters.clone();
        spawn(async move {
            counters.connections.add(1);
            // A peer that breaks off has nothing to be told.
            let _ = connection::serve(stream, &SITE, &counters).await;
            counters.connections.add(-1);
        })
        .detach();
    }
}
