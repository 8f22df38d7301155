//! A port of the host published for datagrams.
//!
//! The instance sees each peer as a port of the gateway. There is a fixed number of those; a peer
//! more takes the place of the one that came first.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};

use super::network::GATEWAY;
use super::packets;
use super::queue::Queue;

/// Peers at a time.
const PEERS: u16 = 4096;

/// The ports that peers come from, as the instance sees them.
const FIRST_PORT: u16 = 32_768;

/// Datagrams taken at a time before others have their turn.
const TURN: usize = 64;

pub(super) struct Published {
    pub(super) socket: UdpSocket,
    pub(super) guest: SocketAddrV4,
    by_address: HashMap<SocketAddr, u16>,
    peers: Vec<SocketAddr>,
    oldest: usize,
    /// Whether the socket may have something.
    pub(super) ready: bool,
}

impl Published {
    pub(super) fn new(socket: UdpSocket, guest: SocketAddrV4) -> Self {
        Self {
            socket,
            guest,
            by_address: HashMap::new(),
            peers: Vec::new(),
            oldest: 0,
            ready: false,
        }
    }

    /// The gateway's port that stands for a peer.
    fn port(&mut self, peer: SocketAddr) -> u16 {
        if let Some(port) = self.by_address.get(&peer) {
            return *port;
        }
        let place = if self.peers.len() < usize::from(PEERS) {
            self.peers.push(peer);
            self.peers.len() - 1
        } else {
            let place = self.oldest;
            self.oldest = (place + 1) % self.peers.len();
            self.by_address.remove(&self.peers[place]);
            self.peers[place] = peer;
            place
        };
        let port = FIRST_PORT + u16::try_from(place).unwrap_or(0);
        self.by_address.insert(peer, port);
        port
    }

    /// Sends a datagram of the instance to the peer that a port of the gateway stands for, where it
    /// stands for one and the datagram comes from the published port.
    pub(super) fn answer(&self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> bool {
        if from != self.guest || *to.ip() != GATEWAY {
            return false;
        }
        let place = to.port().checked_sub(FIRST_PORT).map(usize::from);
        let Some(peer) = place.and_then(|place| self.peers.get(place)) else {
            return false;
        };
        // One that cannot be sent is lost, as datagrams may be.
        let _ = self.socket.send_to(payload, peer);
        true
    }

    /// Passes datagrams on to the instance while there is room. Says how many were too long for the
    /// link.
    pub(super) fn serve(&mut self, queue: &mut Queue, buffer: &mut [u8]) -> u64 {
        let mut too_long = 0;
        for _ in 0..TURN {
            if !queue.has_room() {
                break;
            }
            match self.socket.recv_from(buffer) {
                Ok((count, peer)) => {
                    let remote = SocketAddrV4::new(GATEWAY, self.port(peer));
                    let passed = packets::udp(queue, remote, self.guest, &buffer[..count]);
                    too_long += u64::from(!passed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready = false;
                    break;
                }
                // The refusal of an answer; the next one may be a datagram.
                Err(_) => {}
            }
        }
        too_long
    }
}
