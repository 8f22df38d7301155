//! What network operations fail with.

use core::fmt;

/// Why a network operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer refused the connection.
    Refused,
    /// The peer reset the connection, or it was given up after long silence.
    Reset,
    /// This side has closed the connection.
    Closed,
    /// The time was up.
    TimedOut,
    /// There is no address to send from, or no way to the peer.
    Unreachable,
    /// The address or port is taken.
    InUse,
    /// There are as many connections as there may be.
    TooMany,
    /// An address or port of zero where one is needed.
    BadAddress,
    /// The message is longer than can be sent.
    TooLong,
    /// No name server is known, or none answered.
    NoServer,
    /// The name does not exist, or has no address.
    NoSuchName,
    /// The name is not one: a label is empty or too long, or the whole is.
    BadName,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Refused => "the peer refused the connection",
            Self::Reset => "the connection was reset",
            Self::Closed => "the connection is closed",
            Self::TimedOut => "the time was up",
            Self::Unreachable => "there is no way to the peer",
            Self::InUse => "the address is in use",
            Self::TooMany => "there are too many connections",
            Self::BadAddress => "the address is not one that can be used",
            Self::TooLong => "the message is too long",
            Self::NoServer => "no name server answered",
            Self::NoSuchName => "there is no such name",
            Self::BadName => "the name is not a domain name",
        })
    }
}

impl core::error::Error for Error {}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        use embedded_io_async::ErrorKind;
        match self {
            Self::Refused => ErrorKind::ConnectionRefused,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::Closed => ErrorKind::NotConnected,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::Unreachable | Self::BadAddress => ErrorKind::AddrNotAvailable,
            Self::InUse => ErrorKind::AddrInUse,
            Self::TooMany => ErrorKind::OutOfMemory,
            Self::NoSuchName => ErrorKind::NotFound,
            Self::TooLong | Self::BadName => ErrorKind::InvalidInput,
            Self::NoServer => ErrorKind::Other,
        }
    }
}
