//! The traits of edge-nal, so that what is written for those runs over this stack: servers accept
//! and clients connect without knowing whose sockets they are.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use edge_nal::{
    AddrType, Close, Dns, MulticastV4, MulticastV6, Readable, TcpAccept, TcpBind, TcpConnect,
    TcpShutdown, TcpSplit, UdpBind, UdpReceive, UdpSend, UdpSplit, UdpSplitMulticast,
};

use crate::{
    Error, Stack, TcpListener, TcpOptions, TcpReader, TcpStream, TcpWriter, UdpOptions, UdpSocket,
};

impl TcpConnect for Stack {
    type Error = Error;
    type Socket<'a> = TcpStream;

    async fn connect(&self, remote: SocketAddr) -> Result<TcpStream, Error> {
        Self::connect(self, remote, TcpOptions::default()).await
    }
}

impl TcpBind for Stack {
    type Error = Error;
    type Accept<'a> = TcpListener;

    async fn bind(&self, local: SocketAddr) -> Result<TcpListener, Error> {
        self.listen(local, TcpOptions::default())
    }
}

impl TcpAccept for TcpListener {
    type Error = Error;
    type Socket<'a> = TcpStream;

    async fn accept(&self) -> Result<(SocketAddr, TcpStream), Error> {
        let (stream, peer) = Self::accept(self).await;
        Ok((peer, stream))
    }
}

impl TcpSplit for TcpStream {
    type Read<'a> = TcpReader;
    type Write<'a> = TcpWriter;

    fn split(&mut self) -> (TcpReader, TcpWriter) {
        self.halves()
    }
}

impl Readable for TcpStream {
    async fn readable(&mut self) -> Result<(), Error> {
        Self::readable(self).await;
        Ok(())
    }
}

impl Readable for TcpReader {
    async fn readable(&mut self) -> Result<(), Error> {
        Self::readable(self).await;
        Ok(())
    }
}

impl TcpShutdown for TcpStream {
    async fn close(&mut self, what: Close) -> Result<(), Error> {
        if what != Close::Read {
            self.finish();
            self.confirmed().await?;
        }
        if what != Close::Write {
            let mut rest = [0; 128];
            while self.read(&mut rest).await? > 0 {}
        }
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), Error> {
        self.reset();
        Ok(())
    }
}

impl UdpBind for Stack {
    type Error = Error;
    type Socket<'a> = UdpSocket;

    async fn bind(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        self.bind_udp(local, UdpOptions::default())
    }
}

impl UdpReceive for UdpSocket {
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let datagram = Self::receive(self, buffer).await?;
        Ok((datagram.length, datagram.from))
    }
}

impl UdpSend for UdpSocket {
    async fn send(&mut self, remote: SocketAddr, bytes: &[u8]) -> Result<(), Error> {
        Self::send(self, bytes, remote, None).await
    }
}

impl Readable for UdpSocket {
    async fn readable(&mut self) -> Result<(), Error> {
        Self::readable(self).await
    }
}

impl UdpSplit for UdpSocket {
    type Receive<'a> = Self;
    type Send<'a> = Self;

    fn split(&mut self) -> (Self, Self) {
        (self.clone(), self.clone())
    }
}

impl UdpSplitMulticast for UdpSocket {
    type MulticastV4<'a> = Self;
    type MulticastV6<'a> = Self;

    fn split_multicast(&mut self) -> (Self, Self, Self, Self) {
        (self.clone(), self.clone(), self.clone(), self.clone())
    }
}

/// There is one interface.
impl MulticastV4 for UdpSocket {
    async fn join_v4(&mut self, group: Ipv4Addr, _: Ipv4Addr) -> Result<(), Error> {
        join(self, group.into())
    }

    async fn leave_v4(&mut self, group: Ipv4Addr, _: Ipv4Addr) -> Result<(), Error> {
        leave(self, group.into())
    }
}

/// There is one interface.
impl MulticastV6 for UdpSocket {
    async fn join_v6(&mut self, group: Ipv6Addr, _: u32) -> Result<(), Error> {
        join(self, group.into())
    }

    async fn leave_v6(&mut self, group: Ipv6Addr, _: u32) -> Result<(), Error> {
        leave(self, group.into())
    }
}

#[cfg(feature = "multicast")]
fn join(socket: &UdpSocket, group: IpAddr) -> Result<(), Error> {
    socket.join(group)
}

#[cfg(feature = "multicast")]
fn leave(socket: &UdpSocket, group: IpAddr) -> Result<(), Error> {
    socket.leave(group)
}

/// Without the feature `multicast` there are no groups: to join one is an error.
#[cfg(not(feature = "multicast"))]
fn join(_: &UdpSocket, _: IpAddr) -> Result<(), Error> {
    Err(Error::BadAddress)
}

#[cfg(not(feature = "multicast"))]
use join as leave;

impl Dns for Stack {
    type Error = Error;

    async fn get_host_by_name(&self, host: &str, kind: AddrType) -> Result<IpAddr, Error> {
        let wanted = |address: &IpAddr| match kind {
            AddrType::IPv4 => address.is_ipv4(),
            AddrType::IPv6 => address.is_ipv6(),
            AddrType::Either => true,
        };
        let addresses = self.resolve(host).await?;
        addresses.into_iter().find(wanted).ok_or(Error::NoSuchName)
    }

    /// Names of addresses are not asked for.
    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Error> {
        Err(Error::NoSuchName)
    }
}
