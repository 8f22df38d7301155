use alloc::string::{String, ToString};
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, ArgumentError, IpProtocol, Names};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Ipv4, Ipv4Fields};
use sprat_packet::{Batch, Packet};

pub(super) const IP_ENCAP: Class = Class::of::<IPEncap>("IPEncap").reconfigurable();

/// IPEncap: puts an IP header in front of packets.
///
/// ```click
/// IPEncap(PROTO, SRC, DST [, keywords TOS, TTL, DSCP, ECT, CE, DF])
/// ```
///
/// The header has protocol PROTO (a number or a name such as `ipip`) and goes from SRC to DST, which
/// becomes the destination annotation; with `DST_ANNO` for DST it goes to the address that the annotation
/// holds. Identifications count up from zero.
///
/// - TTL: time to live; 250.
/// - DSCP: 0 to 63; 0. ECT: ECN capable transport, `true` or `1` for ECT(1), `2` for ECT(0); false.
///   CE: congestion experienced; false. TOS: all of these as one byte, instead of them.
/// - DF: forbid fragmentation; false.
///
/// Handlers: `src`, `dst` (read, write).
///
/// See Click's manual page IPEncap(n).
pub(crate) struct IPEncap {
    fields: Ipv4Fields,
    destination: Destination,
}

/// Where encapsulated packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// To one address.
    Fixed(Ipv4Addr),
    /// Where each packet's destination annotation says.
    Annotation,
}

impl Argument for Destination {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        if text == "DST_ANNO" {
            Ok(Self::Annotation)
        } else {
            Ipv4Addr::parse(text, names).map(Self::Fixed)
        }
    }
}

impl core::fmt::Display for Destination {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Fixed(address) => address.fmt(f),
            Self::Annotation => f.write_str("DST_ANNO"),
        }
    }
}

impl Destination {
    /// The address that one packet goes to.
    #[inline]
    pub(crate) fn of(self, packet: &Packet) -> Ipv4Addr {
        match self {
            Self::Fixed(address) => address,
            Self::Annotation => packet.annotations().destination(),
        }
    }
}

/// ECN bits by the argument ECT.
struct EcnCapable(u8);

impl Argument for EcnCapable {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        if text == "2" {
            Ok(Self(2))
        } else {
            bool::parse(text, names).map(|capable| Self(u8::from(capable)))
        }
    }
}

fn type_of_service(arguments: &mut Arguments<'_>) -> u8 {
    let whole: Option<u8> = arguments.keyword("TOS");
    let code_point: Option<u8> = arguments.keyword("DSCP");
    let capable = arguments.keyword("ECT").map(|EcnCapable(bits)| bits);
    let congested: Option<bool> = arguments.keyword("CE");
    if whole.is_some() && (code_point.is_some() || capable.is_some() || congested.is_some()) {
        arguments.error("TOS may not be given with DSCP, ECT or CE");
    }
    if code_point.is_some_and(|code_point| code_point > 63) {
        arguments.error("DSCP: out of range, bound 63");
    }
    let ecn = if congested == Some(true) {
        3
    } else {
        capable.unwrap_or(0)
    };
    whole.unwrap_or(code_point.unwrap_or(0) << 2 | ecn)
}

impl Configure for IPEncap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let protocol = arguments
            .required("PROTO")
            .map(|IpProtocol(protocol)| protocol);
        let source = arguments.required("SRC");
        let destination = arguments.required("DST");
        let type_of_service = type_of_service(arguments);
        let time_to_live = arguments.keyword("TTL").unwrap_or(250);
        let dont_fragment = arguments.keyword("DF").unwrap_or(false);
        arguments.finish()?;
        let fields = Ipv4Fields {
            type_of_service,
            total_length: 0,
            identification: 0,
            flags_and_offset: if dont_fragment {
                Ipv4::DONT_FRAGMENT
            } else {
                0
            },
            time_to_live,
            protocol: protocol?,
            source: source?,
            destination: Ipv4Addr::UNSPECIFIED,
        };
        Ok(Self {
            fields,
            destination: destination?,
        })
    }
}

impl Element for IPEncap {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            self.fields.destination = self.destination.of(packet);
            self.fields.total_length = u16::try_from(packet.len() + 20).unwrap_or(u16::MAX);
            packet.prepend(20).copy_from_slice(&self.fields.to_bytes());
            packet.set_network_header(0, 20);
            packet.set_destination(self.fields.destination);
            self.fields.identification = self.fields.identification.wrapping_add(1);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("src").read_write("dst");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "src" => Ok(self.fields.source.to_string()),
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
        match name {
            "src" => self.fields.source = crate::handler_value(context, value)?,
            "dst" => self.destination = crate::handler_value(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
