//! What a descriptor that is waited for belongs to.

use rustix::event::epoll::EventData;

/// Whose descriptor it is, by its number in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A listening socket of a published port.
    Listener(usize),
    /// A connection.
    Connection(usize),
    /// The socket of a port published for datagrams.
    Published(usize),
    /// A flow of datagrams.
    Flow(usize),
}

impl Token {
    pub(super) fn data(self) -> EventData {
        let (kind, number) = match self {
            Self::Listener(number) => (0, number),
            Self::Connection(number) => (1, number),
            Self::Published(number) => (2, number),
            Self::Flow(number) => (3, number),
        };
        EventData::new_u64(kind << 32 | number as u64)
    }

    pub(super) fn from_data(data: EventData) -> Self {
        let value = data.u64();
        let number = usize::try_from(value & 0xffff_ffff).unwrap_or(usize::MAX);
        match value >> 32 {
            0 => Self::Listener(number),
            1 => Self::Connection(number),
            2 => Self::Published(number),
            _ => Self::Flow(number),
        }
    }
}
