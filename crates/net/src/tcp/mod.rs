//! TCP: which connections there are, who waits for them, and how many there may be.

mod connections;
mod listener;
mod stream;

use core::time::Duration;

pub(crate) use connections::Connections;
pub use listener::TcpListener;
pub use stream::{TcpReader, TcpStream, TcpWriter};

use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer};

/// What a connection may hold, and how many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// Bytes that came and were not read yet; also the window that the peer is offered.
    pub receive_buffer: usize,
    /// Bytes that were written and that the peer has not confirmed yet.
    pub send_buffer: usize,
    /// Of a listener: connections that are open and were not accepted yet.
    pub backlog: usize,
    /// Of a listener: connections that are opening. When one more comes, the oldest is given up,
    /// except that it is left 10 ms: then the new one has to ask again.
    pub half_open: usize,
    /// How long a connection may take to open.
    pub opening: Duration,
    /// After how long a silence the peer is asked whether it is still there; it is given up after
    /// three times that.
    pub keep_alive: Duration,
    /// How long a connection that the application has let go may take to close.
    pub closing: Duration,
}

impl Default for TcpOptions {
    /// 8 KiB each way, 128 not accepted, 128 opening, 10 s to open, 60 s of silence, 60 s to close.
    fn default() -> Self {
        Self {
            receive_buffer: 8 << 10,
            send_buffer: 8 << 10,
            backlog: 128,
            half_open: 128,
            opening: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            closing: Duration::from_secs(60),
        }
    }
}

impl TcpOptions {
    /// The default with larger buffers, for connections that carry much over a long way.
    #[must_use]
    pub fn bulk() -> Self {
        Self {
            receive_buffer: 256 << 10,
            send_buffer: 256 << 10,
            ..Self::default()
        }
    }

    /// A socket of these sizes, that is opening.
    fn socket(&self) -> Socket<'static> {
        let buffer = |bytes: usize| SocketBuffer::new(alloc::vec![0; bytes.max(1)]);
        let mut socket = Socket::new(buffer(self.receive_buffer), buffer(self.send_buffer));
        socket.set_congestion_control(CongestionControl::Reno);
        // An answer goes out when it is written: tasks write whole ones, and the stack sends when
        // the tasks have run.
        socket.set_nagle_enabled(false);
        socket.set_timeout(Some(duration(self.opening)));
        socket
    }

    /// What is different once a socket is open.
    fn opened(&self, socket: &mut Socket<'static>) {
        let interval = duration(self.keep_alive);
        socket.set_keep_alive(Some(interval));
        socket.set_timeout(Some(interval * 3));
    }
}

fn duration(span: Duration) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}
