use core::net::Ipv4Addr;

use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::annotations::FIX_IP_SOURCE;
use sprat_packet::headers::Ipv4Mut;
use sprat_packet::{Batch, Packet};

pub(super) const FIX_IP_SRC: Class = Class::of::<FixIPSrc>("FixIPSrc").reconfigurable();

/// FixIPSrc: sets the source of IP packets that ask for it.
///
/// ```click
/// FixIPSrc(IPADDR)
/// ```
///
/// Where the Fix IP Source annotation is set, writes IPADDR to the source field, makes the checksum
/// anew and clears the annotation. ICMPError sets it: a router does not know by which interface, hence
/// with which address, an error leaves before the packet has been routed.
///
/// See Click's manual page FixIPSrc(n).
pub(crate) struct FixIPSrc {
    address: Ipv4Addr,
}

/// Writes `address` to the source field of a packet that asks for it.
#[inline]
pub(super) fn fix_source(packet: &mut Packet, address: Ipv4Addr) {
    if packet.annotations().byte(FIX_IP_SOURCE) != 0 {
        packet.set_annotation_byte(FIX_IP_SOURCE, 0);
        if let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new) {
            ip.set_source(address);
            ip.fill_checksum();
        }
    }
}

impl Configure for FixIPSrc {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let address = arguments.required("IPADDR");
        arguments.finish()?;
        Ok(Self { address: address? })
    }
}

impl Element for FixIPSrc {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            fix_source(packet, self.address);
        }
    }
}
