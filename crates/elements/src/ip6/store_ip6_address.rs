use core::net::Ipv6Addr;

use sprat_click::arguments::{Argument, ArgumentError, Names};
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::{Batch, Packet};

pub(super) const STORE_IP6_ADDRESS: Class = Class::of::<StoreIp6Address>("StoreIP6Address")
    .ports("1/1-2")
    .processing("a/ah");

/// StoreIP6Address: writes an IPv6 address into packets.
///
/// ```click
/// StoreIP6Address(OFFSET)
/// StoreIP6Address(ADDR, OFFSET)
/// ```
///
/// Writes ADDR, or else the destination annotation unless it is zero, OFFSET bytes into each packet. `src`
/// and `dst` for OFFSET are those fields of an IPv6 header at the packet's front. No checksum is touched.
/// Where OFFSET lies outside the packet, it leaves by output 1 where that is used and is dropped
/// otherwise.
///
/// See Click's manual page StoreIP6Address(n).
struct StoreIp6Address {
    address: Option<Ipv6Addr>,
    offset: usize,
}

/// An offset, or the name of a field.
struct Place(usize);

impl Argument for Place {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        match text {
            "src" | "'src'" => Ok(Self(8)),
            "dst" | "'dst'" => Ok(Self(24)),
            _ => u32::parse(text, names).map(|offset| Self(offset as usize)),
        }
    }
}

impl Configure for StoreIp6Address {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let address = if arguments.remaining() > 1 {
            Some(arguments.required("ADDR"))
        } else {
            None
        };
        let place = arguments.required("OFFSET");
        arguments.finish()?;
        let Place(offset) = place?;
        Ok(Self {
            address: address.transpose()?,
            offset,
        })
    }
}

impl StoreIp6Address {
    fn store(&self, packet: &mut Packet) -> bool {
        let address = match self.address {
            Some(address) => address,
            None => match packet.annotations().destination6() {
                Ipv6Addr::UNSPECIFIED => return true,
                address => address,
            },
        };
        let bytes = packet
            .data_mut()
            .get_mut(self.offset..)
            .and_then(|bytes| bytes.first_chunk_mut::<16>());
        bytes.map(|bytes| *bytes = address.octets()).is_some()
    }
}

impl Element for StoreIp6Address {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if self.store(&mut packet) {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }
}
