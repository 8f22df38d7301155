//! Ethernet II (IEEE 802.3, clause 3; RFC 894).

use super::HeaderError;
use crate::EtherAddress;

/// Values of the EtherType field (IEEE 802 Numbers, IANA).
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// Address Resolution Protocol.
    pub const ARP: u16 = 0x0806;
    /// Reverse ARP.
    pub const RARP: u16 = 0x8035;
    /// IEEE 802.1Q customer VLAN tag.
    pub const VLAN: u16 = 0x8100;
    /// IEEE 802.1ad service VLAN tag.
    pub const SERVICE_VLAN: u16 = 0x88A8;
    /// Stacked VLAN tag as used before 802.1ad.
    pub const QINQ: u16 = 0x9100;
    /// IPv6.
    pub const IPV6: u16 = 0x86DD;
    /// MPLS unicast.
    pub const MPLS: u16 = 0x8847;
    /// PPPoE session stage.
    pub const PPPOE_SESSION: u16 = 0x8864;
    /// Link Layer Discovery Protocol.
    pub const LLDP: u16 = 0x88CC;
}

header_view! {
    /// An Ethernet II frame header.
    EthernetView, Ethernet, EthernetMut, 14
}

header_fields! { EthernetView, 14;
    /// Destination address.
    EtherAddress, destination, set_destination, 0;
    /// Source address.
    EtherAddress, source, set_source, 6;
    /// EtherType, or the length of the payload when below 0x600 (IEEE 802.3).
    u16, ethertype, set_ethertype, 12;
}

impl<H, R> EthernetView<H, R> {
    #[inline]
    #[expect(
        clippy::unused_self,
        reason = "the same shape as the other headers' checks"
    )]
    const fn check(&self) -> Result<(), HeaderError> {
        Ok(())
    }
}

impl<'a> Ethernet<'a> {
    /// What follows the header.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.rest
    }

    /// The header as a value.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> EthernetFields {
        EthernetFields {
            destination: self.destination(),
            source: self.source(),
            ethertype: self.ethertype(),
        }
    }
}

/// An Ethernet header as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EthernetFields {
    /// Destination address.
    pub destination: EtherAddress,
    /// Source address.
    pub source: EtherAddress,
    /// EtherType.
    pub ethertype: u16,
}

impl EthernetFields {
    /// The header as it goes on the wire.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; 14] {
        let mut header = [0; 14];
        let mut view = EthernetView {
            header: &mut header,
            rest: (),
        };
        view.set_destination(self.destination);
        view.set_source(self.source);
        view.set_ethertype(self.ethertype);
        header
    }
}
