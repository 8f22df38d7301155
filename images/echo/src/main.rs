//! Sends back what it gets on port 7 (RFC 862), over TCP and UDP, and says hello to a host first
//! where it is told to: everything of the network that a small service uses.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use core::net::Ipv4Addr;

use sprat::net::{Stack, TcpOptions, TcpStream, UdpOptions, UdpSocket};
use sprat::{Env, Error, Result, log, spawn};

sprat::parameters! {
    /// What echo takes.
    pub struct Options {
        /// Whom to say hello to over TCP, as HOST:PORT.
        greet: &'static str = "",
    }
}

/// The port for echoes.
const PORT: u16 = 7;

#[sprat::main(heap = 8 << 20)]
async fn main(mut env: Env, options: Options) -> Result<()> {
    let network = env.network("eth0")?;
    network.configured().await;
    if !options.greet.is_empty() {
        greet(&network, options.greet).await?;
    }
    let socket = network.bind_udp((Ipv4Addr::UNSPECIFIED, PORT), UdpOptions::default())?;
    spawn(echo_datagrams(socket)).detach();
    let listener = network.listen((Ipv4Addr::UNSPECIFIED, PORT), TcpOptions::default())?;
    log::info!("echoing on port {PORT}");
    loop {
        let (stream, peer) = listener.accept().await;
        // An address could be one of IPv6: to write those takes 5 KB.
        log::debug!("connection from port {}", peer.port());
        spawn(echo(stream)).detach();
    }
}

async fn greet(network: &Stack, whom: &str) -> Result<()> {
    let wrong = || Error::new("parameter 'greet': expected HOST:PORT");
    let (host, port) = whom.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let addresses = network.resolve(host).await?;
    let Some(address) = addresses.first() else {
        return Err(wrong());
    };
    let mut stream = network
        .connect((*address, port), TcpOptions::default())
        .await?;
    stream.write_all(b"hello\n").await?;
    stream.confirmed().await?;
    Ok(())
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 2048];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

async fn echo_datagrams(socket: UdpSocket) {
    let mut buffer = [0; 2048];
    while let Ok(datagram) = socket.receive(&mut buffer).await {
        let bytes = &buffer[..datagram.length];
        if let Err(error) = socket.send(bytes, datagram.from, datagram.to).await {
            log::debug!("cannot answer: {error}");
        }
    }
}
