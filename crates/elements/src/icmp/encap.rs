use alloc::string::{String, ToString};
use core::net::Ipv4Addr;

use sprat_click::arguments::Word;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{IcmpFields, IcmpMut, Ipv4Fields, icmp_type, protocol};
use sprat_packet::{Batch, Packet};

use super::names::{IcmpType, parse_code};

pub(super) const ICMP_PING_ENCAP: Class = Class::of::<ICMPIPEncap>("ICMPPingEncap");
pub(super) const ICMP_IP_ENCAP: Class = Class::of::<ICMPIPEncap>("ICMPIPEncap");

/// ICMPPingEncap, ICMPIPEncap: put ICMP and IP headers in front of packets.
///
/// ```click
/// ICMPPingEncap(SRC, DST [, keyword IDENTIFIER])
/// ICMPIPEncap(SRC, DST, TYPE [, CODE, keyword IDENTIFIER])
/// ```
///
/// The headers go from SRC to DST, which becomes the destination annotation, with a time to live of 255.
/// Identifications and sequence numbers count up from one, and are never zero. The message is an echo
/// request of ICMPPingEncap, of ICMPIPEncap has type TYPE and code CODE (0), numbers or names such as
/// `echo-reply`. IDENTIFIER is the identifier field; 0.
///
/// Handlers: `src`, `dst` (read, write).
///
/// See Click's manual pages ICMPPingEncap(n) and ICMPIPEncap(n).
pub(crate) struct ICMPIPEncap {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    kind: u8,
    code: u8,
    identifier: u16,
    sequence: u16,
}

/// Bytes of both headers.
const LENGTH: usize = 28;

impl Configure for ICMPIPEncap {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let ping = configuration.class_of(configuration.id()).name == ICMP_PING_ENCAP.name;
        let source = arguments.required("SRC");
        let destination = arguments.required("DST");
        let (kind, code) = if ping {
            (Ok(IcmpType(icmp_type::ECHO)), None)
        } else {
            (
                arguments.required::<IcmpType>("TYPE"),
                arguments.position::<Word>("CODE"),
            )
        };
        let identifier = arguments.keyword("IDENTIFIER").unwrap_or(0);
        arguments.finish()?;
        let IcmpType(kind) = kind?;
        let code = match code {
            None => 0,
            Some(Word(text)) => match parse_code(kind, &text, arguments.names()) {
                Ok(code) => code,
                Err(error) => return Err(arguments.error(alloc::format!("CODE: {error}"))),
            },
        };
        Ok(Self {
            source: source?,
            destination: destination?,
            kind,
            code,
            identifier,
            sequence: 1,
        })
    }
}

impl ICMPIPEncap {
    fn put_before(&mut self, packet: &mut Packet) {
        let network = Ipv4Fields {
            type_of_service: 0,
            total_length: u16::try_from(packet.len() + LENGTH).unwrap_or(u16::MAX),
            identification: self.sequence,
            flags_and_offset: 0,
            time_to_live: 255,
            protocol: protocol::ICMP,
            source: self.source,
            destination: self.destination,
        };
        let message = IcmpFields {
            kind: self.kind,
            code: self.code,
            checksum: 0,
            second_word: u32::from(self.identifier) << 16 | u32::from(self.sequence),
        };
        let (header, rest) = packet.prepend(LENGTH).split_at_mut(20);
        header.copy_from_slice(&network.to_bytes());
        rest[..8].copy_from_slice(&message.to_bytes());
        if let Some(Ok(mut icmp)) = packet.data_mut().get_mut(20..).map(IcmpMut::new) {
            icmp.fill_checksum();
        }
        packet.set_network_header(0, 20);
        packet.set_destination(self.destination);
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
    }
}

impl Element for ICMPIPEncap {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            self.put_before(packet);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("src").read_write("dst");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "src" => Ok(self.source.to_string()),
            "dst" => Ok(self.destination.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let address = match name {
            "src" => &mut self.source,
            "dst" => &mut self.destination,
            _ => return Err(HandlerError::NoHandler(name.into())),
        };
        *address = crate::handler_value(context, value)?;
        Ok(())
    }
}
