//! A name server that answers for one zone and nothing else, over UDP and TCP (RFC 1035, 6891,
//! 7766). The zone is a master file built into the image; `zone=FILE` names one that was granted.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod answer;
mod data;
mod denial;
mod digits;
mod kinds;
mod message;
mod names;
mod text;
mod zone;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use sprat::metrics::{Counter, Gauge, counter, gauge};
use sprat::net::{Stack, TcpOptions, TcpStream, UdpOptions, UdpSocket};
use sprat::time::timeout;
use sprat::{Env, Error, Result, log, spawn};

use answer::Transport;
use zone::Zone;

sprat::parameters! {
    /// What the name server takes.
    pub struct Options {
        /// A master file to serve instead of the one in the image.
        zone: &'static str = "",
    }
}

const PORT: u16 = 53;

/// Longest datagram that is read. Questions are short.
const DATAGRAM: usize = 1500;

/// Connections at a time.
const CONNECTIONS: i64 = 200;

/// How long a connection may be silent (RFC 7766, section 6.2.3).
const PATIENCE: Duration = Duration::from_secs(10);

/// What the server is made of, for all its tasks.
struct Server {
    zone: Zone,
    udp: Counter,
    tcp: Counter,
    /// Messages that get no answer, and connections that are turned away.
    refused: Counter,
    connections: Gauge,
}

#[sprat::main(takes("*": InputFile), heap = 16 << 20)]
async fn main(mut env: Env, options: Options) -> Result<()> {
    let zone = match options.zone {
        "" => Zone::parse(include_str!("../example.zone"), "example.zone"),
        name => {
            let text = core::str::from_utf8(env.file(name)?);
            let text = text.map_err(|_| Error::new("parameter 'zone': the file is not text"))?;
            Zone::parse(text, name)
        }
    }?;
    let server = Rc::new(Server {
        zone,
        udp: counter("dns_udp_questions_total", "Messages that came over UDP"),
        tcp: counter("dns_tcp_questions_total", "Messages that came over TCP"),
        refused: counter(
            "dns_refused_total",
            "Messages without an answer and connections turned away",
        ),
        connections: gauge("dns_connections", "Open TCP connections"),
    });
    let network = env.network("eth0")?;
    network.configured().await;
    serve(network, server).await
}

async fn serve(network: Stack, server: Rc<Server>) -> Result<()> {
    let sizes = UdpOptions {
        datagrams: 512,
        bytes: 256 << 10,
    };
    let socket = network.bind_udp((Ipv4Addr::UNSPECIFIED, PORT), sizes)?;
    let listener = network.listen((Ipv4Addr::UNSPECIFIED, PORT), TcpOptions::default())?;
    log::info!("answering for {} on port {PORT}", server.zone.origin());
    spawn(serve_datagrams(socket, server.clone())).detach();
    loop {
        let (stream, _) = listener.accept().await;
        if server.connections.value() >= CONNECTIONS {
            server.refused.increment();
            log::debug!("turned one away: too many connections");
            stream.abort();
            continue;
        }
        let server = server.clone();
        spawn(async move {
            server.connections.add(1);
            // A peer that breaks off has nothing to be told.
            let _ = serve_connection(stream, &server).await;
            server.connections.add(-1);
        })
        .detach();
    }
}

async fn serve_datagrams(socket: UdpSocket, server: Rc<Server>) {
    let mut question = [0; DATAGRAM];
    let mut answer = Vec::with_capacity(DATAGRAM);
    while let Ok(datagram) = socket.receive(&mut question).await {
        server.udp.increment();
        let question = &question[..datagram.length];
        if !answer::answer(&server.zone, question, Transport::Datagram, &mut answer) {
            server.refused.increment();
        } else if let Err(error) = socket.send(&answer, datagram.from, datagram.to).await {
            log::debug!("cannot answer: {error}");
        }
    }
}

/// Answers messages, each behind its length, until the peer has asked enough.
async fn serve_connection(mut stream: TcpStream, server: &Server) -> Result<()> {
    let mut question = Vec::new();
    let mut answer = Vec::new();
    let mut length = [0; 2];
    while timeout(PATIENCE, read_whole(&mut stream, &mut length)).await?? {
        question.resize(usize::from(u16::from_be_bytes(length)), 0);
        if !timeout(PATIENCE, read_whole(&mut stream, &mut question)).await?? {
            break;
        }
        server.tcp.increment();
        if !answer::answer(&server.zone, &question, Transport::Stream, &mut answer) {
            server.refused.increment();
            break;
        }
        // An answer is never longer than a stream's limit.
        let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
        let write = async {
            stream.write_all(&length.to_be_bytes()).await?;
            stream.write_all(&answer).await
        };
        timeout(PATIENCE, write).await??;
    }
    Ok(())
}

/// Fills `bytes`; false where the peer ends before.
async fn read_whole(stream: &mut TcpStream, bytes: &mut [u8]) -> Result<bool> {
    let mut filled = 0;
    while filled < bytes.len() {
        match stream.read(&mut bytes[filled..]).await? {
            0 => return Ok(false),
            count => filled += count,
        }
    }
    Ok(true)
}
