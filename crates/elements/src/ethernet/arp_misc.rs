use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Arp, ArpFields, arp_operation, ethertype};
use sprat_packet::{Batch, DEFAULT_HEADROOM, Packet};

use super::arp_responder::{FRAME, write_arp};

pub(super) const ARP_FAKER: Class = Class::of::<ArpFaker>("ARPFaker")
    .ports("0/1")
    .processing("h/h");
pub(super) const CHECK_ARP_HEADER: Class = Class::of::<CheckArpHeader>("CheckARPHeader")
    .ports("1/1-2")
    .processing("a/ah");

/// How often a reply is sent.
const INTERVAL: Duration = Duration::from_secs(10);

/// ARPFaker: sends an ARP reply every ten seconds.
///
/// ```click
/// ARPFaker(DSTIP, DSTETH, SRCIP, SRCETH)
/// ```
///
/// Tells DSTIP at DSTETH that SRCIP is at SRCETH. The reply has its Ethernet header.
///
/// See Click's manual page ARPFaker(n).
struct ArpFaker {
    reply: ArpFields,
}

impl Configure for ArpFaker {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let target_protocol = arguments.required("DSTIP");
        let target_hardware = arguments.required("DSTETH");
        let sender_protocol = arguments.required("SRCIP");
        let sender_hardware = arguments.required("SRCETH");
        arguments.finish()?;
        Ok(Self {
            reply: ArpFields {
                operation: arp_operation::REPLY,
                sender_hardware: sender_hardware?,
                sender_protocol: sender_protocol?,
                target_hardware: target_hardware?,
                target_protocol: target_protocol?,
            },
        })
    }
}

impl Element for ArpFaker {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.set_timer_after(0, INTERVAL);
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        let mut packet = context.pool().packet_zeroed(DEFAULT_HEADROOM, FRAME);
        write_arp(packet.data_mut(), self.reply.target_hardware, self.reply);
        packet.set_mac_header(0);
        packet.set_network_header(FRAME - Arp::LENGTH, 0);
        context.emit(0, packet);
        context.set_timer_after(0, INTERVAL);
    }
}

/// What is wrong with an ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Fewer bytes than the fixed part has.
    Truncated,
    /// Fewer bytes than the addresses need whose lengths it states.
    Short,
    /// Said to be of Ethernet with addresses of another length.
    Hardware,
    /// Said to be of IP with addresses of another length.
    Protocol,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Truncated, Self::Short, Self::Hardware, Self::Protocol];

    const fn text(self) -> &'static str {
        match self {
            Self::Truncated => "tiny packet",
            Self::Short => "too small for addresses",
            Self::Hardware => "bad hardware type/length",
            Self::Protocol => "bad protocol type/length",
        }
    }
}

/// CheckARPHeader: passes ARP packets that are whole.
///
/// ```click
/// CheckARPHeader([OFFSET, keywords VERBOSE, DETAILS])
/// ```
///
/// - OFFSET: where the ARP header begins; 0.
/// - VERBOSE: whether to print a message for every packet that is wrong, and not for the first
///   alone; false.
/// - DETAILS: whether to count them by cause, for `drop_details`; false.
///
/// Marks the ARP header as the network header. Packets that are wrong go to output 1, and are
/// dropped where it is not connected.
///
/// Handlers: `drops`, `drop_details` (read).
///
/// See Click's manual page CheckARPHeader(n).
struct CheckArpHeader {
    offset: usize,
    verbose: bool,
    details: bool,
    faults: [u64; Fault::ALL.len()],
}

impl Configure for CheckArpHeader {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.position::<u16>("OFFSET").unwrap_or(0);
        let verbose = arguments.keyword("VERBOSE").unwrap_or(false);
        let details = arguments.keyword("DETAILS").unwrap_or(false);
        arguments.finish()?;
        Ok(Self {
            offset: usize::from(offset),
            verbose,
            details,
            faults: [0; Fault::ALL.len()],
        })
    }
}

/// The fixed part of an ARP header, before the addresses.
const FIXED: usize = 8;

/// Checks the ARP packet at the start of `bytes`; returns its length.
fn check(bytes: &[u8]) -> Result<usize, Fault> {
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return Err(Fault::Truncated);
    };
    let length = FIXED + 2 * (usize::from(fixed[4]) + usize::from(fixed[5]));
    if bytes.len() < length {
        return Err(Fault::Short);
    }
    let half = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    const ETHERNET: u16 = 1;
    if half(0) == ETHERNET && fixed[4] != 6 {
        return Err(Fault::Hardware);
    }
    match (half(2), fixed[5]) {
        (ethertype::IPV4, 4) | (ethertype::IPV6, 16) => {}
        (ethertype::IPV4 | ethertype::IPV6, _) => return Err(Fault::Protocol),
        _ => {}
    }
    Ok(length)
}

impl CheckArpHeader {
    fn reject(&mut self, context: &mut Context<'_>, packet: Packet, fault: Fault) {
        if self.verbose || self.drops() == 0 {
            context.chatter(format_args!("ARP header check failed: {}", fault.text()));
        }
        self.faults[fault as usize] += 1;
        context.emit(1, packet);
    }

    fn drops(&self) -> u64 {
        self.faults.iter().sum()
    }
}

impl Element for CheckArpHeader {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            let bytes = packet.data().get(self.offset..).unwrap_or(&[]);
            match check(bytes) {
                Ok(length) => {
                    packet.set_network_header(self.offset, length);
                    Some(packet)
                }
                Err(fault) => {
                    self.reject(context, packet, fault);
                    None
                }
            }
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops");
        if self.details {
            list.read("drop_details");
        }
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "drops" => Ok(self.drops().to_string()),
            "drop_details" => Ok(Fault::ALL.iter().fold(String::new(), |text, fault| {
                format!("{text}{}\t{}\n", self.faults[*fault as usize], fault.text())
            })),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    const REPLY: &[u8] = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\x06\
        \0\x01\x08\0\x06\x04\0\x02\x02\0\0\0\0\x01\x0a\0\0\x01\x02\0\0\0\0\x02\x0a\0\0\x02";

    #[test]
    fn a_faker_claims_an_address_every_ten_seconds() {
        let bench =
            Bench::new("ARPFaker(10.0.0.2, 2:0:0:0:0:2, 10.0.0.1, 2:0:0:0:0:1) -> ToDevice(out)");
        bench.run_for(Duration::from_secs(25));
        assert_eq!(bench.sent("out"), [REPLY, REPLY]);
    }

    #[test]
    fn only_whole_headers_pass_and_the_causes_are_counted() {
        let bench = Bench::new(
            "FromDevice(in) -> c :: CheckARPHeader(14, DETAILS true) -> Strip(5) \
             -> StripToNetworkHeader -> ToDevice(out); c[1] -> ToDevice(bad)",
        );
        bench.arrive("in", REPLY);
        bench.arrive("in", &REPLY[..21]);
        bench.arrive("in", &REPLY[..41]);
        for place in [18, 19] {
            let mut lengths = REPLY.to_vec();
            lengths[place] = 3;
            bench.arrive("in", &lengths);
        }
        bench.run();
        assert_eq!(bench.sent("out"), [&REPLY[14..]]);
        assert_eq!(bench.sent("bad").len(), 4);
        assert_eq!(bench.read("c.drops"), "4");
        assert_eq!(
            bench.read("c.drop_details"),
            "1\ttiny packet\n1\ttoo small for addresses\n1\tbad hardware type/length\n\
             1\tbad protocol type/length\n"
        );
        // Said once, for the first.
        assert_eq!(
            bench.simulation.take_errors(),
            "ARP header check failed: tiny packet\n"
        );
    }
}
