//! HTTPS: the same server behind TLS.

use alloc::rc::Rc;
use core::net::Ipv4Addr;

use sprat::net::tls::{Server, TlsStream};
use sprat::net::{Stack, TcpListener, TcpStream, tls};
use sprat::time::timeout;
use sprat::{Env, Error, Result, log, spawn};

use crate::connection::{self, Connection, PATIENCE};
use crate::{Options, SITE, Shared};

const PORT: u16 = 443;

/// Begins to serve, where there is a certificate.
pub(crate) fn begin(
    env: &Env,
    options: &Options,
    network: &Stack,
    shared: &Rc<Shared>,
) -> Result<()> {
    if options.certificate.is_empty() {
        return Ok(());
    }
    let certificate = env.file(options.certificate)?;
    let key = env.file(options.key)?;
    let server = tls::server(certificate, key)
        .map_err(|error| Error::new(alloc::format!("parameters 'certificate', 'key': {error}")))?;
    let listener = network.listen((Ipv4Addr::UNSPECIFIED, PORT), crate::sizes())?;
    log::info!("serving them by HTTPS on port {PORT}");
    spawn(serve(server, listener, shared.clone())).detach();
    Ok(())
}

async fn serve(server: Server, listener: TcpListener, shared: Rc<Shared>) {
    loop {
        let (stream, peer, open) = shared.admit(&listener).await;
        let (server, shared) = (server.clone(), shared.clone());
        spawn(async move {
            let _open = open;
            match timeout(PATIENCE, server.accept(stream)).await {
                Ok(Ok(stream)) => {
                    shared.handshakes.increment();
                    // A peer that breaks off has nothing to be told.
                    let _ = connection::serve(stream, &SITE, &shared).await;
                }
                Ok(Err(error)) => {
                    shared.failed_handshakes.increment();
                    log::debug!("no TLS with {peer}: {error}");
                }
                Err(_) => {
                    shared.failed_handshakes.increment();
                    log::debug!("no TLS with {peer}: it took too long");
                }
            }
        })
        .detach();
    }
}

impl Connection for TlsStream<TcpStream> {
    async fn finish(&mut self) -> Result<()> {
        self.close().await?;
        self.stream().finish();
        Ok(())
    }
}
