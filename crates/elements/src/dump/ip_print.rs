use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Write};

use sprat_click::arguments::Word;
use sprat_click::environment::Output;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::AGGREGATE;
use sprat_packet::headers::protocol::{ICMP, TCP, UDP};
use sprat_packet::{Batch, Packet};

use super::datagram::Datagram;
use super::print::Contents;
use super::text::{Seconds, write_ascii, write_hex};

pub(super) const IP_PRINT: Class = Class::of::<IpPrint>("IPPrint").reconfigurable();

/// IPPrint: shows IP packets as tcpdump does.
///
/// ```click
/// IPPrint([LABEL, keywords CONTENTS, PAYLOAD, MAXLENGTH, ID, TTL, TOS, LENGTH, TIMESTAMP,
///         AGGREGATE, PAINT, SWAP, OUTFILE, CHANNEL, ACTIVE])
/// ```
///
/// Expects packets whose IP header is marked (CheckIPHeader, MarkIPHeader). A line a packet: LABEL,
/// time, addresses and ports, and what the protocol has to say: of TCP, its flags, sequence numbers and,
/// between parentheses, the length of its payload (where SYN and FIN count), of the packet and of IP.
/// Packets without an IP header marked are passed on in silence.
///
/// - CONTENTS, PAYLOAD: shows bytes of the packet or its payload too: `NONE` (the default), `HEX`
///   or `ASCII`; at most MAXLENGTH of them (1500).
/// - ID, TTL, TOS, LENGTH: whether to show these fields of the header; false.
/// - TIMESTAMP: whether to show the packet's time; true.
/// - AGGREGATE, PAINT: whether to show these annotations; false.
/// - SWAP: false shows ICMP identifiers and sequence numbers with their bytes swapped; true.
/// - OUTFILE: a file to write to instead of standard error.
/// - CHANNEL: accepted; all goes to standard error.
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
        let mut word = |name: &str| match arguments.keyword::<Word>(name) {
            Some(Word(word)) => word,
            None => "no".into(),
        };
        let (contents_word, payload) = (word("CONTENTS"), word("PAYLOAD"));
        let length = arguments.keyword::<i32>("MAXLENGTH");
        let length = arguments
            .keyword::<i32>("NBYTES")
            .or(length)
            .unwrap_or(1500);
        let mut flag = |name: &str, otherwise| arguments.keyword(name).unwrap_or(otherwise);
        let (id, ttl, tos) = (flag("ID", false), flag("TTL", false), flag("TOS", false));
        let (ip_length, timestamp) = (flag("LENGTH", false), flag("TIMESTAMP", true));
        let (aggregate, paint) = (flag("AGGREGATE", false), flag("PAINT", false));
        let (swap, active) = (flag("SWAP", true), flag("ACTIVE", true));
        let file_name = arguments.keyword::<String>("OUTFILE");
        arguments.keyword::<String>("CHANNEL");
        arguments.finish()?;
        let contents = Contents::read(arguments, &contents_word)?;
        let Some(payload) = Contents::of(&payload) else {
            // What Click tells of is CONTENTS.
            return Err(arguments.error(format!(
                "bad payload value '{contents_word}'; should be 'false', 'hex', or 'ascii'"
            )));
        };
        if contents != Contents::None && payload != Contents::None {
            return Err(arguments.error("specify at most one of PAYLOAD and CONTENTS"));
        }
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
            write!(line, "{}: ", Seconds(packet.timestamp()))?;
        }
        let aggregate = packet.annotations().word(AGGREGATE);
        let paint = packet.annotations().paint();
        match (self.aggregate, self.paint) {
            (true, true) => write!(line, "#{aggregate}.{paint}: ")?,
            (true, false) => write!(line, "#{aggregate}: ")?,
            (false, true) => write!(line, "paint {paint}: ")?,
            (false, false) => {}
        }
        match Datagram::of(packet) {
            Some(datagram) => self.write_ipv4(&mut line, packet, &datagram)?,
            None => line.push_str("truncated-ip"),
        }
        line.push('\n');
        self.line = line;
        Ok(())
    }

    fn write_ipv4(&self, line: &mut String, packet: &Packet, ip: &Datagram<'_>) -> fmt::Result {
        if self.id {
            write!(line, "id {} ", ip.identification())?;
        }
        if self.ttl {
            write!(line, "ttl {} ", ip.header[8])?;
        }
        if self.tos {
            write!(line, "tos {} ", ip.header[1])?;
        }
        if self.ip_length {
            write!(line, "length {} ", ip.length())?;
        }
        match ip.header[9] {
            TCP => ip.write_tcp(line, packet.len())?,
            UDP => ip.write_udp(line)?,
            ICMP => {
                write!(line, "{}: ", ip.ends())?;
                ip.write_icmp(line, self.swap)?;
            }
            other => write!(line, "{}: ip-proto-{other}", ip.ends())?,
        }
        ip.write_fragment(line)?;
        self.write_contents(line, packet, ip)
    }

    fn write_contents(&self, line: &mut String, packet: &Packet, ip: &Datagram<'_>) -> fmt::Result {
        if self.contents == Contents::None {
            return Ok(());
        }
        let bytes = if self.payload {
            let segment = packet.transport_header().unwrap_or_default();
            segment.get(ip.transport_header()..).unwrap_or_default()
        } else {
            packet.data()
        };
        let bytes = &bytes[..bytes.len().min(self.length)];
        // Twenty-four bytes in hexadecimal digits, or forty-eight characters, a line.
        let (width, hex) = match self.contents {
            Contents::Hex => (24, true),
            _ => (48, false),
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
        for packet in batch
            .iter()
            .filter(|packet| packet.network_header().is_some())
        {
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
    use std::borrow::ToOwned as _;

    use crate::testing::Bench;

    /// What is said of a packet of some IP header fields and what follows them.
    fn printed(keywords: &str, fields: [u8; 4], rest: &[u8]) -> std::string::String {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> MarkIPHeader(0) -> IPPrint(x{keywords}, TIMESTAMP false)
             -> p :: IPPrint(y, ACTIVE false) -> Discard"
        ));
        let [length, flags, offset, protocol] = fields;
        let mut packet = std::vec![0x45, 4, 0, length, 0, 9, flags, offset, 64, protocol, 0, 0];
        packet.extend([1, 0, 0, 1, 2, 0, 0, 2]);
        packet.extend(rest);
        bench.arrive("in", &packet);
        bench.run();
        bench.simulation.take_errors()
    }

    const DATAGRAM: [u8; 10] = [0, 1, 0, 2, 0, 10, 0, 0, b'h', b'i'];

    #[test]
    fn ipprint_says_what_tcpdump_would_and_what_is_asked() {
        assert_eq!(
            printed(", ID true, PAYLOAD ASCII", [30, 0, 0, 17], &DATAGRAM),
            "x: id 9 1.0.0.1.1 > 2.0.0.2.2: udp 10\n  hi\n"
        );
        assert_eq!(
            printed(
                ", TOS true, TTL true, LENGTH true, AGGREGATE true, PAINT true",
                [30, 0, 0, 99],
                b""
            ),
            "x: #0.0: ttl 64 tos 4 length 30 1.0.0.1 > 2.0.0.2: ip-proto-99\n"
        );
        assert_eq!(
            printed(", CONTENTS HEX, MAXLENGTH 26", [30, 0, 0, 17], &DATAGRAM),
            "x: 1.0.0.1.1 > 2.0.0.2.2: udp 10\n  \
             4504001e 00090000 40110000 01000001 02000002 00010002\n  000a\n"
        );
    }

    #[test]
    fn of_a_segment_that_is_cut_off_is_said_what_is_there() {
        // SYN and ACK, and FIN and PSH with three bytes: SYN and FIN count as one byte each.
        let mut segment = [
            0, 1, 0, 2, 0, 0, 0, 5, 0, 0, 0, 7, 0x50, 0x12, 1, 0, 0, 0, 0, 0,
        ];
        let tcp = |length, segment: &[u8]| printed("", [length, 0, 0, 6], segment);
        assert_eq!(
            tcp(40, &segment),
            "x: 1.0.0.1.1 > 2.0.0.2.2: S 5:6(1,40,40) ack 7 win 256\n"
        );
        segment[13] = 0x09;
        assert_eq!(
            tcp(43, &segment),
            "x: 1.0.0.1.1 > 2.0.0.2.2: FP 5:9(4,40,43) win 256\n"
        );
        segment[13] = 0xe0;
        assert_eq!(
            tcp(40, &segment[..15]),
            "x: 1.0.0.1.1 > 2.0.0.2.2: . 5:5(0,35,40)truncated-tcp\n"
        );
        assert_eq!(
            tcp(40, &segment[..13]),
            "x: 1.0.0.1.1 > 2.0.0.2.2: truncated-tcp\n"
        );
        assert_eq!(
            tcp(40, &segment[..3]),
            "x: 1.0.0.1 > 2.0.0.2: truncated-tcp\n"
        );
        let udp = |length, bytes: &[u8]| printed("", [length, 0, 0, 17], bytes);
        assert_eq!(
            udp(28, &DATAGRAM[..3]),
            "x: 1.0.0.1 > 2.0.0.2: truncated-udp\n"
        );
        // What stands behind the IP length does not count.
        assert_eq!(
            udp(27, &DATAGRAM),
            "x: 1.0.0.1.1 > 2.0.0.2.2: truncated-udp\n"
        );
    }

    #[test]
    fn fragments_are_told_from_the_first_one() {
        assert_eq!(
            printed("", [30, 0x20, 0, 17], &DATAGRAM),
            "x: 1.0.0.1.1 > 2.0.0.2.2: udp 10 (frag 9:10@0+)\n"
        );
        for (protocol, name) in [(17, "udp"), (6, "tcp"), (1, "icmp"), (99, "ip-proto-99")] {
            assert_eq!(
                printed("", [30, 0, 3, protocol], &DATAGRAM),
                std::format!("x: 1.0.0.1 > 2.0.0.2: {name} (frag 9:10@24)\n")
            );
        }
    }

    #[test]
    fn an_icmp_message_says_what_it_is_about() {
        let icmp = |keywords: &str, bytes: &[u8]| {
            let printed = printed(keywords, [56, 0, 0, 1], bytes);
            let start = "x: 1.0.0.1 > 2.0.0.2: icmp ";
            assert!(printed.starts_with(start), "{printed}");
            printed[start.len()..].trim_end().to_owned()
        };
        let echo = [8, 0, 0, 0, 1, 2, 0, 3];
        assert_eq!(icmp("", &echo), "echo (258, 3)");
        assert_eq!(icmp(", SWAP false", &echo), "echo (513, 768)");
        assert_eq!(icmp("", &[0; 8]), "echo-reply (0, 0)");
        assert_eq!(icmp("", &[0; 7]), "echo-reply truncated-icmp");
        assert_eq!(
            printed("", [56, 0, 0, 1], &[0]),
            "x: 1.0.0.1 > 2.0.0.2: truncated-icmp\n"
        );
        // Only echoes show their numbers.
        assert_eq!(icmp("", &[13, 0, 0, 0, 1, 2, 0, 3]), "timestamp");
        assert_eq!(icmp("", &[11, 1, 0, 0]), "timeexceeded reassembly");
        assert_eq!(icmp("", &[11, 7, 0, 0]), "timeexceeded code 7");
        assert_eq!(icmp("", &[77, 0, 0, 0]), "type 77");
        let unreachable = |code: u8, protocol: u8, rest: &[u8]| {
            let mut bytes = std::vec![3, code, 0, 0, 0, 0, 5, 0];
            bytes.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 1, protocol, 0, 0]);
            bytes.extend([3, 0, 0, 3, 4, 0, 0, 4]);
            bytes.extend(rest);
            icmp("", &bytes)
        };
        assert_eq!(unreachable(1, 17, &[]), "4.0.0.4 unreachable host");
        assert_eq!(
            unreachable(3, 17, &[0, 1, 0, 2]),
            "4.0.0.4 unreachable port udp/2"
        );
        assert_eq!(
            unreachable(3, 200, &[]),
            "4.0.0.4 unreachable port protocol 200truncated-icmp"
        );
        assert_eq!(unreachable(2, 6, &[]), "4.0.0.4 unreachable protocol tcp");
        assert_eq!(
            unreachable(4, 6, &[]),
            "4.0.0.4 unreachable needfrag (mtu 1280)"
        );
        assert_eq!(unreachable(99, 6, &[]), "4.0.0.4 unreachable code 99");
        assert_eq!(
            icmp("", &[3, 1, 0, 0, 0, 0, 0, 0]),
            "unreachable host truncated-icmp"
        );
    }

    #[test]
    fn packets_without_an_ip_header_are_not_shown() {
        let bench = Bench::new(
            "FromDevice(in) -> a :: IPPrint(a) -> MarkIPHeader(0) -> IPPrint(b, TIMESTAMP false)
             -> Discard",
        );
        bench.arrive("in", &[0x45; 19]);
        bench.run();
        assert_eq!(bench.simulation.take_errors(), "b: truncated-ip\n");
    }
}
