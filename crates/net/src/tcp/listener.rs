//! Waiting for connections.

use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::Poll;

use super::TcpOptions;
use super::stream::TcpStream;
use crate::{Error, Stack};

/// Accepts TCP connections. Dropping it ends those that were not accepted.
pub struct TcpListener {
    stack: Stack,
    number: u32,
    local: SocketAddr,
    options: TcpOptions,
}

impl Stack {
    /// Listens at an address (unspecified: all of them) and a port.
    ///
    /// # Errors
    /// When the port is zero or taken.
    pub fn listen(
        &self,
        local: impl Into<SocketAddr>,
        options: TcpOptions,
    ) -> Result<TcpListener, Error> {
        let local = local.into();
        let number = self.with(|engine| engine.listen(local, options))?;
        Ok(TcpListener {
            stack: self.clone(),
            number,
            local,
            options,
        })
    }
}

impl TcpListener {
    /// Where it listens.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Waits for a connection; its stream, and who opened it.
    pub async fn accept(&self) -> (TcpStream, SocketAddr) {
        let (id, peer) = poll_fn(|context| {
            self.stack.with(|engine| match engine.accept(self.number) {
                Some(accepted) => Poll::Ready(accepted),
                None => {
                    if let Some(listening) = engine.connections.listener(self.number) {
                        let waker = context.waker();
                        if !listening.waiting.iter().any(|known| known.will_wake(waker)) {
                            listening.waiting.push(waker.clone());
                        }
                    }
                    (engine.waits_for)("a connection");
                    Poll::Pending
                }
            })
        })
        .await;
        let stream = TcpStream::new(self.stack.clone(), id, self.options.closing);
        (stream, peer)
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.stack.with(|engine| engine.stop_listening(self.number));
    }
}
