use core::net::Ipv6Addr;

use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

pub(super) const GET_IP6_ADDRESS: Class = Class::of::<GetIp6Address>("GetIP6Address");
pub(super) const SET_IP6_ADDRESS: Class =
    Class::of::<SetIp6Address>("SetIP6Address").reconfigurable();

/// GetIP6Address: sets the IPv6 destination annotation from packet data.
///
/// ```click
/// GetIP6Address(OFFSET)
/// ```
///
/// Copies the sixteen bytes at OFFSET of each packet to the destination annotation. With the IPv6 header at
/// the front of the packet, OFFSET 24 is the destination. Packets too short are left alone.
///
/// See Click's manual page GetIP6Address(n).
struct GetIp6Address {
    offset: usize,
}

impl Configure for GetIp6Address {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.required::<u32>("OFFSET");
        arguments.finish()?;
        Ok(Self {
            offset: offset? as usize,
        })
    }
}

impl Element for GetIp6Address {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let address = packet
                .data()
                .get(self.offset..)
                .and_then(|bytes| bytes.first_chunk::<16>())
                .copied();
            if let Some(address) = address {
                packet.set_destination6(Ipv6Addr::from(address));
            }
        }
    }
}

/// SetIP6Address: sets the IPv6 destination annotation to one address.
///
/// ```click
/// SetIP6Address(IP6ADDR)
/// ```
///
/// See Click's manual page SetIP6Address(n).
struct SetIp6Address {
    address: Ipv6Addr,
}

impl Configure for SetIp6Address {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let address = arguments.required("ADDR");
        arguments.finish()?;
        Ok(Self { address: address? })
    }
}

impl Element for SetIp6Address {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            packet.set_destination6(self.address);
        }
    }
}
