//! What can be wrong with a network in user mode, and with a frame that it is given.

use std::net::SocketAddr;
use std::{fmt, io};

use super::Transport;

/// Why a network cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The system does not let anybody wait for sockets.
    Wait(io::Error),
    /// A port of the host cannot be published.
    Publish {
        /// The host's address and port.
        host: SocketAddr,
        /// What was to be carried.
        transport: Transport,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(source) => write!(f, "cannot wait for sockets: {source}"),
            Self::Publish {
                host,
                transport,
                source,
            } => write!(f, "cannot publish {host}/{transport}: {source}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// Why a frame was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It is longer than the network's frames.
    OverLong,
    /// Its headers are not what they should be.
    Malformed,
    /// It is of a protocol that the network does not carry, or a fragment.
    Unsupported,
    /// It goes where the instance may not.
    Forbidden,
    /// The host cannot send it there.
    NoWay,
    /// It belongs to a connection that there is not.
    Unknown,
    /// It would open one connection too many.
    TooMany,
}
