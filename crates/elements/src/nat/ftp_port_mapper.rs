use alloc::format;
use alloc::vec::Vec;

use sprat_click::arguments::ElementName;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, ElementId, Rejected,
};
use sprat_packet::checksum::{AddressesAndPorts, Sum, update_u16};
use sprat_packet::flow::FlowKey;
use sprat_packet::headers::protocol::TCP;
use sprat_packet::{Batch, Packet};

use super::rewriter::{Kind, Rewriter};

/// FTPPortMapper: lets FTP's data connections through rewriters.
///
/// ```click
/// FTPPortMapper(CONTROL_REWRITER, DATA_REWRITER, DATA_REWRITER_INPUT)
/// ```
///
/// Takes the control connections' packets from FTP clients, before CONTROL_REWRITER (a TCPRewriter
/// or IPRewriter) rewrites them. Where one of a known connection begins with a whole PORT command
/// (RFC 959), which names the address and port at which the client expects the server's data
/// connection, it
///
/// - begins a flow in DATA_REWRITER, as if a packet from that address and port to the server's
///   data port (one less than its control port) had come in at DATA_REWRITER_INPUT;
/// - writes the address and port that the flow was given into the command, and follows in lengths and
///   checksums;
/// - has CONTROL_REWRITER shift the sequence numbers of what comes after, for the command may have
///   become longer or shorter.
///
/// The two rewriters may be one. Everything else passes unchanged: other packets, commands that are
/// not whole or not the packet's first, and those for which no flow can be had.
///
/// See Click's manual page FTPPortMapper(n).
pub(super) const FTP_PORT_MAPPER: Class =
    Class::of::<FtpPortMapper>("FTPPortMapper").reconfigurable();

struct FtpPortMapper {
    control: ElementId,
    data: ElementId,
    input: usize,
}

impl Configure for FtpPortMapper {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let control = rewriter(
            arguments,
            configuration,
            "CONTROL_REWRITER",
            Kind::tracks_tcp,
        );
        let data = rewriter(arguments, configuration, "DATA_REWRITER", |_| true);
        let input = arguments.required("DATA_REWRITER_INPUT");
        arguments.finish()?;
        Ok(Self {
            control: control?,
            data: data?,
            input: input?,
        })
    }
}

/// An argument that names a rewriter of a suitable kind.
fn rewriter(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
    argument: &str,
    suits: impl Fn(Kind) -> bool,
) -> Result<ElementId, Rejected> {
    let ElementName(name) = arguments.required(argument)?;
    let Some(found) = configuration.find(&name) else {
        return Err(arguments.error(format!("{argument}: does not name an element")));
    };
    if Kind::of(configuration.class_of(found).name).is_some_and(&suits) {
        return Ok(found);
    }
    // As Click calls the class that all rewriters are of.
    let wanted = if argument == "CONTROL_REWRITER" {
        "TCPRewriter"
    } else {
        "IPRewriterBase"
    };
    Err(arguments.error(format!(
        "{argument}: element type mismatch, expected {wanted}"
    )))
}

/// Bytes of IPv4 and TCP headers without options.
const IPV4: usize = 20;
const HEADER: usize = 20;

/// A PORT command in a packet.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    /// Where the TCP header and its payload stand, from the IPv4 header on.
    segment: usize,
    payload: usize,
    /// Where its argument stands in the payload.
    argument: core::ops::Range<usize>,
    /// The client's address and port.
    address: u32,
    port: u16,
}

impl Command {
    /// Reads the command at the beginning of a TCP packet's payload.
    fn read(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; IPV4] = packet.first_chunk()?;
        let segment = usize::from(fixed[0] & 15) * 4;
        let fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff;
        if fixed[0] >> 4 != 4 || segment < IPV4 || fixed[9] != TCP || fragment != 0 {
            return None;
        }
        let length = usize::from(packet.get(segment + 12)? >> 4) * 4;
        let payload = segment + length;
        let text = packet.get(payload..).filter(|_| length >= HEADER)?;
        let (word, rest) = text.split_at_checked(5)?;
        if !word.eq_ignore_ascii_case(b"PORT ") {
            return None;
        }
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        let argument = rest[spaces..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || **byte == b',')
            .count();
        let argument = word.len() + spaces..word.len() + spaces + argument;
        if !matches!(text.get(argument.end), Some(b'\r' | b'\n')) {
            return None;
        }
        let mut numbers = [0; 6];
        let mut parts = text[argument.clone()].split(|byte| *byte == b',');
        for number in &mut numbers {
            *number = core::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        }
        let [a, b, c, d, high, low] = numbers;
        parts.next().is_none().then_some(Self {
            segment,
            payload,
            argument,
            address: u32::from_be_bytes([a, b, c, d]),
            port: u16::from_be_bytes([high, low]),
        })
    }

    /// What packets of the data connection carry that the client sends.
    fn data_key(&self, control: &FlowKey) -> FlowKey {
        let tuple = AddressesAndPorts {
            source: self.address,
            source_port: self.port,
            destination: control.destination().to_bits(),
            destination_port: control.destination_port().wrapping_sub(1),
        };
        FlowKey::new(tuple, TCP)
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from(half(bytes, at)) << 16 | u32::from(half(bytes, at + 2))
}

/// Puts `text` in the place of a command's argument, and follows in lengths and checksums.
/// Everything from the network header on counts as the packet.
fn replace_argument(packet: &mut Packet, command: &Command, text: &[u8]) {
    let Some(start) = packet
        .network_header()
        .map(|header| packet.len() - header.len())
    else {
        return;
    };
    let at = start + command.payload;
    let (from, to) = (at + command.argument.start, at + command.argument.end);
    let end = packet.len();
    if text.len() > to - from {
        packet.append(text.len() - (to - from));
    }
    let data = packet.data_mut();
    data.copy_within(to..end, from + text.len());
    data[from..from + text.len()].copy_from_slice(text);
    packet.truncate(end - (to - from) + text.len());

    let header = &mut packet.data_mut()[start..];
    let (old, new) = (
        half(header, 2),
        u16::try_from(header.len()).unwrap_or(u16::MAX),
    );
    let sum = update_u16(half(header, 10), old, new);
    header[2..4].copy_from_slice(&new.to_be_bytes());
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let addresses = Sum::of(&header[12..20]);
    let segment = &mut header[command.segment..];
    segment[16..18].fill(0);
    let length = u16::try_from(segment.len()).unwrap_or(u16::MAX);
    let sum = addresses
        .add_u16(u16::from(TCP))
        .add_u16(length)
        .add_bytes(segment)
        .finish();
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
}

impl FtpPortMapper {
    /// Rewrites a packet that begins with a PORT command; `None` where it stays as it is.
    fn rewrite(&self, context: &Context<'_>, packet: &mut Packet) -> Option<()> {
        let header = packet.network_header()?;
        let command = Command::read(header)?;
        let segment = &header[command.segment..];
        let sequence = word(segment, 4);
        let length = header.len() - command.payload;
        let control_key = FlowKey::new(
            AddressesAndPorts {
                source: word(header, 12),
                destination: word(header, 16),
                source_port: half(segment, 0),
                destination_port: half(segment, 2),
            },
            TCP,
        );
        let (control, annotation) = context
            .with(self.control, |rewriter: &mut Rewriter, _| {
                let entry = rewriter.find(&control_key)?;
                let table = rewriter.table().borrow();
                Some((entry, table.flow(entry.id()).reply_annotation))
            })
            .flatten()?;
        let data_key = command.data_key(&control_key);
        let new = context
            .with(self.data, |rewriter: &mut Rewriter, context| {
                let entry = rewriter.find_or_begin(context, &data_key, self.input)?;
                let mut table = rewriter.table().borrow_mut();
                let flow = table.flow_mut(entry.id());
                // What is known of the control connection goes for its data.
                flow.reply_annotation = annotation;
                Some(rewriter.given(flow, entry.direction(), &data_key))
            })
            .flatten()?;
        let [a, b, c, d] = new.source().octets();
        let [high, low] = new.source_port().to_be_bytes();
        let text = format!("{a},{b},{c},{d},{high},{low}");
        let grown = i32::try_from(text.len()).unwrap_or(0)
            - i32::try_from(command.argument.len()).unwrap_or(0);
        replace_argument(packet, &command, text.as_bytes());
        context.with(self.control, |rewriter: &mut Rewriter, _| {
            // A full table may have given the control connection up for its data connection.
            if rewriter.find(&control_key) == Some(control) {
                let mut table = rewriter.table().borrow_mut();
                let from = sequence.wrapping_add(u32::try_from(length).unwrap_or(0));
                let shifts = table.sequence_shifts_mut(control.id());
                shifts.add(control.direction(), from, grown);
            }
        })
    }

    /// Whether packets that leave here can come to the rewriter of control connections.
    fn leads_to_control(&self, context: &Context<'_>) -> bool {
        let mut seen = Vec::from([context.id()]);
        let mut next = 0;
        while let Some(id) = seen.get(next).copied() {
            next += 1;
            let outputs = context.router().outputs_of(id);
            for (to, _) in outputs.into_iter().flat_map(|(_, to)| to) {
                if !seen.contains(&to) {
                    seen.push(to);
                }
            }
        }
        seen[1..].contains(&self.control)
    }
}

impl Element for FtpPortMapper {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let inputs = context.with(self.data, |rewriter: &mut Rewriter, _| rewriter.inputs());
        if inputs.is_none_or(|inputs| self.input >= inputs) {
            return Err(context.error("DATA_REWRITER_INPUT out of range"));
        }
        if !self.leads_to_control(context) {
            let router = context.router();
            let (name, class) = (router.name(self.control), router.class(self.control).name);
            let warning = format!("control packet rewriter '{name} :: {class}' is not downstream");
            context.warning(warning);
        }
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            self.rewrite(context, packet);
        }
    }
}

#[cfg(test)]
#[path = "ftp_port_mapper_tests.rs"]
mod tests;
