use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Arp, Ethernet, arp_operation, ethertype};
use sprat_packet::{Batch, Packet};

use crate::standard::timestamps::timestamp_text;

pub(super) const ARP_PRINT: Class = Class::of::<ArpPrint>("ARPPrint");

/// ARPPrint: prints ARP packets.
///
/// ```click
/// ARPPrint([LABEL, keywords TIMESTAMP, ETHER, ACTIVE])
/// ```
///
/// - LABEL: printed before each packet.
/// - TIMESTAMP: whether to print timestamps; true.
/// - ETHER: whether to print the Ethernet addresses; false.
/// - ACTIVE: whether to print at all; true.
///
/// Frames come with their Ethernet header and pass unchanged.
///
/// Handlers: `active` (read, write).
///
/// See Click's manual page ARPPrint(n).
struct ArpPrint {
    label: String,
    timestamp: bool,
    ether: bool,
    active: bool,
}

impl Configure for ArpPrint {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let label = arguments.position("LABEL").unwrap_or_default();
        let timestamp = arguments.keyword("TIMESTAMP").unwrap_or(true);
        let ether = arguments.keyword("ETHER").unwrap_or(false);
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        arguments.finish()?;
        Ok(Self {
            label,
            timestamp,
            ether,
            active,
        })
    }
}

/// What an ARP packet says, in tcpdump's words.
fn description(packet: &Packet) -> String {
    let header = match Ethernet::new(packet.data()) {
        Ok(header) => header,
        Err(_) => return "truncated-ethernet".into(),
    };
    if header.ethertype() != ethertype::ARP {
        return format!("non-arp ethertype {:04x}", header.ethertype());
    }
    let Ok(arp) = Arp::new(header.payload()) else {
        return "truncated-arp".into();
    };
    match arp.fields() {
        None => format!(
            "arp hardware {} protocol {:04x} op {}",
            arp.hardware_type(),
            arp.protocol_type(),
            arp.operation()
        ),
        Some(arp) if arp.operation == arp_operation::REQUEST => format!(
            "arp who-has {} tell {}",
            arp.target_protocol, arp.sender_protocol
        ),
        Some(arp) if arp.operation == arp_operation::REPLY => format!(
            "arp reply {} is-at {}",
            arp.sender_protocol, arp.sender_hardware
        ),
        Some(arp) => format!("arp op {}", arp.operation),
    }
}

impl ArpPrint {
    fn line(&self, packet: &Packet) -> String {
        let mut line = String::new();
        if !self.label.is_empty() {
            line += &self.label;
            line += ": ";
        }
        if self.timestamp {
            line += &timestamp_text(packet.timestamp());
            line += ": ";
        }
        if self.ether
            && let Ok(header) = Ethernet::new(packet.data())
        {
            // Writing to a string cannot fail.
            let _ = write!(line, "{} > {}: ", header.source(), header.destination());
        }
        line + &description(packet)
    }
}

impl Element for ArpPrint {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.observe_order();
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        if self.active {
            for packet in batch.iter() {
                context.chatter(format_args!("{}", self.line(packet)));
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("active");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "active" => Ok(self.active.to_string()),
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
            "active" => self.active = crate::handler_value(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    fn print(config: &str, frame: &[u8]) -> std::string::String {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> SetTimestamp(1.5) -> ARPPrint({config}) -> Discard"
        ));
        bench.arrive("in", frame);
        bench.run();
        bench.simulation.take_errors()
    }

    const REQUEST: &[u8] = b"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x08\x06\
        \0\x01\x08\0\x06\x04\0\x01\x02\0\0\0\0\x01\x0a\0\0\x01\0\0\0\0\0\0\x0a\0\0\x02";

    #[test]
    fn requests_and_replies_read_as_tcpdump_writes_them() {
        assert_eq!(
            print("x", REQUEST),
            "x: 1.500000: arp who-has 10.0.0.2 tell 10.0.0.1\n"
        );
        assert_eq!(
            print("TIMESTAMP false, ETHER true", REQUEST),
            "02-00-00-00-00-01 > FF-FF-FF-FF-FF-FF: arp who-has 10.0.0.2 tell 10.0.0.1\n"
        );
        let mut reply = REQUEST.to_vec();
        reply[21] = 2;
        assert_eq!(
            print("x, TIMESTAMP false", &reply),
            "x: arp reply 10.0.0.1 is-at 02-00-00-00-00-01\n"
        );
        assert_eq!(print("x, ACTIVE false", REQUEST), "");
    }

    #[test]
    fn what_is_no_arp_packet_is_said_to_be_none() {
        assert_eq!(print("TIMESTAMP false", b"short"), "truncated-ethernet\n");
        assert_eq!(print("TIMESTAMP false", &REQUEST[..20]), "truncated-arp\n");
        let mut ip = REQUEST.to_vec();
        ip[13] = 0;
        assert_eq!(print("TIMESTAMP false", &ip), "non-arp ethertype 0800\n");
    }
}
