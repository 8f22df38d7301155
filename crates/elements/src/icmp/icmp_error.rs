use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::Word;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::{FIX_IP_SOURCE, ICMP_PARAMETER_PROBLEM};
use sprat_packet::headers::{
    Icmp, IcmpFields, IcmpMut, Ipv4, Ipv4Fields, Ipv4Mut, icmp_type, ip_option, protocol,
    unreachable_code,
};
use sprat_packet::{Batch, Packet, PacketKind};

use crate::ip::check_ip_header::AddressList;

use super::names::{IcmpType, parse_code};

pub(super) const ICMP_ERROR: Class = Class::of::<ICMPError>("ICMPError").reconfigurable();

/// ICMPError: answers packets with ICMP errors.
///
/// ```click
/// ICMPError(SRC, TYPE [, CODE, BADADDRS, keywords MTU, PMTU, SET_FIX_ANNO])
/// ```
///
/// Turns each IP packet into an ICMP error from SRC to its source. TYPE is a number or `unreachable`,
/// `sourcequench`, `redirect`, `timeexceeded`, `parameterproblem`; CODE, a number or `net`, `host`,
/// `protocol`, `port`, `needfrag` for unreachable, `net`, `host` for redirect, `transit`, `reassembly` for
/// timeexceeded, `erroratptr`, `missingopt`, `length` for parameterproblem, is 0 by default. The error
/// quotes the packet from its IP header on. A source route is sent back reversed, unless it is what the
/// error is about. The destination annotation is set, so connect the output to the route lookup.
///
/// Redirects name the gateway that the destination annotation holds; `parameterproblem, erroratptr` the
/// byte that the parameter problem annotation holds, as IPGWOptions leaves it.
///
/// Nothing is sent about ICMP errors, fragments other than the first, packets that came as a link
/// broadcast or multicast, packets from or to a broadcast or multicast address, packets from network 0 or
/// 127 or one that is reserved (240 and above), and packets from or to one of BADADDRS (RFC 1812, section
/// 4.3.2.7); nor a redirect about a packet with a source route.
///
/// - MTU: the longest error to send, in bytes; 576.
/// - PMTU: the next hop's MTU that `unreachable, needfrag` names; 0.
/// - SET_FIX_ANNO: ask FixIPSrc to set the source to that of the interface by which the error leaves;
///   true.
///
/// Handlers: `src`, `mtu`, `pmtu` (read, write).
///
/// See Click's manual page ICMPError(n).
pub(crate) struct ICMPError {
    source: Ipv4Addr,
    kind: u8,
    code: u8,
    bad_addresses: Vec<Ipv4Addr>,
    mtu: usize,
    path_mtu: u16,
    ask_to_fix_source: bool,
    identification: u16,
}

/// The longest IP header, the ICMP header behind it, and as much as an error must quote.
const LEAST_MTU: u32 = 60 + 8 + 28;
const LEAST_MTU_TEXT: &str = "MTU must be at least 96";

impl Configure for ICMPError {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let source = arguments.required("SRC");
        let kind = arguments.required("TYPE").map(|IcmpType(kind)| kind);
        let code = arguments.position::<Word>("CODE");
        let AddressList(bad_addresses) = arguments.position("BADADDRS").unwrap_or_default();
        let mtu = arguments.keyword::<u32>("MTU").unwrap_or(576);
        let path_mtu = arguments.keyword("PMTU").unwrap_or(0);
        let ask_to_fix_source = arguments.keyword("SET_FIX_ANNO").unwrap_or(true);
        arguments.finish()?;
        let kind = kind?;
        if !icmp_type::is_error(kind) {
            return Err(arguments.error(format!("ICMP type {kind} is not an error type")));
        }
        let code = code.map_or(Ok(0), |Word(code)| {
            parse_code(kind, &code, arguments.names())
        });
        let code = code.map_err(|_| {
            arguments.error("argument 2 takes ICMP code (integer between 0 and 255)")
        })?;
        if mtu < LEAST_MTU {
            return Err(arguments.error(LEAST_MTU_TEXT));
        }
        Ok(Self {
            source: source?,
            kind,
            code,
            bad_addresses,
            mtu: mtu as usize,
            path_mtu,
            ask_to_fix_source,
            identification: 1,
        })
    }
}

/// Whether no single host can be meant.
fn is_group(address: Ipv4Addr) -> bool {
    address.is_multicast() || address.is_broadcast()
}

impl ICMPError {
    fn deserves_error(&self, packet: &Packet, ip: &Ipv4<'_>) -> bool {
        let (source, destination) = (ip.source(), ip.destination());
        // What a message that is cut off is about, nobody knows.
        let about_error = ip.protocol() == protocol::ICMP
            && Icmp::new(ip.payload()).map_or(true, |icmp| icmp_type::is_error(icmp.kind()));
        !about_error
            && ip.is_first_fragment()
            && !matches!(packet.kind(), PacketKind::Broadcast | PacketKind::Multicast)
            && !matches!(source.octets()[0], 0 | 127 | 224..)
            && !is_group(destination)
            && !self
                .bad_addresses
                .iter()
                .any(|bad| *bad == source || *bad == destination)
    }

    /// The second word of the ICMP header, which depends on the type.
    fn second_word(&self, packet: &Packet) -> u32 {
        match (self.kind, self.code) {
            (icmp_type::REDIRECT, _) => packet.annotations().destination().to_bits(),
            (icmp_type::PARAMETER_PROBLEM, 0) => {
                u32::from(packet.annotations().byte(ICMP_PARAMETER_PROBLEM)) << 24
            }
            (icmp_type::UNREACHABLE, unreachable_code::NEED_FRAGMENT) => u32::from(self.path_mtu),
            _ => 0,
        }
    }

    /// Whether the error is that something is wrong with the packet's source route.
    fn is_about(&self, packet: &Packet, ip: &Ipv4<'_>, route: &[u8]) -> bool {
        if (self.kind, self.code) != (icmp_type::PARAMETER_PROBLEM, 0) {
            return false;
        }
        let wrong = usize::from(packet.annotations().byte(ICMP_PARAMETER_PROBLEM));
        let mut begin = 20;
        for option in ip.options().map_while(Result::ok) {
            if core::ptr::eq(option.bytes, route) {
                break;
            }
            begin += option.bytes.len();
        }
        (begin..begin + route.len()).contains(&wrong)
    }

    fn answer(&mut self, context: &Context<'_>, mut packet: Packet) -> Option<Packet> {
        let ip = Ipv4::new(packet.network_header()?).ok()?;
        if !self.deserves_error(&packet, &ip) {
            return None;
        }
        let destination = ip.source();
        let source_route = source_route(&ip);
        let route = match source_route {
            Some(_) if self.kind == icmp_type::REDIRECT => return None,
            Some(route) if !self.is_about(&packet, &ip, route) => ReturnRoute::of(route),
            _ => ReturnRoute::default(),
        };
        let start = packet.network_offset()?;
        let second_word = self.second_word(&packet);
        let headers = 20 + route.length + 8;

        // The quoted packet stays where it is, and the headers go in front of it.
        match usize::try_from(start) {
            Ok(start) => drop(packet.strip(start)),
            Err(_) => drop(packet.prepend(start.unsigned_abs())),
        }
        packet.truncate(self.mtu - headers);
        let total_length = u16::try_from(packet.len() + headers).unwrap_or(u16::MAX);
        packet.clear_annotations();
        packet.clear_headers();
        let fields = Ipv4Fields {
            type_of_service: 0,
            total_length,
            identification: self.identification,
            flags_and_offset: 0,
            time_to_live: TIME_TO_LIVE,
            protocol: protocol::ICMP,
            source: self.source,
            destination,
        };
        self.identification = self.identification.wrapping_add(1);
        let icmp = IcmpFields {
            kind: self.kind,
            code: self.code,
            checksum: 0,
            second_word,
        };
        let space = packet.prepend(headers);
        let (network, rest) = space.split_at_mut(20);
        let (options, message) = rest.split_at_mut(route.length);
        network.copy_from_slice(&fields.to_bytes());
        options.copy_from_slice(&route.bytes[..route.length]);
        message.copy_from_slice(&icmp.to_bytes());
        let frame = packet.data_mut();
        if let Some(first) = frame.first_mut() {
            *first = 0x45 + u8::try_from(route.length / 4).unwrap_or(0);
        }
        let mut ip = Ipv4Mut::new(frame).ok()?;
        ip.fill_checksum();
        IcmpMut::new(ip.payload_mut()).ok()?.fill_checksum();
        packet.set_network_header(0, 20 + route.length);
        packet.set_timestamp(context.timestamp().0);
        packet.set_destination(destination);
        if self.ask_to_fix_source {
            packet.set_annotation_byte(FIX_IP_SOURCE, 1);
        }
        Some(packet)
    }
}

/// The time to live of errors.
const TIME_TO_LIVE: u8 = 200;

/// The first source route of a packet whose pointer can be.
fn source_route<'a>(ip: &'a Ipv4<'_>) -> Option<&'a [u8]> {
    let is_route = |option: &&'a [u8]| match **option {
        [
            ip_option::LOOSE_SOURCE_ROUTE | ip_option::STRICT_SOURCE_ROUTE,
            _,
            pointer,
            ..,
        ] => {
            let pointer = usize::from(pointer);
            pointer >= 4 && pointer.is_multiple_of(4) && pointer <= option.len() + 1
        }
        _ => false,
    };
    ip.options()
        .map_while(Result::ok)
        .map(|option| option.bytes)
        .find(is_route)
}

/// The route option of an answer: the hops of a source route so far, turned round (RFC 1122, section
/// 3.2.1.8).
struct ReturnRoute {
    bytes: [u8; 40],
    length: usize,
}

impl Default for ReturnRoute {
    fn default() -> Self {
        Self {
            bytes: [0; 40],
            length: 0,
        }
    }
}

impl ReturnRoute {
    fn of(option: &[u8]) -> Self {
        let mut route = Self::default();
        let &[kind, _, pointer, ref addresses @ ..] = option else {
            return route;
        };
        let passed = addresses
            .get(..usize::from(pointer).saturating_sub(4))
            .unwrap_or_default();
        let hops = passed.as_chunks::<4>().0;
        let length = 3 + passed.len();
        let (head, places) = route.bytes.split_at_mut(3);
        head.copy_from_slice(&[kind, u8::try_from(length).unwrap_or(3), 4]);
        for (place, hop) in places
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip(hops.iter().rev())
        {
            *place = *hop;
        }
        route.length = length.next_multiple_of(4);
        route
    }
}

impl Element for ICMPError {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| self.answer(context, packet));
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("src").read_write("mtu").read_write("pmtu");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "src" => Ok(self.source.to_string()),
            "mtu" => Ok(self.mtu.to_string()),
            "pmtu" => Ok(self.path_mtu.to_string()),
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
            "src" => self.source = crate::handler_value(context, value)?,
            "mtu" => match crate::handler_value::<u32>(context, value)? {
                LEAST_MTU.. => self.mtu = crate::handler_value::<u32>(context, value)? as usize,
                _ => return Err(HandlerError::failed(LEAST_MTU_TEXT)),
            },
            "pmtu" => self.path_mtu = crate::handler_value(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
