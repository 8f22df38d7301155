//! The traits of edge-nal, so that what is written for those runs over this stack: servers accept
//! and clients connect without knowing whose sockets they are.

use core::net::SocketAddr;

use edge_nal::{Close, Readable, TcpAccept, TcpBind, TcpConnect, TcpShutdown, TcpSplit};

use crate::{Error, Stack, TcpListener, TcpOptions, TcpReader, TcpStream, TcpWriter};

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
