//! Frames on their way to the instance.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::EthernetProtocol;

use super::network::{GATEWAY_ETHERNET, MTU};

/// Bytes of an Ethernet header.
pub(super) const ETHERNET_HEADER: usize = 14;

/// How many frames wait at most. What makes frames stops making them when there is no room.
const SLOTS: usize = 256;

/// Bytes of a slot.
const SLOT: usize = ETHERNET_HEADER + MTU;

/// A bounded queue of frames to the instance, in memory that is allocated once.
pub(super) struct Queue {
    bytes: Vec<u8>,
    lengths: [usize; SLOTS],
    first: usize,
    count: usize,
    /// Whom frames are sent to: the Ethernet address the instance last used.
    pub(super) guest: [u8; 6],
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; SLOTS * SLOT],
            lengths: [0; SLOTS],
            first: 0,
            count: 0,
            guest: [0xff; 6],
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.count < SLOTS
    }

    /// The frame that waits longest.
    pub(super) fn front(&self) -> Option<&[u8]> {
        let at = self.first * SLOT;
        (self.count > 0).then(|| &self.bytes[at..at + self.lengths[self.first]])
    }

    pub(super) fn pop(&mut self) {
        self.first = (self.first + 1) % SLOTS;
        self.count -= 1;
    }

    /// Adds a frame to the instance, whose payload of `length` bytes the caller writes. None where
    /// there is no room or the payload is too long.
    pub(super) fn add(&mut self, protocol: EthernetProtocol, length: usize) -> Option<&mut [u8]> {
        self.add_to(self.guest, protocol, length)
    }

    /// As [`Queue::add`], to an address of the caller's.
    pub(super) fn add_to(
        &mut self,
        destination: [u8; 6],
        protocol: EthernetProtocol,
        length: usize,
    ) -> Option<&mut [u8]> {
        if !self.has_room() || length > MTU {
            return None;
        }
        let slot = (self.first + self.count) % SLOTS;
        self.lengths[slot] = ETHERNET_HEADER + length;
        self.count += 1;
        let frame = &mut self.bytes[slot * SLOT..][..ETHERNET_HEADER + length];
        frame[..6].copy_from_slice(&destination);
        frame[6..12].copy_from_slice(&GATEWAY_ETHERNET);
        frame[12..14].copy_from_slice(&u16::from(protocol).to_be_bytes());
        Some(&mut frame[ETHERNET_HEADER..])
    }
}

/// What the stack of one connection sees: at most one packet that has come in, and the queue.
pub(super) struct Link<'a> {
    /// The packet, until it is taken.
    pub(super) packet: Option<&'a [u8]>,
    /// Where packets go.
    pub(super) queue: &'a mut Queue,
}

/// A packet from the instance.
pub(super) struct Packet<'a>(&'a [u8]);

/// A place in the queue.
pub(super) struct Place<'a>(&'a mut Queue);

impl RxToken for Packet<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

impl TxToken for Place<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        match self.0.add(EthernetProtocol::Ipv4, length) {
            Some(payload) => write(payload),
            // No room for an answer, or a packet too long for the link: it is lost on the way.
            None => write(&mut vec![0; length]),
        }
    }
}

impl Device for Link<'_> {
    type RxToken<'t>
        = Packet<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Place<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Packet<'_>, Place<'_>)> {
        // Where there is no room, what the packet is answered with at once is lost.
        let packet = self.packet.take()?;
        Some((Packet(packet), Place(self.queue)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Place<'_>> {
        self.queue.has_room().then_some(Place(self.queue))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}
