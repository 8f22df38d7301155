use alloc::string::{String, ToString};
use core::fmt::{self, Write};

use sprat_click::environment::Output;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::AGGREGATE;
use sprat_packet::headers::protocol::{ICMP, TCP, UDP};
use sprat_packet::headers::{Icmp, Ipv4, Tcp, Udp};
use sprat_packet::{Batch, Packet};

use crate::icmp::names as icmp_names;

use super::print::Contents;
use super::text::{Microseconds, write_ascii, write_hex};

pub(super) const IP_PRINT: Class = Class::of::<IpPrint>("IPPrint").reconfigurable();

/// IPPrint: shows IP packets as tcpdump does.
///
/// ```click
/// IPPrint([LABEL, keywords CONTENTS, PAYLOAD, MAXLENGTH, ID, TTL, TOS, LENGTH, TIMESTAMP,
///         AGGREGATE, PAINT, SWAP, OUTFILE, ACTIVE])
/// ```
///
/// Expects packets whose IP header is marked (CheckIPHeader, MarkIPHeader). A line a packet: LABEL,
/// time, addresses and ports, and what the protocol has to say.
///
/// - CONTENTS, PAYLOAD: shows bytes of the packet or its payload too: `NONE` (the default), `HEX`
///   or `ASCII`; at most MAXLENGTH of them (1500).
/// - ID, TTL, TOS, LENGTH: whether to show these fields of the header; false.
/// - TIMESTAMP: whether to show the packet's time; true.
/// - AGGREGATE, PAINT: whether to show these annotations; false.
/// - SWAP: whether ICMP identifiers are shown with their bytes swapped; false.
/// - OUTFILE: a file to write to instead of standard error.
/// - ACTIVE: whether to show anything; true.
///
/// Handlers: `active` (read, write).
///
/// See Click's manual page IPPrint(n).
struct IpPrint {
    label: String,
    contents: Contents,
    /// Whether only the payload's bytes are shown.
    payload: bool,
    length: usize,
    id: bool,
    ttl: bool,
    tos: bool,
    ip_length: bool,
    timestamp: bool,
    aggregate: bool,
    paint: bool,
    swap: bool,
    active: bool,
    file_name: Option<String>,
    file: Option<alloc::boxed::Box<dyn Output>>,
    line: String,
}

impl Configure for IpPrint {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let label = arguments.position::<String>("LABEL").unwrap_or_default();
        let contents = arguments
            .keyword::<Contents>("CONTENTS")
            .unwrap_or(Contents::None);
        let payload = arguments
            .keyword::<Contents>("PAYLOAD")
            .unwrap_or(Contents::None);
        if contents != Contents::None && payload != Contents::None {
            arguments.error("specify at most one of PAYLOAD and CONTENTS");
        }
        let length = arguments.keyword::<i32>("MAXLENGTH");
        let length = arguments
            .keyword::<i32>("NBYTES")
            .or(length)
            .unwrap_or(1500);
        let mut flag = |name: &str, otherwise| arguments.keyword(name).unwrap_or(otherwise);
        let (id, ttl, tos) = (flag("ID", false), flag("TTL", false), flag("TOS", false));
        let (ip_length, timestamp) = (flag("LENGTH", false), flag("TIMESTAMP", true));
        let (aggregate, paint) = (flag("AGGREGATE", false), flag("PAINT", false));
        let (swap, active) = (flag("SWAP", false), flag("ACTIVE", true));
        let file_name = arguments.keyword::<String>("OUTFILE");
        arguments.finish()?;
        Ok(Self {
            label,
            contents: if payload == Contents::None {
                contents
            } else {
                payload
            },
            payload: payload != Contents::None,
            length: usize::try_from(length).unwrap_or(usize::MAX),
            id,
            ttl,
            tos,
            ip_length,
            timestamp,
            aggregate,
            paint,
            swap,
            active,
            file_name,
            file: None,
            line: String::new(),
        })
    }
}

impl IpPrint {
    fn write(&mut self, packet: &Packet) -> fmt::Result {
        let mut line = core::mem::take(&mut self.line);
        if !self.label.is_empty() {
            write!(line, "{}: ", self.label)?;
        }
        if self.timestamp {
            write!(line, "{}: ", Microseconds(packet.timestamp()))?;
        }
        if self.aggregate {
            write!(line, "#{}: ", packet.annotations().word(AGGREGATE))?;
        }
        if self.paint {
            write!(line, "paint {}: ", packet.annotations().paint())?;
        }
        match packet.network_header().map(Ipv4::new) {
            Some(Ok(header)) => self.write_ipv4(&mut line, packet, &header)?,
            Some(Err(_)) => write!(line, "truncated-ip")?,
            None => write!(line, "(Not an IP packet)")?,
        }
        line.push('\n');
        self.line = line;
        Ok(())
    }

    fn write_ipv4(&self, line: &mut String, packet: &Packet, header: &Ipv4<'_>) -> fmt::Result {
        if self.id {
            write!(line, "id {} ", header.identification())?;
        }
        if self.ttl {
            write!(line, "ttl {} ", header.time_to_live())?;
        }
        if self.tos {
            write!(line, "tos {} ", header.dscp() << 2 | header.ecn())?;
        }
        if self.ip_length {
            write!(line, "length {} ", header.total_length())?;
        }
        let (source, destination) = (header.source(), header.destination());
        let first = header.is_first_fragment();
        match header.protocol() {
            TCP if first => match Tcp::new(header.payload()) {
                Ok(tcp) => write_tcp(line, packet, header, &tcp)?,
                Err(_) => write!(line, "{source} > {destination}: truncated-tcp")?,
            },
            UDP if first => match Udp::new(header.payload()) {
                Ok(udp) => {
                    let (from, to) = (udp.source_port(), udp.destination_port());
                    write!(
                        line,
                        "{source}.{from} > {destination}.{to}: udp {}",
                        udp.length()
                    )?;
                }
                Err(_) => write!(line, "{source} > {destination}: truncated-udp")?,
            },
            ICMP if first => {
                write!(line, "{source} > {destination}: icmp ")?;
                match Icmp::new(header.payload()) {
                    Ok(icmp) => self.write_icmp(line, &icmp)?,
                    Err(_) => line.push_str("truncated-icmp"),
                }
            }
            number => {
                write!(line, "{source} > {destination}: ")?;
                match number {
                    TCP => line.push_str("tcp"),
                    UDP => line.push_str("udp"),
                    ICMP => line.push_str("icmp"),
                    _ => write!(line, "ip-proto-{number}")?,
                }
            }
        }
        if header.is_fragment() {
            let length = usize::from(header.total_length()).saturating_sub(header.header_length());
            let more = if header.more_fragments() { "+" } else { "" };
            write!(
                line,
                " (frag {}:{length}@{}{more})",
                header.identification(),
                header.fragment_offset()
            )?;
        }
        self.write_contents(line, packet, header)
    }

    fn write_icmp(&self, line: &mut String, icmp: &Icmp<'_>) -> fmt::Result {
        let (kind, code) = (icmp.kind(), icmp.code());
        let name = icmp_names::type_name(kind);
        match name {
            Some(name) => line.push_str(name),
            None => write!(line, "#{kind}")?,
        }
        if icmp_names::has_identifier(kind) {
            let swap = |value: u16| if self.swap { value.swap_bytes() } else { value };
            write!(
                line,
                " ({}, {})",
                swap(icmp.identifier()),
                swap(icmp.sequence())
            )?;
        } else if let Some(code_name) = icmp_names::code_name(kind, code) {
            write!(line, " {code_name}")?;
        } else if icmp_names::has_codes(kind) || code != 0 {
            write!(line, " #{code}")?;
        }
        Ok(())
    }

    fn write_contents(&self, line: &mut String, packet: &Packet, header: &Ipv4<'_>) -> fmt::Result {
        if self.contents == Contents::None {
            return Ok(());
        }
        let bytes = if self.payload {
            payload(header)
        } else {
            packet.data()
        };
        let bytes = &bytes[..bytes.len().min(self.length)];
        // Twenty characters of hexadecimal groups, or forty-eight of text, a line.
        let (width, hex) = if self.contents == Contents::Hex {
            (20, true)
        } else {
            (48, false)
        };
        for piece in bytes.chunks(width) {
            line.push_str("\n  ");
            if hex {
                write_hex(line, piece)?;
            } else {
                write_ascii(line, piece);
            }
        }
        Ok(())
    }
}

/// What the packet's transport protocol carries.
fn payload<'a>(header: &Ipv4<'a>) -> &'a [u8] {
    let segment = header.payload();
    let skip = match header.protocol() {
        _ if !header.is_first_fragment() => 0,
        TCP => Tcp::new(segment).map_or(0, |tcp| tcp.header_length()),
        UDP | ICMP => 8,
        _ => 0,
    };
    segment.get(skip..).unwrap_or(&[])
}

fn write_tcp(line: &mut String, packet: &Packet, header: &Ipv4<'_>, tcp: &Tcp<'_>) -> fmt::Result {
    write!(
        line,
        "{}.{} > {}.{}: ",
        header.source(),
        tcp.source_port(),
        header.destination(),
        tcp.destination_port()
    )?;
    let flags = tcp.flags();
    if flags == 0 {
        line.push('.');
    }
    let mut letters = "FSRPAUXY"
        .chars()
        .enumerate()
        .filter(|(bit, _)| flags >> bit & 1 == 1)
        .peekable();
    let shown: String = letters
        .by_ref()
        .filter(|(bit, _)| *bit != 4)
        .map(|(_, letter)| letter)
        .collect();
    if flags != 0 {
        line.push_str(if shown.is_empty() { "." } else { &shown });
    }
    let total = usize::from(header.total_length());
    let length = total.saturating_sub(header.header_length() + tcp.header_length());
    let mut end = tcp
        .sequence()
        .wrapping_add(u32::try_from(length).unwrap_or(0));
    end = end.wrapping_add(u32::from(flags & 1) + u32::from(flags >> 1 & 1));
    let captured = packet.network_header().map_or(0, <[u8]>::len);
    write!(
        line,
        " {}:{end}({length},{total},{captured})",
        tcp.sequence()
    )?;
    if flags & 0x10 != 0 {
        write!(line, " ack {}", tcp.acknowledgement())?;
    }
    write!(line, " win {}", tcp.window())?;
    if flags & 0x20 != 0 {
        write!(line, " urg {}", tcp.urgent())?;
    }
    Ok(())
}

impl Element for IpPrint {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.observe_order();
        if let Some(name) = &self.file_name {
            let file = context.environment().open_output(name, false);
            self.file =
                Some(file.map_err(|error| context.error(alloc::format!("{name}: {error}")))?);
        }
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        if !self.active || batch.is_empty() {
            return;
        }
        self.line.clear();
        for packet in batch.iter() {
            // Writing to a string cannot fail.
            let _ = self.write(packet);
        }
        match &mut self.file {
            Some(file) => {
                if let Err(error) = file.write(self.line.as_bytes()) {
                    context.chatter(format_args!("{}: {error}", context.name()));
                    self.active = false;
                }
            }
            None => context.say(self.line.as_bytes()),
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("active");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(self.active.to_string())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.active = crate::handler_value(context, value)?;
        Ok(())
    }

    fn cleanup(&mut self, _: &mut Context<'_>) {
        if let Some(file) = &mut self.file {
            // Nobody is left to tell.
            let _ = file.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn ipprint_says_what_tcpdump_would_and_what_is_asked() {
        let bench = Bench::new(
            "FromDevice(in) -> MarkIPHeader(0)
               -> IPPrint(x, TIMESTAMP false, ID true, PAYLOAD ASCII)
               -> p :: IPPrint(y, ACTIVE false) -> Discard",
        );
        let mut packet = [0; 30];
        packet[..10].copy_from_slice(&[0x45, 0, 0, 30, 0, 9, 0, 0, 64, 17]);
        packet[12..20].copy_from_slice(&[1, 0, 0, 1, 2, 0, 0, 2]);
        packet[20..28].copy_from_slice(&[0, 1, 0, 2, 0, 10, 0, 0]);
        packet[28..].copy_from_slice(b"hi");
        bench.arrive("in", &packet);
        bench.run();
        assert_eq!(
            bench.simulation.take_errors(),
            "x: id 9 1.0.0.1.1 > 2.0.0.2.2: udp 10\n  hi\n"
        );
    }
}
