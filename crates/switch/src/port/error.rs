//! What can be wrong with a port.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Transport;

/// Why a port cannot be opened, read or written. The text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// The file cannot be opened.
    #[error("cannot open the capture {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no capture.
    #[error("{} is no pcap or pcapng capture: it begins with {magic:02x?}", path.display())]
    NotACapture {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        magic: Vec<u8>,
    },
    /// The file has nothing in it, not even a capture's header.
    #[error("{} is empty: a capture has a header even where it has no frames", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is compressed.
    #[error("{} is compressed by {by}: unpack it first, with {unpack}", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// What compressed it.
        by: &'static str,
        /// What unpacks it.
        unpack: &'static str,
    },
    /// The file's frames are not Ethernet frames.
    #[error("{} holds frames of link type {number} ({name}); only Ethernet captures can be played", path.display())]
    LinkType {
        /// The file.
        path: PathBuf,
        /// The link type's number in the pcap registry.
        number: u32,
        /// Its name.
        name: String,
    },
    /// The file is damaged.
    #[error("{}: record {record} cannot be read: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which record, counted from 1.
        record: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An output file cannot be created or written.
    #[error("cannot write the capture {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system does not let a lane wait for its ports.
    #[error("cannot wait for the ports: {0}")]
    Wait(io::Error),
    /// A port of the host cannot be published.
    #[error("cannot publish {host}/{transport}: {source}{}", advice(.source))]
    Publish {
        /// The host's address and port.
        host: SocketAddr,
        /// What was to be carried.
        transport: Transport,
        /// Why.
        source: io::Error,
    },
    /// An interface of the host cannot be used.
    #[error("{kind}:{name}: {source}")]
    Interface {
        /// What kind of port it was to be.
        kind: &'static str,
        /// The interface.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// There is no tap interface of this name that this user may open.
    #[error(
        "tap:{name}: not permitted; as root, `ip tuntap add {name} mode tap user USER` makes one"
    )]
    NoTap {
        /// The interface.
        name: String,
    },
    /// A packet socket cannot be made for want of a right.
    #[error("packet:{name}: not permitted: it takes root, or the capability CAP_NET_RAW")]
    NoPacketSocket {
        /// The interface.
        name: String,
    },
    /// AF_XDP sockets cannot be made for want of a right.
    #[error("xdp:{name}: not permitted: it takes root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF")]
    NoXdpSocket {
        /// The interface.
        name: String,
    },
    /// The port only gives frames, or only takes them.
    #[error("the port {name} only {can}")]
    OneWay {
        /// What the port is.
        name: String,
        /// What it can do.
        can: &'static str,
    },
}

/// What to do about a port of the host that cannot be published.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; something else listens there: choose another, such as 8081:80"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 take root: choose another",
        _ => "",
    }
}
