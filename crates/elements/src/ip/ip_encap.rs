use alloc::format;
use alloc::string::{String, ToString};
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, ArgumentError, IpProtocol, Names, Raw};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Ipv4, Ipv4Fields};
use sprat_packet::{Batch, Packet};

pub(super) const IP_ENCAP: Class = Class::of::<IPEncap>("IPEncap")
    .reconfigurable()
    .arguments(&[("src", "1 SRC"), ("dst", "2 DST")]);

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

/// Reads TOS, or what it is made of; says what is wrong with them when all is read.
fn type_of_service(arguments: &mut Arguments<'_>) -> Result<u8, String> {
    let whole: Option<i32> = arguments.keyword("TOS");
    let code_point: Option<i32> = arguments.keyword("DSCP");
    let capable: Option<String> = arguments.keyword("ECT");
    let congested = arguments.keyword("CE").unwrap_or(false);
    let capable = match capable.as_deref() {
        None => 0,
        Some("2") => 2,
        Some(text) => match bool::parse(text, arguments.names()) {
            Ok(capable) => u8::from(capable),
            Err(_) => return Err(format!("bad ECT value '{text}'")),
        },
    };
    // Below zero is as good as missing, at minus one.
    let given = |value: Option<i32>| value.filter(|value| *value != -1);
    let (whole, code_point) = (given(whole), given(code_point));
    let byte = |value: Option<i32>| u8::try_from(value.unwrap_or(0)).ok();
    let wrong = if whole.is_some() && code_point.is_some() {
        "cannot set both TOS and DSCP"
    } else if whole.is_some() && (capable != 0 || congested) {
        "cannot set both TOS and ECN bits"
    } else if byte(whole).is_none() {
        "TOS too large; max 255"
    } else if byte(code_point).is_none_or(|code_point| code_point > 63) {
        "DSCP too large; max 63"
    } else if capable != 0 && congested {
        "can set at most one ECN option"
    } else {
        let ecn = if congested { 3 } else { capable };
        let code_point = byte(code_point).unwrap_or(0) << 2;
        return Ok(byte(whole).unwrap_or(0) | code_point | ecn);
    };
    Err(wrong.into())
}

impl Configure for IPEncap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let protocol = arguments
            .required("PROTO")
            .map(|IpProtocol(protocol)| protocol);
        let source = arguments.required("SRC");
        let destination = arguments.required::<Raw>("DST");
        let type_of_service = type_of_service(arguments);
        let time_to_live = arguments.keyword("TTL").unwrap_or(250);
        let dont_fragment = arguments.keyword("DF").unwrap_or(false);
        arguments.finish()?;
        let Raw(destination) = destination?;
        let destination = Destination::parse(&destination, arguments.names())
            .map_err(|_| arguments.error("DST argument should be IP address or 'DST_ANNO'"))?;
        let type_of_service = type_of_service.map_err(|wrong| arguments.error(wrong))?;
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
            destination,
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
            "src" => self.fields.source = crate::argument_value(context, name, value)?,
            "dst" => self.destination = crate::argument_value(context, name, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
