use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::{AddressOrPrefix, Annotation, Ipv4Prefix};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;
use sprat_packet::annotations::DESTINATION_IP;

use super::store_ip_address::Place;

pub(super) const GET_IP_ADDRESS: Class = Class::of::<GetIPAddress>("GetIPAddress");
pub(super) const SET_IP_ADDRESS: Class = Class::of::<SetIPAddress>("SetIPAddress").reconfigurable();
pub(super) const SET_RAND_IP_ADDRESS: Class = Class::of::<SetRandIPAddress>("SetRandIPAddress");

/// Reads the optional argument ANNO: a four-byte annotation, the destination address by default.
fn annotation(arguments: &mut Arguments<'_>) -> usize {
    arguments
        .position_with("ANNO", |text, names| {
            use sprat_click::arguments::Argument;
            Annotation::parse(text, names)?.sized(4)
        })
        .unwrap_or(DESTINATION_IP)
}

/// GetIPAddress: sets the destination annotation from packet data.
///
/// ```click
/// GetIPAddress(OFFSET [, ANNO])
/// GetIPAddress(IP src|dst [, ANNO])
/// ```
///
/// Copies the four bytes at OFFSET of each packet to the destination annotation, or to ANNO. With the IP
/// header at the front of the packet, OFFSET 16 is the destination. With IP it is the source or the
/// destination of the marked IP header that is copied, wherever that lies. Packets too short, or without
/// the header, are left alone.
///
/// See Click's manual page GetIPAddress(n).
pub(crate) struct GetIPAddress {
    place: Place,
    annotation: usize,
}

impl Configure for GetIPAddress {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.position::<i32>("OFFSET");
        let annotation = annotation(arguments);
        let field = arguments.keyword::<String>("IP");
        arguments.finish()?;
        let offset = offset.and_then(|offset| usize::try_from(offset).ok());
        let place = match (offset, field.as_deref()) {
            (Some(offset), None) => Place::Offset(offset),
            (None, Some("src")) => Place::Source,
            (None, Some("dst")) => Place::Destination,
            (None, Some(_)) => return Err(arguments.error("bad IP")),
            _ => return Err(arguments.error("set one of OFFSET, IP")),
        };
        Ok(Self { place, annotation })
    }
}

impl Element for GetIPAddress {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let (bytes, offset) = match self.place {
                Place::Offset(offset) => (Some(packet.data()), offset),
                Place::Source => (packet.network_header(), 12),
                Place::Destination => (packet.network_header(), 16),
            };
            let address = bytes
                .and_then(|bytes| bytes.get(offset..)?.first_chunk::<4>())
                .copied();
            if let Some(address) = address {
                packet.set_annotation(self.annotation, &address);
            }
        }
    }
}

/// SetIPAddress: sets the destination annotation to one address.
///
/// ```click
/// SetIPAddress(IPADDR [, ANNO])
/// ```
///
/// ANNO names another four-byte annotation to set instead.
///
/// See Click's manual page SetIPAddress(n).
pub(crate) struct SetIPAddress {
    address: Ipv4Addr,
    annotation: usize,
}

impl Configure for SetIPAddress {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let address = arguments.required("IPADDR");
        let annotation = annotation(arguments);
        arguments.finish()?;
        Ok(Self {
            address: address?,
            annotation,
        })
    }
}

impl Element for SetIPAddress {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            packet.set_annotation(self.annotation, &self.address.octets());
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("addr");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "addr" => Ok(self.address.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "addr" => self.address = crate::handler_value(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

/// SetRandIPAddress: sets the destination annotation to a random address.
///
/// ```click
/// SetRandIPAddress(PREFIX [, LIMIT, keyword ANNO])
/// ```
///
/// The address has the prefix PREFIX. With LIMIT, at most so many different addresses are chosen, and
/// then again from those.
///
/// See Click's manual page SetRandIPAddress(n).
pub(crate) struct SetRandIPAddress {
    prefix: Ipv4Prefix,
    /// The addresses to choose from, filled as they are made.
    chosen: Vec<Ipv4Addr>,
    limit: Option<u32>,
    annotation: usize,
}

impl Configure for SetRandIPAddress {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let prefix = arguments
            .required("PREFIX")
            .map(|AddressOrPrefix(prefix)| prefix);
        // Negative means without limit, as leaving it out does.
        let limit = arguments
            .position::<i32>("LIMIT")
            .and_then(|limit| u32::try_from(limit).ok());
        let annotation = annotation(arguments);
        arguments.finish()?;
        Ok(Self {
            prefix: prefix?,
            chosen: Vec::new(),
            limit,
            annotation,
        })
    }
}

impl SetRandIPAddress {
    fn choose(&mut self, context: &Context<'_>) -> Ipv4Addr {
        let free = !self.prefix.mask.to_bits();
        let fresh = Ipv4Addr::from_bits(self.prefix.network().to_bits() | context.random() & free);
        let Some(limit) = self.limit.filter(|limit| *limit > 0) else {
            return fresh;
        };
        let place = context.random_below(limit) as usize;
        match self.chosen.get(place) {
            Some(known) => *known,
            None => {
                self.chosen.push(fresh);
                fresh
            }
        }
    }
}

impl Element for SetRandIPAddress {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let address = self.choose(context);
            packet.set_annotation(self.annotation, &address.octets());
        }
    }
}
