use alloc::string::{String, ToString};

use sprat_click::arguments::{Argument, ArgumentError, Names};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;
use sprat_packet::checksum::update_u16;
use sprat_packet::headers::Ipv4Mut;

pub(super) const SET_IP_DSCP: Class =
    Class::of::<SetTypeOfService<CodePoint>>("SetIPDSCP").arguments(&[("dscp", "0 DSCP")]);
pub(super) const SET_IP_ECN: Class =
    Class::of::<SetTypeOfService<Ecn>>("SetIPECN").arguments(&[("ecn", "0 ECN")]);

/// SetIPDSCP, SetIPECN: set a part of the type of service of IP packets.
///
/// ```click
/// SetIPDSCP(DSCP)
/// SetIPECN(ECN)
/// ```
///
/// SetIPDSCP sets the differentiated services code point to DSCP, 0 to 63, and leaves the congestion
/// bits. SetIPECN sets those to ECN, 0 to 3 or `no`, `ect1` or `ECT(1)`, `ect2` or `ECT(0)`, `ce` or `CE`,
/// and leaves the code point. The checksum is mended. Packets need their network header annotation set; others pass unchanged.
///
/// Handlers: `dscp`, or `ecn` (read, write).
///
/// See Click's manual pages SetIPDSCP(n) and SetIPECN(n).
pub(crate) struct SetTypeOfService<T> {
    part: T,
}

/// A part of the type of service.
pub(crate) trait Part: Argument + Copy + 'static {
    /// The argument's name.
    const ARGUMENT: &'static str;
    /// The handler's name.
    const HANDLER: &'static str;
    /// The bits that belong to it.
    const MASK: u8;
    /// The type of service with this part and nothing else.
    fn bits(self) -> u8;
    /// The value as handlers show it.
    fn value(self) -> u8;
}

/// A differentiated services code point (RFC 2474).
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodePoint(u8);

/// Congestion bits (RFC 3168).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ecn(u8);

fn number_up_to(text: &str, names: &dyn Names, bound: u8) -> Result<u8, ArgumentError> {
    let number = u8::parse(text, names)?;
    if number > bound {
        Err(ArgumentError::OutOfRange {
            bound: bound.into(),
        })
    } else {
        Ok(number)
    }
}

impl Argument for CodePoint {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        number_up_to(text, names, 63).map(Self)
    }
}

impl Argument for Ecn {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        match text {
            "no" => Ok(Self(0)),
            "ect1" | "ECT(1)" => Ok(Self(1)),
            "ect2" | "ECT(0)" => Ok(Self(2)),
            "ce" | "CE" => Ok(Self(3)),
            _ => number_up_to(text, names, 3).map(Self),
        }
    }
}

impl Part for CodePoint {
    const ARGUMENT: &'static str = "DSCP";
    const HANDLER: &'static str = "dscp";
    const MASK: u8 = 0xfc;
    fn bits(self) -> u8 {
        self.0 << 2
    }
    fn value(self) -> u8 {
        self.0
    }
}

impl Part for Ecn {
    const ARGUMENT: &'static str = "ECN";
    const HANDLER: &'static str = "ecn";
    const MASK: u8 = 0x03;
    fn bits(self) -> u8 {
        self.0
    }
    fn value(self) -> u8 {
        self.0
    }
}

impl<T: Part> Configure for SetTypeOfService<T> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let part = arguments.required(T::ARGUMENT);
        arguments.finish()?;
        Ok(Self { part: part? })
    }
}

impl<T: Part> Element for SetTypeOfService<T> {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        let bits = self.part.bits();
        for packet in batch.iter_mut() {
            if let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new) {
                let old = ip.type_of_service();
                let new = old & !T::MASK | bits;
                // The version and header length beside it do not change.
                let checksum = update_u16(ip.checksum(), u16::from(old), u16::from(new));
                ip.set_type_of_service(new);
                ip.set_checksum(checksum);
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write(T::HANDLER);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        if name == T::HANDLER {
            Ok(self.part.value().to_string())
        } else {
            Err(HandlerError::NoHandler(name.into()))
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        if name != T::HANDLER {
            return Err(HandlerError::NoHandler(name.into()));
        }
        self.part = crate::argument_value(context, name, value)?;
        Ok(())
    }
}
