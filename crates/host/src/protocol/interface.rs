//! What is behind a port that was opened for a lane.

use serde::{Deserialize, Serialize};
use sprat_switch::port::{Claimed, RingEnd};

/// What is behind a port: an interface, or another lane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The longest frame it carries.
    pub frame_limit: usize,
    /// What it is.
    pub kind: InterfaceKind,
}

/// What a port is that was opened for a lane.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceKind {
    /// A tap interface.
    Tap,
    /// An interface of the host, by a packet socket.
    Packet {
        /// The interface's number.
        index: i32,
        /// Its Ethernet address.
        address: [u8; 6],
    },
    /// The same, by AF_XDP sockets.
    Xdp {
        /// The interface's number.
        index: u32,
    },
    /// The one end of a pair of rings.
    FirstRing,
    /// The other end.
    SecondRing,
}

impl From<Claimed> for InterfaceKind {
    fn from(claimed: Claimed) -> Self {
        match claimed {
            Claimed::Tap => Self::Tap,
            Claimed::Packet { index, address } => Self::Packet { index, address },
            Claimed::Xdp { index } => Self::Xdp { index },
            Claimed::Ring(RingEnd::First) => Self::FirstRing,
            Claimed::Ring(RingEnd::Second) => Self::SecondRing,
        }
    }
}

impl From<InterfaceKind> for Claimed {
    fn from(kind: InterfaceKind) -> Self {
        match kind {
            InterfaceKind::Tap => Self::Tap,
            InterfaceKind::Packet { index, address } => Self::Packet { index, address },
            InterfaceKind::Xdp { index } => Self::Xdp { index },
            InterfaceKind::FirstRing => Self::Ring(RingEnd::First),
            InterfaceKind::SecondRing => Self::Ring(RingEnd::Second),
        }
    }
}
