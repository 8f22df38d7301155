use sprat_click::arguments::{Argument, TcpPort, UdpPort};
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{Ipv4Mut, UdpMut};
use sprat_packet::{Batch, Packet};

pub(super) const FORCE_TCP: Class = Class::of::<ForceTCP>("ForceTCP");
pub(super) const FORCE_UDP: Class = Class::of::<ForceUDP>("ForceUDP");

/// ForceTCP: makes packets look like TCP.
///
/// ```click
/// ForceTCP([DPORT, RANDOM_DPORT, FLAGS])
/// ```
///
/// For streams of random packets, to try what others make of them. Where the data offset lies outside the
/// packet, another one is written, of which some lie outside the header still; the checksum is made anew.
/// Packets need their network header annotation set; those that are too short for TCP, or for what their
/// IP header says, are dropped and reported as `bad lengths`.
///
/// - DPORT: the destination port to write; 0, none.
/// - RANDOM_DPORT: without a DPORT, whether to write others: of each eight packets the first two get port
///   80 and the fourth a random one below 1024; false.
/// - FLAGS: the flags to write, a number; -1, none.
///
/// See Click's class ForceTCP, of its folder `local`.
pub(crate) struct ForceTCP {
    port: u16,
    random: bool,
    flags: Option<u8>,
    count: u8,
}

/// ForceUDP: makes packets look like UDP.
///
/// ```click
/// ForceUDP([DPORT])
/// ```
///
/// For streams of random packets, to try what others make of them. Writes the length that the IP header
/// says and the destination port DPORT, or a random one below 1024 where that is -1, as it is unless
/// given; the checksum is made anew. Packets need their network header annotation set; those that are too
/// short for UDP are dropped and reported as `bad lengths`.
///
/// See Click's class ForceUDP, of its folder `local`.
pub(crate) struct ForceUDP {
    port: Option<u16>,
}

/// Ports for which one needs rights.
const PRIVILEGED_PORTS: u32 = 1024;

impl Configure for ForceTCP {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let port = arguments.position("DPORT").map(|TcpPort(port)| port);
        let random = arguments.position("RANDOM_DPORT").unwrap_or(false);
        let flags = arguments.position::<i32>("FLAGS").unwrap_or(-1);
        arguments.finish()?;
        // As Click does, which takes the low bits of any number but -1.
        let [low, ..] = flags.to_le_bytes();
        Ok(Self {
            port: port.unwrap_or(0),
            random,
            flags: (flags != -1).then_some(low),
            count: 0,
        })
    }
}

impl Configure for ForceUDP {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let port = arguments.position_with("DPORT", |text, names| match text {
            "-1" => Ok(None),
            port => UdpPort::parse(port, names).map(|UdpPort(port)| Some(port)),
        });
        arguments.finish()?;
        Ok(Self {
            port: port.flatten(),
        })
    }
}

/// A random number below `bound`, as a port or an offset.
fn below(context: &Context<'_>, bound: u32) -> u16 {
    u16::try_from(context.random_below(bound)).unwrap_or(0)
}

/// The header of a packet, and how many bytes it says that there are behind.
fn network(packet: &mut Packet) -> Option<(Ipv4Mut<'_>, u16)> {
    let ip = Ipv4Mut::new(packet.network_header_mut()?).ok()?;
    let length = usize::from(ip.total_length()).checked_sub(ip.header_length())?;
    Some((ip, u16::try_from(length).ok()?))
}

impl ForceTCP {
    fn force(&mut self, context: &Context<'_>, packet: &mut Packet) -> Option<()> {
        let (mut ip, length) = network(packet)?;
        let pseudo_header = ip.pseudo_header(length);
        let segment = ip.payload_mut();
        if segment.len() < usize::from(length) || length < 20 {
            return None;
        }
        let offset = u16::from(segment[12] >> 4) * 4;
        if offset < 20 || offset > length {
            let offset = match length - 20 {
                0 => length,
                more => below(context, u32::from(more)),
            };
            // The low four bits of the number of words are what there is room for.
            let [words, _] = (offset >> 2).to_le_bytes();
            segment[12] = segment[12] & 0x0f | words << 4;
        }
        if let Some(flags) = self.flags {
            segment[13] = flags;
        }
        let port = match self.count & 7 {
            _ if self.port > 0 => Some(self.port),
            0 | 1 if self.random => Some(80),
            3 if self.random => Some(below(context, PRIVILEGED_PORTS)),
            _ => None,
        };
        if let Some(port) = port {
            segment[2..4].copy_from_slice(&port.to_be_bytes());
        }
        self.count = self.count.wrapping_add(1);
        segment[16..18].fill(0);
        let checksum = pseudo_header.add_bytes(segment).finish();
        segment[16..18].copy_from_slice(&checksum.to_be_bytes());
        Some(())
    }
}

impl ForceUDP {
    fn force(&self, context: &Context<'_>, packet: &mut Packet) -> Option<()> {
        let (mut ip, length) = network(packet)?;
        let pseudo_header = ip.pseudo_header(length);
        if length < 8 {
            return None;
        }
        let mut udp = UdpMut::new(ip.payload_mut()).ok()?;
        udp.set_length(length);
        udp.set_destination_port(
            self.port
                .unwrap_or_else(|| below(context, PRIVILEGED_PORTS)),
        );
        udp.fill_checksum(pseudo_header);
        Some(())
    }
}

impl Element for ForceTCP {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.retain(|packet| {
            let forced = self.force(context, packet).is_some();
            if !forced {
                context.chatter(format_args!("ForceTCP: bad lengths"));
            }
            forced
        });
    }
}

impl Element for ForceUDP {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.retain(|packet| {
            let forced = self.force(context, packet).is_some();
            if !forced {
                context.chatter(format_args!("ForceUDP: bad lengths"));
            }
            forced
        });
    }
}
