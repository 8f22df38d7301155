use alloc::string::{String, ToString};

use sprat_click::arguments::{Argument, ArgumentError};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;
use sprat_packet::headers::Ipv6Mut;

pub(super) const SET_IP6_DSCP: Class = Class::of::<SetIp6Field>("SetIP6DSCP").reconfigurable();
pub(super) const SET_IP6_ECN: Class = SET_IP6_DSCP.named("SetIP6ECN");
pub(super) const SET_IP6_FLOW_LABEL: Class = SET_IP6_DSCP.named("SetIP6FlowLabel");
pub(super) const SET_IP6_HLIM: Class = SET_IP6_DSCP.named("SetIP6Hlim");

/// SetIP6DSCP, SetIP6ECN, SetIP6FlowLabel, SetIP6Hlim: set a field of IPv6 packets.
///
/// ```click
/// SetIP6DSCP(VAL)
/// SetIP6ECN(VAL)
/// SetIP6FlowLabel(VAL)
/// SetIP6Hlim(VAL)
/// ```
///
/// SetIP6DSCP sets the differentiated services code point, 0 to 63, and leaves the congestion bits.
/// SetIP6ECN sets those, 0 to 3 or `no`, `ect1`, `ect2`, `ce`, and leaves the code point. SetIP6FlowLabel
/// sets the flow label, 0 to 0xFFFFF, and SetIP6Hlim the hop limit, 0 to 255. Packets need their network
/// header annotation set; others pass unchanged.
///
/// Handlers: `dscp`, `ecn`, `flow_label`, or `hlim` (read, write).
///
/// See Click's manual pages SetIP6DSCP(n), SetIP6ECN(n), SetIP6FlowLabel(n) and SetIP6Hlim(n).
struct SetIp6Field {
    field: Field,
    value: u32,
}

/// Which field.
#[derive(Clone, Copy)]
enum Field {
    CodePoint,
    Congestion,
    FlowLabel,
    HopLimit,
}

impl Field {
    fn of_class(name: &str) -> Self {
        match name {
            "SetIP6DSCP" => Self::CodePoint,
            "SetIP6ECN" => Self::Congestion,
            "SetIP6FlowLabel" => Self::FlowLabel,
            _ => Self::HopLimit,
        }
    }

    /// The names of the argument and the handler, and the greatest value.
    fn describe(self) -> (&'static str, &'static str, u32) {
        match self {
            Self::CodePoint => ("DSCP", "dscp", 63),
            Self::Congestion => ("ECN", "ecn", 3),
            Self::FlowLabel => ("FLOW_LABEL", "flow_label", 0xf_ffff),
            Self::HopLimit => ("HLIM", "hlim", 255),
        }
    }

    fn parse(
        self,
        text: &str,
        names: &dyn sprat_click::arguments::Names,
    ) -> Result<u32, ArgumentError> {
        let named = ["no", "ect1", "ect2", "ce"]
            .iter()
            .zip(0..)
            .find(|(name, _)| **name == text);
        if let (Self::Congestion, Some((_, value))) = (self, named) {
            return Ok(value);
        }
        let (_, _, most) = self.describe();
        let value = u32::parse(text, names)?;
        if value > most {
            return Err(ArgumentError::OutOfRange { bound: most.into() });
        }
        Ok(value)
    }
}

impl Configure for SetIp6Field {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let field = Field::of_class(configuration.class_of(configuration.id()).name);
        let value =
            arguments.required_with(field.describe().0, |text, names| field.parse(text, names));
        arguments.finish()?;
        Ok(Self {
            field,
            value: value?,
        })
    }
}

impl Element for SetIp6Field {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv6Mut::new) else {
                continue;
            };
            let word = ip.version_class_and_label();
            // The code point is the first six bits of the traffic class, the congestion bits the other two
            // (RFC 8200, section 7; RFC 3168).
            match self.field {
                Field::CodePoint => {
                    ip.set_version_class_and_label(word & 0xf03f_ffff | self.value << 22);
                }
                Field::Congestion => {
                    ip.set_version_class_and_label(word & 0xffcf_ffff | self.value << 20);
                }
                Field::FlowLabel => ip.set_flow_label(self.value),
                Field::HopLimit => ip.set_hop_limit(self.value.to_be_bytes()[3]),
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write(self.field.describe().1);
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(self.value.to_string())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.value = self
            .field
            .parse(value.trim(), &context.names())
            .map_err(|error| HandlerError::failed(alloc::format!("{}: {error}", context.name())))?;
        Ok(())
    }
}
