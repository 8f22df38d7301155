use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;
use core::net::Ipv4Addr;

use sprat_click::environment::Output;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Arp, Ethernet, ethertype};
use sprat_packet::{Batch, EtherAddress, Packet};

use crate::standard::timestamps::timestamp_text;

pub(super) const ARP_PRINT: Class = Class::of::<ArpPrint>("ARPPrint");

/// ARPPrint: prints ARP packets.
///
/// ```click
/// ARPPrint([LABEL, keywords TIMESTAMP, ETHER, ACTIVE, OUTFILE])
/// ```
///
/// - LABEL: printed before each packet.
/// - TIMESTAMP: whether to print timestamps; true.
/// - ETHER: whether to print the Ethernet addresses; false.
/// - ACTIVE: whether to print at all; true.
/// - OUTFILE: a file to write to instead of standard error.
///
/// Expects packets whose ARP header is marked as their network header, as CheckARPHeader, ARPQuerier and
/// ARPResponder do; others are passed on in silence. So are those for other addresses than those of IP.
///
/// Handlers: `active` (read, write).
///
/// See Click's manual page ARPPrint(n).
struct ArpPrint {
    label: String,
    timestamp: bool,
    ether: bool,
    active: bool,
    file_name: Option<String>,
    file: Option<Box<dyn Output>>,
}

impl Configure for ArpPrint {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let label = arguments.position("LABEL").unwrap_or_default();
        let timestamp = arguments.keyword("TIMESTAMP").unwrap_or(true);
        let ether = arguments.keyword("ETHER").unwrap_or(false);
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        let file_name = arguments.keyword::<String>("OUTFILE");
        arguments.finish()?;
        Ok(Self {
            label,
            timestamp,
            ether,
            active,
            file_name,
            file: None,
        })
    }
}

/// The word at `at`.
fn half_word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The protocol of trailers, an old way to lay out IP packets.
const TRAILER: u16 = 0x1000;

/// What an ARP packet says, in tcpdump's words; `None` of one for other addresses than those of IP.
fn description(arp: &[u8]) -> Option<String> {
    const HEADER: usize = 8;
    if arp.len() < HEADER {
        return Some(format!("truncated-arp ({})", arp.len()));
    }
    let (hardware, protocol) = (half_word(arp, 0)?, half_word(arp, 2)?);
    let operation = half_word(arp, 6)?;
    if !matches!(protocol, ethertype::IPV4 | TRAILER) || arp[5] != 4 || arp[4] == 0 {
        return None;
    }
    // What is cut off is zero.
    let mut whole = [0; Arp::LENGTH];
    let present = arp.len().min(Arp::LENGTH);
    whole[..present].copy_from_slice(&arp[..present]);
    let ip = |at: usize| Ipv4Addr::new(whole[at], whole[at + 1], whole[at + 2], whole[at + 3]);
    let ether = |at: usize| EtherAddress(*whole[at..].first_chunk().unwrap_or(&[0; 6]));
    let (sender, sender_ip, target, target_ip) = (ether(8), ip(14), ether(18), ip(24));
    let mut text = String::from(if protocol == TRAILER { "trailer-" } else { "" });
    // Writing to a string cannot fail.
    let _ = match operation {
        1 if target == EtherAddress([0; 6]) => {
            write!(text, "arp who-has {target_ip} tell {sender_ip}")
        }
        1 => write!(text, "arp who-has {target_ip} ({target}) tell {sender_ip}"),
        2 => write!(text, "arp reply {sender_ip} is-at {sender}"),
        3 => write!(text, "rarp who-is {target} tell {sender}"),
        4 => write!(text, "rarp reply {target} at {target_ip}"),
        8 => write!(text, "invarp who-is {target} tell {sender}"),
        9 => write!(text, "invarp reply {target} at {target_ip}"),
        other => write!(text, "arp-#{other}"),
    };
    const ETHERNET: u16 = 1;
    if hardware != ETHERNET {
        let _ = write!(text, "hardware #{hardware}");
    }
    Some(text)
}

impl ArpPrint {
    /// The line about a packet, where there is something to say.
    fn line(&self, packet: &Packet) -> Option<String> {
        let description = description(packet.network_header()?)?;
        let mut line = String::new();
        if !self.label.is_empty() {
            line += &self.label;
            line += ": ";
        }
        if self.timestamp {
            line += &timestamp_text(packet.timestamp());
            line += ": ";
        }
        let before_header = |header: &[u8]| {
            let rest = packet.network_header().map_or(0, <[u8]>::len);
            header.len() >= rest + 14
        };
        let frame = packet.mac_header().unwrap_or(packet.data());
        if self.ether
            && before_header(frame)
            && let Ok(header) = Ethernet::new(frame)
        {
            // Writing to a string cannot fail.
            let _ = write!(line, "{} > {}: ", header.source(), header.destination());
        }
        Some(line + &description)
    }
}

impl Element for ArpPrint {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.observe_order();
        if let Some(name) = &self.file_name {
            let file = context.environment().open_output(name, false);
            self.file = Some(file.map_err(|error| context.error(format!("{name}: {error}")))?);
        }
        Ok(())
    }

    fn cleanup(&mut self, _: &mut Context<'_>) {
        if let Some(file) = &mut self.file {
            // Nobody is left to tell.
            let _ = file.flush();
        }
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        if !self.active {
            return;
        }
        for packet in batch.iter() {
            let Some(line) = self.line(packet) else {
                continue;
            };
            let Some(file) = &mut self.file else {
                context.chatter(format_args!("{line}"));
                continue;
            };
            if let Err(error) = file.write(format!("{line}\n").as_bytes()) {
                context.chatter(format_args!("{}: {error}", context.name()));
                self.active = false;
                return;
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
            "FromDevice(in) -> SetTimestamp(1.5) -> MarkIPHeader(14) -> ARPPrint({config}) -> Discard"
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
    fn other_operations_are_told_too() {
        let mut frame = REQUEST.to_vec();
        frame[37] = 9;
        let said = |frame: &[u8]| print("TIMESTAMP false", frame);
        assert_eq!(
            said(&frame),
            "arp who-has 10.0.0.2 (00-00-00-00-00-09) tell 10.0.0.1\n"
        );
        for (operation, text) in [
            (3, "rarp who-is 00-00-00-00-00-09 tell 02-00-00-00-00-01"),
            (4, "rarp reply 00-00-00-00-00-09 at 10.0.0.2"),
            (8, "invarp who-is 00-00-00-00-00-09 tell 02-00-00-00-00-01"),
            (9, "invarp reply 00-00-00-00-00-09 at 10.0.0.2"),
            (7, "arp-#7"),
        ] {
            frame[21] = operation;
            assert_eq!(said(&frame), std::format!("{text}\n"));
        }
        frame[15] = 6;
        assert_eq!(said(&frame), "arp-#7hardware #6\n");
    }

    #[test]
    fn what_is_no_arp_packet_is_not_shown() {
        assert_eq!(
            print("TIMESTAMP false", &REQUEST[..20]),
            "truncated-arp (6)\n"
        );
        let mut other = REQUEST.to_vec();
        other[16] = 0x86;
        assert_eq!(print("TIMESTAMP false", &other), "");
        let bench = Bench::new("FromDevice(in) -> ARPPrint -> Discard");
        bench.arrive("in", REQUEST);
        bench.run();
        assert_eq!(bench.simulation.take_errors(), "");
    }
}
