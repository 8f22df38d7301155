use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Ipv6, Ipv6Mut, protocol};
use sprat_packet::{Batch, Packet};

pub(super) const IP6_FRAGMENTER: Class = Class::of::<Ip6Fragmenter>("IP6Fragmenter")
    .ports("1/1-2")
    .processing("h/h");

/// IP6Fragmenter: passes short IPv6 packets, and diverts those that are too long.
///
/// ```click
/// IP6Fragmenter(MTU)
/// ```
///
/// Packets of at most MTU bytes, counted from the IPv6 header, pass unchanged. Longer ones leave by output 1
/// where it is used, and are dropped otherwise; connect it to `ICMP6Error(ADDR, 2, 0)`. Routers do not cut
/// IPv6 packets (RFC 8200, section 5): only packets that hold a fragment header already, as a source or a
/// translator makes them, are cut further.
///
/// Handlers: `drops` (read) packets that could not be cut; `fragments` (read) fragments made.
///
/// See Click's manual page IP6Fragmenter(n).
struct Ip6Fragmenter {
    mtu: usize,
    drops: u64,
    fragments: u64,
}

/// The least MTU of an IPv6 link (RFC 8200, section 5).
const LEAST_MTU: u32 = 1280;

/// Bytes of the two headers that a fragment begins with.
const HEADERS: usize = Ipv6::LENGTH + 8;

impl Configure for Ip6Fragmenter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mtu = arguments.required::<u32>("MTU");
        if mtu.is_ok_and(|mtu| mtu < LEAST_MTU) {
            arguments.error("MTU must be at least 1280");
        }
        arguments.finish()?;
        Ok(Self {
            mtu: mtu? as usize,
            drops: 0,
            fragments: 0,
        })
    }
}

impl Ip6Fragmenter {
    /// Cuts a packet that is a fragment already, and says into how many.
    fn cut(&self, context: &mut Context<'_>, packet: &Packet) -> Option<u64> {
        let bytes = packet.network_header()?;
        let ip = Ipv6::new(bytes).ok()?;
        if ip.next_header() != protocol::IPV6_FRAGMENT {
            return None;
        }
        let (fragment, payload) = ip.payload().split_first_chunk::<8>()?;
        let word = u16::from_be_bytes([fragment[2], fragment[3]]);
        // All but the last hold a multiple of eight bytes (RFC 8200, section 4.5).
        let step = (self.mtu - HEADERS) & !7;
        let mut parts = 0;
        for (number, piece) in payload.chunks(step).enumerate() {
            let last = (number + 1) * step >= payload.len();
            let offset = u16::try_from(number * step).ok()?;
            let more = if last { word & 1 } else { 1 };
            let mut part = context.pool().packet(&bytes[..HEADERS]);
            part.append(piece.len()).copy_from_slice(piece);
            part.copy_metadata(packet);
            let word = (word & !1).checked_add(offset)? | more;
            let data = part.data_mut();
            data[Ipv6::LENGTH + 2..Ipv6::LENGTH + 4].copy_from_slice(&word.to_be_bytes());
            Ipv6Mut::new(data)
                .ok()?
                .set_payload_length(u16::try_from(piece.len() + 8).ok()?);
            part.set_network_header(0, Ipv6::LENGTH);
            context.emit(0, part);
            parts += 1;
        }
        Some(parts)
    }
}

impl Element for Ip6Fragmenter {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            let length = packet.network_header().map_or(0, <[u8]>::len);
            if length <= self.mtu {
                context.emit(0, packet);
                continue;
            }
            match self.cut(context, &packet) {
                Some(parts) => self.fragments += parts,
                None => {
                    self.drops += 1;
                    context.emit(1, packet);
                }
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops").read("fragments");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        Ok(if name == "drops" {
            self.drops.to_string()
        } else {
            self.fragments.to_string()
        })
    }
}
