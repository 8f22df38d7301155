//! ARP for IPv4 over Ethernet (RFC 826).

use super::HeaderError;
use super::ethernet::ethertype;
use crate::EtherAddress;
use core::net::Ipv4Addr;
use core::ops::Deref;

/// Values of the operation field (RFC 826, RFC 903).
pub mod arp_operation {
    /// Who has the target protocol address?
    pub const REQUEST: u16 = 1;
    /// The sender has it.
    pub const REPLY: u16 = 2;
    /// Reverse ARP request.
    pub const REVERSE_REQUEST: u16 = 3;
    /// Reverse ARP reply.
    pub const REVERSE_REPLY: u16 = 4;
}

header_view! {
    /// An ARP packet, laid out as for IPv4 over Ethernet; ask [`ArpView::is_ethernet_ipv4`] whether it is.
    ArpView, Arp, ArpMut, 28
}

header_fields! { ArpView, 28;
    /// Hardware type, 1 for Ethernet.
    u16, hardware_type, set_hardware_type, 0;
    /// Protocol type, an EtherType.
    u16, protocol_type, set_protocol_type, 2;
    /// Length of a hardware address in bytes.
    u8, hardware_length, set_hardware_length, 4;
    /// Length of a protocol address in bytes.
    u8, protocol_length, set_protocol_length, 5;
    /// Operation; see [`arp_operation`].
    u16, operation, set_operation, 6;
    /// Sender's hardware address.
    EtherAddress, sender_hardware, set_sender_hardware, 8;
    /// Sender's protocol address.
    Ipv4Addr, sender_protocol, set_sender_protocol, 14;
    /// Target's hardware address.
    EtherAddress, target_hardware, set_target_hardware, 18;
    /// Target's protocol address.
    Ipv4Addr, target_protocol, set_target_protocol, 24;
}

impl<H: Deref<Target = [u8; 28]>, R> ArpView<H, R> {
    #[inline]
    #[expect(
        clippy::unused_self,
        reason = "the same shape as the other headers' checks"
    )]
    fn check(&self) -> Result<(), HeaderError> {
        Ok(())
    }

    /// Whether types and lengths are those of IPv4 over Ethernet.
    #[inline]
    #[must_use]
    pub fn is_ethernet_ipv4(&self) -> bool {
        self.hardware_type() == 1
            && self.protocol_type() == ethertype::IPV4
            && self.hardware_length() == 6
            && self.protocol_length() == 4
    }

    /// The packet as a value; `None` when it is not IPv4 over Ethernet.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> Option<ArpFields> {
        self.is_ethernet_ipv4().then(|| ArpFields {
            operation: self.operation(),
            sender_hardware: self.sender_hardware(),
            sender_protocol: self.sender_protocol(),
            target_hardware: self.target_hardware(),
            target_protocol: self.target_protocol(),
        })
    }
}

/// An ARP packet for IPv4 over Ethernet as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArpFields {
    /// Operation; see [`arp_operation`].
    pub operation: u16,
    /// Sender's hardware address.
    pub sender_hardware: EtherAddress,
    /// Sender's protocol address.
    pub sender_protocol: Ipv4Addr,
    /// Target's hardware address.
    pub target_hardware: EtherAddress,
    /// Target's protocol address.
    pub target_protocol: Ipv4Addr,
}

impl ArpFields {
    /// The packet as it goes on the wire.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; 28] {
        let mut header = [0; 28];
        let mut view = ArpView {
            header: &mut header,
            rest: (),
        };
        view.set_hardware_type(1);
        view.set_protocol_type(ethertype::IPV4);
        view.set_hardware_length(6);
        view.set_protocol_length(4);
        view.set_operation(self.operation);
        view.set_sender_hardware(self.sender_hardware);
        view.set_sender_protocol(self.sender_protocol);
        view.set_target_hardware(self.target_hardware);
        view.set_target_protocol(self.target_protocol);
        header
    }
}
