//! One connection, as its holder sees it.

use alloc::rc::Rc;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use core::time::Duration;

use smoltcp::socket::tcp::{RecvError, Socket, State};

use super::TcpOptions;
use crate::sockets::SocketId;
use crate::{Error, Stack};

/// A TCP connection. Dropping it (and its [halves](Self::split)) closes it in order: what was
/// written still goes out, unless something came that nobody read.
pub struct TcpStream {
    connection: Rc<Held>,
}

/// The half of a connection that reads.
pub struct TcpReader {
    connection: Rc<Held>,
}

/// The half of a connection that writes.
pub struct TcpWriter {
    connection: Rc<Held>,
}

struct Held {
    stack: Stack,
    id: SocketId,
    closing: Duration,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stack
            .with(|engine| engine.let_go(self.id, self.closing));
    }
}

impl Stack {
    /// Opens a connection.
    ///
    /// # Errors
    /// When the peer refuses, does not answer in time, or cannot be reached.
    pub async fn connect(
        &self,
        remote: impl Into<SocketAddr>,
        options: TcpOptions,
    ) -> Result<TcpStream, Error> {
        let id = self.with(|engine| engine.connect(remote.into(), options))?;
        let stream = TcpStream::new(self.clone(), id, options.closing);
        let start = self.now();
        poll_fn(|context| {
            stream
                .connection
                .with(|socket, waits_for| match socket.state() {
                    State::SynSent | State::SynReceived => {
                        socket.register_send_waker(context.waker());
                        waits_for("a peer's answer");
                        Poll::Pending
                    }
                    State::Closed => Poll::Ready(Err(())),
                    _ => {
                        options.opened(socket);
                        Poll::Ready(Ok(()))
                    }
                })
        })
        .await
        .map_err(|()| {
            let waited = Duration::from_nanos(self.now().saturating_sub(start));
            if waited >= options.opening {
                Error::TimedOut
            } else {
                Error::Refused
            }
        })?;
        self.with(|engine| engine.counters.connected += 1);
        Ok(stream)
    }
}

impl Held {
    fn with<R>(
        &self,
        use_it: impl FnOnce(&mut Socket<'static>, fn(&'static str)) -> Poll<Result<R, ()>>,
    ) -> Poll<Result<R, ()>> {
        self.stack.with(|engine| match engine.sockets.get(self.id) {
            Some(socket) => use_it(socket.tcp(), engine.waits_for),
            None => Poll::Ready(Err(())),
        })
    }

    fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.stack.with(|engine| {
            let Some(socket) = engine.sockets.get(self.id) else {
                return Poll::Ready(Err(Error::Reset));
            };
            let socket = socket.tcp();
            match socket.recv_slice(buffer) {
                Ok(0) => {
                    socket.register_recv_waker(context.waker());
                    (engine.waits_for)("data of a connection");
                    Poll::Pending
                }
                Ok(count) => {
                    // The window that the peer is offered has grown.
                    engine.enqueue(self.id);
                    Poll::Ready(Ok(count))
                }
                Err(RecvError::Finished) => Poll::Ready(Ok(0)),
                Err(RecvError::InvalidState) => Poll::Ready(Err(Error::Reset)),
            }
        })
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.stack.with(|engine| {
            let Some(socket) = engine.sockets.get(self.id) else {
                return Poll::Ready(Err(Error::Reset));
            };
            let socket = socket.tcp();
            match socket.send_slice(bytes) {
                Ok(0) => {
                    socket.register_send_waker(context.waker());
                    (engine.waits_for)("room in a connection");
                    Poll::Pending
                }
                Ok(count) => {
                    engine.enqueue(self.id);
                    Poll::Ready(Ok(count))
                }
                Err(_) => Poll::Ready(Err(match socket.state() {
                    State::Closed => Error::Reset,
                    _ => Error::Closed,
                })),
            }
        })
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.stack.with(|engine| {
            let Some(socket) = engine.sockets.get(self.id) else {
                return Poll::Ready(());
            };
            let socket = socket.tcp();
            if socket.can_recv() || !socket.may_recv() {
                return Poll::Ready(());
            }
            socket.register_recv_waker(context.waker());
            (engine.waits_for)("data of a connection");
            Poll::Pending
        })
    }

    /// Waits until the peer has confirmed everything.
    fn poll_flushed(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.with(|socket, waits_for| {
            if socket.send_queue() == 0 {
                return Poll::Ready(Ok(()));
            }
            if socket.state() == State::Closed {
                return Poll::Ready(Err(()));
            }
            socket.register_send_waker(context.waker());
            waits_for("the peer's receipt");
            Poll::Pending
        })
        .map_err(|()| Error::Reset)
    }

    fn change(&self, change: impl FnOnce(&mut Socket<'static>)) {
        self.stack.with(|engine| {
            if let Some(socket) = engine.sockets.get(self.id) {
                change(socket.tcp());
            }
            engine.enqueue(self.id);
        });
    }

    fn address(
        &self,
        of: impl Fn(&Socket<'static>) -> Option<smoltcp::wire::IpEndpoint>,
    ) -> Option<SocketAddr> {
        self.stack.with(|engine| {
            let endpoint = of(engine.sockets.get(self.id)?.tcp())?;
            Some(SocketAddr::new(endpoint.addr.into(), endpoint.port))
        })
    }
}

macro_rules! reads {
    ($($type:ident),*) => {$(
        impl $type {
            /// Waits for bytes and stores at most as many as there is room for; how many. None says
            /// that the peer has sent everything.
            ///
            /// # Errors
            /// When the connection was reset.
            pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
                poll_fn(|context| self.connection.poll_read(context, buffer)).await
            }

            /// Waits until there is something to read, or nothing ever will be.
            pub async fn readable(&mut self) {
                poll_fn(|context| self.connection.poll_readable(context)).await;
            }
        }
    )*};
}

macro_rules! writes {
    ($($type:ident),*) => {$(
        impl $type {
            /// Waits for room and takes as many of the bytes as there is room for; how many.
            ///
            /// # Errors
            /// When the connection was reset, or this side has closed it.
            pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
                poll_fn(|context| self.connection.poll_write(context, bytes)).await
            }

            /// Takes all of the bytes.
            ///
            /// # Errors
            /// When the connection was reset, or this side has closed it.
            pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
                while !bytes.is_empty() {
                    let count = self.write(bytes).await?;
                    bytes = &bytes[count..];
                }
                Ok(())
            }

            /// Waits until the peer has confirmed everything that was written.
            ///
            /// # Errors
            /// When the connection was reset.
            pub async fn confirmed(&mut self) -> Result<(), Error> {
                poll_fn(|context| self.connection.poll_flushed(context)).await
            }

            /// Says that nothing more will be written. What the peer still sends can be read.
            pub fn finish(&mut self) {
                self.connection.change(Socket::close);
            }
        }
    )*};
}

reads!(TcpStream, TcpReader);
writes!(TcpStream, TcpWriter);

impl TcpStream {
    pub(super) fn new(stack: Stack, id: SocketId, closing: Duration) -> Self {
        Self {
            connection: Rc::new(Held { stack, id, closing }),
        }
    }

    /// Its two halves, for two tasks. The connection ends when both are dropped.
    #[must_use]
    pub fn split(self) -> (TcpReader, TcpWriter) {
        let connection = self.connection;
        (
            TcpReader {
                connection: connection.clone(),
            },
            TcpWriter { connection },
        )
    }

    /// The halves, while the whole is kept.
    #[must_use]
    pub fn halves(&mut self) -> (TcpReader, TcpWriter) {
        Self {
            connection: self.connection.clone(),
        }
        .split()
    }

    /// Ends the connection at once; the peer learns that something went wrong.
    pub fn abort(self) {
        self.reset();
    }

    pub(crate) fn reset(&self) {
        self.connection.change(Socket::abort);
    }

    /// This side's address and port, while the connection is open.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.connection.address(Socket::local_endpoint)
    }

    /// The peer's address and port, while the connection is open.
    #[must_use]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.connection.address(Socket::remote_endpoint)
    }
}
