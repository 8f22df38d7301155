use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use hashbrown::HashMap;
use sprat_click::arguments::{Argument, Ipv6Prefix, Names, split_words};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

pub(super) const LOOKUP_IP6_ROUTE: Class = Class::of::<LookupIp6Route>("LookupIP6Route")
    .ports("1/-")
    .processing("h/h");

/// LookupIP6Route: an IPv6 routing table.
///
/// ```click
/// LookupIP6Route(ADDR1/MASK1 [GW1] OUT1, ADDR2/MASK2 [GW2] OUT2, ...)
/// ```
///
/// Looks the destination annotation up, by longest prefix. A packet whose route has a gateway GW other than
/// `::` gets GW as its destination annotation; then it leaves by output OUT. A packet without a route is
/// dropped. `GetIP6Address` or `CheckIP6Header` set the annotation.
///
/// A lookup costs one probe of a hash table for each prefix length in use.
///
/// Handlers: `table` (read) the routes, a line each, a new one where the first removed one was; `add`
/// (write) `ADDR/MASK [GW] OUT`, in place of the prefix's former route; `remove` (write) `ADDR/MASK`, if
/// there is such a route; `ctrl` (write) `add` or `remove` and a route.
///
/// See Click's manual page LookupIP6Route(n).
struct LookupIp6Route {
    /// The routes of each length that there are any of, the longest first.
    lengths: Vec<Length>,
    /// The prefixes by their places; none where one was removed.
    order: Vec<Option<Ipv6Prefix>>,
    outputs: usize,
}

struct Length {
    length: u8,
    mask: u128,
    routes: HashMap<u128, Hop>,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hop {
    gateway: Ipv6Addr,
    output: usize,
}

/// Reads `ADDR/MASK`, or an address for a single host.
fn parse_prefix(text: &str, names: &dyn Names) -> Option<Ipv6Prefix> {
    let prefix = Ipv6Prefix::parse(text, names).or_else(|error| {
        Ipv6Addr::parse(text, names)
            .map(|address| Ipv6Prefix {
                address,
                length: 128,
            })
            .map_err(|_| error)
    });
    prefix.ok().map(|prefix| Ipv6Prefix {
        address: prefix.network(),
        length: prefix.length,
    })
}

fn parse_route(text: &str, names: &dyn Names) -> Option<(Ipv6Prefix, Hop)> {
    let words = split_words(text);
    let (prefix, gateway, output) = match words.as_slice() {
        [prefix, output] => (prefix, None, output),
        [prefix, gateway, output] => (prefix, Some(gateway), output),
        _ => return None,
    };
    let gateway = match gateway.map(alloc::string::String::as_str) {
        None | Some("-") => Ipv6Addr::UNSPECIFIED,
        Some(gateway) => Ipv6Addr::parse(gateway, names).ok()?,
    };
    let output = u32::parse(output, names).ok()? as usize;
    Some((parse_prefix(prefix, names)?, Hop { gateway, output }))
}

impl Configure for LookupIp6Route {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut table = Self {
            lengths: Vec::new(),
            order: Vec::new(),
            outputs: configuration.outputs(),
        };
        let names = arguments.names();
        let mut needed = 0;
        for (number, text) in arguments.rest().iter().enumerate() {
            match parse_route(text, names) {
                Some((prefix, hop)) => {
                    needed = needed.max(hop.output.saturating_add(1));
                    table.set(prefix, hop);
                }
                None => {
                    arguments.error(format!(
                        "argument {} should be DADDR/MASK [GW] OUTPUT",
                        number + 1
                    ));
                }
            }
        }
        arguments.finish()?;
        if needed == 0 {
            arguments.warning("no routes");
        }
        if needed > table.outputs {
            let message = format!("need {needed} or more output ports");
            return Err(arguments.error(message));
        }
        Ok(table)
    }
}

impl LookupIp6Route {
    fn set(&mut self, prefix: Ipv6Prefix, hop: Hop) {
        let place = self
            .lengths
            .partition_point(|known| known.length > prefix.length);
        if self
            .lengths
            .get(place)
            .is_none_or(|known| known.length != prefix.length)
        {
            let length = Length {
                length: prefix.length,
                mask: prefix.mask().to_bits(),
                routes: HashMap::new(),
            };
            self.lengths.insert(place, length);
        }
        let routes = &mut self.lengths[place].routes;
        routes.insert(prefix.address.to_bits(), hop);
        // One that is replaced is removed first.
        self.free(prefix);
        match self.order.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(prefix),
            None => self.order.push(Some(prefix)),
        }
    }

    fn free(&mut self, prefix: Ipv6Prefix) {
        for place in self
            .order
            .iter_mut()
            .filter(|place| **place == Some(prefix))
        {
            *place = None;
        }
    }

    fn remove(&mut self, prefix: Ipv6Prefix) {
        if let Some(known) = self.lengths.iter_mut().find(|l| l.length == prefix.length) {
            known.routes.remove(&prefix.address.to_bits());
            self.lengths.retain(|known| !known.routes.is_empty());
            self.free(prefix);
        }
    }

    fn find(&self, prefix: Ipv6Prefix) -> Option<Hop> {
        let known = self.lengths.iter().find(|l| l.length == prefix.length)?;
        known.routes.get(&prefix.address.to_bits()).copied()
    }

    #[inline]
    fn lookup(&self, address: Ipv6Addr) -> Option<Hop> {
        let bits = address.to_bits();
        self.lengths
            .iter()
            .find_map(|known| known.routes.get(&(bits & known.mask)).copied())
    }

    fn execute(
        &mut self,
        context: &Context<'_>,
        name: &str,
        text: &str,
    ) -> Result<(), HandlerError> {
        let names = context.names();
        match name {
            "add" => match parse_route(text, &names) {
                Some((_, hop)) if hop.output >= self.outputs => {
                    Err(HandlerError::failed("output port out of range"))
                }
                Some((prefix, hop)) => {
                    self.set(prefix, hop);
                    Ok(())
                }
                None => Err(HandlerError::failed(
                    "expected 'ADDR/MASK [GATEWAY] OUTPUT'",
                )),
            },
            "remove" => {
                let prefix = parse_prefix(text.trim(), &names)
                    .ok_or_else(|| HandlerError::failed("expected 'ADDR/MASK'"))?;
                self.remove(prefix);
                Ok(())
            }
            "ctrl" => {
                let text = text.trim();
                match text.split_once(char::is_whitespace) {
                    Some((word @ ("add" | "remove"), rest)) => self.execute(context, word, rest),
                    _ => Err(HandlerError::failed(
                        "bad command, should be `add' or `remove'",
                    )),
                }
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

impl Element for LookupIp6Route {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for mut packet in batch.drain() {
            if let Some(hop) = self.lookup(packet.annotations().destination6()) {
                if !hop.gateway.is_unspecified() {
                    packet.set_destination6(hop.gateway);
                }
                context.emit(hop.output, packet);
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("table")
            .write("add")
            .write("remove")
            .write("ctrl");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        let mut text = String::new();
        if !self.order.is_empty() {
            text.push_str("# Active routes\n");
        }
        for prefix in self.order.iter().flatten() {
            if let Some(hop) = self.find(*prefix) {
                text += &format!("{prefix}\t{}\t{}\n", hop.gateway, hop.output);
            }
        }
        Ok(text)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.execute(context, name, value)
    }
}
