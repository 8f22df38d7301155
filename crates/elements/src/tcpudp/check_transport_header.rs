use core::marker::PhantomData;

use alloc::string::String;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Ipv4, Tcp, Udp, protocol};
use sprat_packet::{Batch, Packet};

use crate::ip::header_report::HeaderReport;

pub(super) const CHECK_TCP_HEADER: Class =
    Class::of::<CheckTransportHeader<TcpCheck>>("CheckTCPHeader")
        .ports("1/1-2")
        .processing("a/ah");
pub(super) const CHECK_UDP_HEADER: Class =
    Class::of::<CheckTransportHeader<UdpCheck>>("CheckUDPHeader")
        .ports("1/1-2")
        .processing("a/ah");

/// CheckTCPHeader, CheckUDPHeader: check TCP and UDP headers.
///
/// ```click
/// CheckTCPHeader([keywords CHECKSUM, VERBOSE, DETAILS])
/// CheckUDPHeader([keywords CHECKSUM, VERBOSE, DETAILS])
/// ```
///
/// Takes whole IP packets with their network header annotation set, as CheckIPHeader gives them, and
/// checks that lengths and checksum are valid. A UDP checksum of zero says that there is none, and is
/// valid. Bad packets leave by output 1 where it is used and are dropped otherwise; the first is reported.
///
/// - CHECKSUM: whether to check the checksum; true.
/// - VERBOSE: report every bad packet; false.
/// - DETAILS: count bad packets by reason, for `drop_details`; false.
///
/// Handlers: `count` good packets, `drops` bad packets, `drop_details` (all read).
///
/// See Click's manual pages CheckTCPHeader(n) and CheckUDPHeader(n).
pub(crate) struct CheckTransportHeader<T> {
    checksum: bool,
    report: HeaderReport,
    check: PhantomData<T>,
}

/// What is wrong, as a place among the reasons of either protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    Protocol,
    Length,
    Checksum,
}

/// The check of one protocol.
pub(crate) trait Check: 'static {
    /// Its name in messages.
    const NAME: &'static str;
    /// Its number.
    const PROTOCOL: u8;
    /// A text for each [`Fault`].
    const REASONS: &'static [&'static str];
    /// Checks what follows the IP header.
    fn check(ip: &Ipv4<'_>, checksum: bool) -> Result<(), Fault>;
}

/// Of TCP.
pub(crate) struct TcpCheck;

/// Of UDP.
pub(crate) struct UdpCheck;

/// The payload's length; at most that of an IP packet.
fn length(payload: &[u8]) -> u16 {
    u16::try_from(payload.len()).unwrap_or(u16::MAX)
}

impl Check for TcpCheck {
    const NAME: &'static str = "TCP";
    const PROTOCOL: u8 = protocol::TCP;
    const REASONS: &'static [&'static str] = &["not TCP", "bad packet length", "bad TCP checksum"];

    #[inline]
    fn check(ip: &Ipv4<'_>, checksum: bool) -> Result<(), Fault> {
        let payload = ip.payload();
        let tcp = Tcp::new(payload).map_err(|_| Fault::Length)?;
        if checksum && !tcp.checksum_is_right(ip.pseudo_header(length(payload))) {
            return Err(Fault::Checksum);
        }
        Ok(())
    }
}

impl Check for UdpCheck {
    const NAME: &'static str = "UDP";
    const PROTOCOL: u8 = protocol::UDP;
    const REASONS: &'static [&'static str] = &["not UDP", "bad packet length", "bad UDP checksum"];

    #[inline]
    fn check(ip: &Ipv4<'_>, checksum: bool) -> Result<(), Fault> {
        let payload = ip.payload();
        let udp = Udp::new(payload).map_err(|_| Fault::Length)?;
        let stated = usize::from(udp.length());
        if stated < 8 || stated > payload.len() {
            return Err(Fault::Length);
        }
        let checked = checksum && udp.checksum() != 0;
        if checked && !udp.checksum_is_right(ip.pseudo_header(udp.length())) {
            return Err(Fault::Checksum);
        }
        Ok(())
    }
}

#[inline]
fn check<T: Check>(packet: &Packet, checksum: bool) -> Result<(), Fault> {
    let bytes = packet.network_header().ok_or(Fault::Protocol)?;
    let ip = Ipv4::new(bytes).map_err(|_| Fault::Protocol)?;
    if ip.protocol() != T::PROTOCOL {
        return Err(Fault::Protocol);
    }
    if bytes.len() < usize::from(ip.total_length()) {
        return Err(Fault::Length);
    }
    T::check(&ip, checksum)
}

impl<T: Check> Configure for CheckTransportHeader<T> {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let checksum = arguments.keyword("CHECKSUM").unwrap_or(true);
        let report = HeaderReport::configure(arguments, configuration, T::NAME, T::REASONS);
        arguments.finish()?;
        Ok(Self {
            checksum,
            report,
            check: PhantomData,
        })
    }
}

impl<T: Check> Element for CheckTransportHeader<T> {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let Self {
            checksum, report, ..
        } = self;
        batch.filter(|packet| match check::<T>(&packet, *checksum) {
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
