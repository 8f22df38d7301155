use alloc::string::String;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Icmp, Ipv4, icmp_type, protocol};
use sprat_packet::{Batch, Packet};

use crate::ip::header_report::HeaderReport;

pub(super) const CHECK_ICMP_HEADER: Class = Class::of::<CheckICMPHeader>("CheckICMPHeader")
    .ports("1/1-2")
    .processing("a/ah");

/// CheckICMPHeader: checks ICMP headers.
///
/// ```click
/// CheckICMPHeader([keywords CHECKSUM, VERBOSE, DETAILS])
/// ```
///
/// Takes whole IP packets with their network header annotation set, as CheckIPHeader gives them, and
/// checks that the message is as long as its type needs and that its checksum is valid. Bad packets leave
/// by output 1 where it is used and are dropped otherwise; the first is reported.
///
/// - CHECKSUM: whether to check the checksum; true.
/// - VERBOSE: report every bad packet; false.
/// - DETAILS: count bad packets by reason, for `drop_details`; false.
///
/// Handlers: `count` good packets, `drops` bad packets, `drop_details` (all read).
///
/// See Click's manual page CheckICMPHeader(n).
pub(crate) struct CheckICMPHeader {
    checksum: bool,
    report: HeaderReport,
}

const REASONS: &[&str] = &["not ICMP", "bad packet length", "bad ICMP checksum"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Fault {
    Protocol,
    Length,
    Checksum,
}

/// Whether a message of this type may be so long (RFC 792).
fn fits(kind: u8, length: usize) -> bool {
    match kind {
        icmp_type::TIMESTAMP | icmp_type::TIMESTAMP_REPLY => length == 20,
        icmp_type::INFORMATION | icmp_type::INFORMATION_REPLY => length == 8,
        // Errors quote an IP header and the eight bytes behind it.
        kind if icmp_type::is_error(kind) => length >= 8 + 20 + 8,
        _ => true,
    }
}

#[inline]
fn check(packet: &Packet, checksum: bool) -> Result<(), Fault> {
    let bytes = packet.network_header().ok_or(Fault::Protocol)?;
    let ip = Ipv4::new(bytes).map_err(|_| Fault::Protocol)?;
    if ip.protocol() != protocol::ICMP {
        return Err(Fault::Protocol);
    }
    // All that is there counts, whatever IP says of the length.
    let message = bytes.get(ip.header_length()..).unwrap_or_default();
    let icmp = Icmp::new(message).map_err(|_| Fault::Length)?;
    if !fits(icmp.kind(), message.len()) {
        return Err(Fault::Length);
    }
    if checksum && !icmp.checksum_is_right() {
        return Err(Fault::Checksum);
    }
    Ok(())
}

impl Configure for CheckICMPHeader {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let checksum = arguments.keyword("CHECKSUM").unwrap_or(true);
        let report = HeaderReport::configure(arguments, configuration, "ICMP", REASONS);
        arguments.finish()?;
        Ok(Self { checksum, report })
    }
}

impl Element for CheckICMPHeader {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let Self { checksum, report } = self;
        batch.filter(|packet| match check(&packet, *checksum) {
            Ok(()) => Some(packet),
            Err(fault) => {
                report.bad(context, fault as usize);
                context.emit(1, packet);
                None
            }
        });
        report.good(batch.len());
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.report.handlers(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.report.read(name)
    }
}
