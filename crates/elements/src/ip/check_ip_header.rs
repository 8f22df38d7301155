use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, ArgumentError, Ipv4Prefix, Names, split_words};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{HeaderError, Ipv4};
use sprat_packet::{Batch, Packet};

use super::header_report::HeaderReport;

pub(super) const CHECK_IP_HEADER: Class = Class::of::<CheckIPHeader>("CheckIPHeader")
    .ports("1/1-2")
    .processing("a/ah");
pub(super) const CHECK_IP_HEADER_2: Class = CHECK_IP_HEADER.named("CheckIPHeader2");

/// CheckIPHeader, CheckIPHeader2: checks IP headers.
///
/// ```click
/// CheckIPHeader([OFFSET, keywords OFFSET, INTERFACES, BADSRC, GOODDST, CHECKSUM, VERBOSE, DETAILS])
/// ```
///
/// Takes packets whose IP header begins OFFSET bytes in (0), and checks that their lengths, version and
/// checksum are valid. Good packets leave by output 0 with the network header and the destination
/// annotation set, cut to the length that the header states. Bad ones leave by output 1 where it is
/// used and are dropped otherwise; the first is reported.
///
/// - CHECKSUM: whether to check the checksum; true. CheckIPHeader2 never does.
/// - BADSRC: addresses, set apart by spaces, which no source may be. None by default.
/// - GOODDST: destinations whose packets may have any source.
/// - INTERFACES: the router's addresses with their prefixes. Their networks' broadcast addresses (and
///   0.0.0.0 and 255.255.255.255) become bad sources, the addresses good destinations.
/// - VERBOSE: report every bad packet; false.
/// - DETAILS: count bad packets by reason, for `drop_details`; false.
///
/// Handlers: `count` good packets, `drops` bad packets, `drop_details` (all read).
///
/// See Click's manual page CheckIPHeader(n).
pub(crate) struct CheckIPHeader {
    offset: usize,
    checker: HeaderChecker,
    report: HeaderReport,
}

/// Reasons by place; see [`Fault`].
pub(super) const REASONS: &[&str] = &[
    "tiny packet",
    "bad IP version",
    "bad IP header length",
    "bad IP length",
    "bad IP checksum",
    "bad source address",
];

/// What is wrong with a header: a place in [`REASONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fault {
    Tiny,
    Version,
    HeaderLength,
    Length,
    Checksum,
    Source,
}

/// The check itself, which other elements do as part of their work.
pub(super) struct HeaderChecker {
    checksum: bool,
    bad_sources: AddressSet,
    good_destinations: AddressSet,
}

/// A few addresses, four by four so that they are compared at once.
#[derive(Default)]
struct AddressSet {
    /// The last is filled up with one of its own.
    fours: Vec<[u32; 4]>,
}

impl AddressSet {
    fn new(addresses: &[Ipv4Addr]) -> Self {
        let four = |chunk: &[Ipv4Addr]| {
            core::array::from_fn(|at| {
                chunk
                    .get(at)
                    .or(chunk.first())
                    .map_or(0, |address| address.to_bits())
            })
        };
        Self {
            fours: addresses.chunks(4).map(four).collect(),
        }
    }

    #[inline]
    fn contains(&self, address: Ipv4Addr) -> bool {
        let address = address.to_bits();
        self.fours.iter().any(|four| {
            four.iter()
                .fold(false, |found, known| found | (*known == address))
        })
    }
}

impl HeaderChecker {
    /// Reads the keywords INTERFACES, BADSRC, GOODDST and CHECKSUM.
    pub(super) fn configure(arguments: &mut Arguments<'_>) -> Self {
        let Interfaces(interfaces) = arguments.keyword("INTERFACES").unwrap_or_default();
        let AddressList(mut bad_sources) = arguments.keyword("BADSRC").unwrap_or_default();
        let AddressList(mut good_destinations) = arguments.keyword("GOODDST").unwrap_or_default();
        if !interfaces.is_empty() {
            bad_sources.extend([Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST]);
        }
        for interface in interfaces {
            // That of a network of one address is the address.
            let broadcast = interface.address.to_bits() | !interface.mask.to_bits();
            bad_sources.push(Ipv4Addr::from_bits(broadcast));
            good_destinations.push(interface.address);
        }
        Self {
            checksum: arguments.keyword("CHECKSUM").unwrap_or(true),
            bad_sources: AddressSet::new(&bad_sources),
            good_destinations: AddressSet::new(&good_destinations),
        }
    }

    /// Takes a list of bad sources in its old form, to which two belong always.
    pub(super) fn reject_sources(&mut self, list: &[Ipv4Addr]) {
        let always = [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST];
        self.bad_sources = AddressSet::new(&[&always[..], list].concat());
    }

    /// Checks the header `offset` bytes into the packet, and where it is good marks it, cuts the packet to
    /// its length and notes its destination.
    #[inline]
    pub(super) fn check(&self, packet: &mut Packet, offset: usize) -> Result<(), Fault> {
        let bytes = packet.data().get(offset..).unwrap_or_default();
        let ip = Ipv4::new(bytes).map_err(|error| match error {
            HeaderError::Truncated if bytes.len() < 20 => Fault::Tiny,
            HeaderError::Version => Fault::Version,
            HeaderError::HeaderLength => Fault::HeaderLength,
            HeaderError::Truncated => Fault::Length,
        })?;
        let length = usize::from(ip.total_length());
        let header_length = ip.header_length();
        if length > bytes.len() || length < header_length {
            return Err(Fault::Length);
        }
        if self.checksum && !ip.checksum_is_right() {
            return Err(Fault::Checksum);
        }
        if self.bad_sources.contains(ip.source())
            && !self.good_destinations.contains(ip.destination())
        {
            return Err(Fault::Source);
        }
        let destination = ip.destination();
        packet.truncate(offset + length);
        packet.set_network_header(offset, header_length);
        packet.set_destination(destination);
        Ok(())
    }
}

/// Addresses set apart by spaces.
#[derive(Default)]
pub(crate) struct AddressList(pub(crate) Vec<Ipv4Addr>);

impl Argument for AddressList {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        split_words(text)
            .iter()
            .map(|word| Ipv4Addr::parse(word, names))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Addresses with prefixes, set apart by spaces.
#[derive(Default)]
struct Interfaces(Vec<Ipv4Prefix>);

impl Argument for Interfaces {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        split_words(text)
            .iter()
            .map(|word| Ipv4Prefix::parse(word, names))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// The first position as an old form has it: a list of bad sources, followed by the offset.
fn old_bad_sources(arguments: &mut Arguments<'_>) -> Option<Result<usize, Vec<Ipv4Addr>>> {
    arguments.position_with("OFFSET", |text, names| match usize::parse(text, names) {
        Ok(offset) => Ok(Ok(offset)),
        Err(error) => AddressList::parse(text.trim_matches('"'), names)
            .map(|list| Err(list.0))
            .map_err(|_| error),
    })
}

impl Configure for CheckIPHeader {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut checker = HeaderChecker::configure(arguments);
        let report = HeaderReport::configure(arguments, configuration, "IP", REASONS);
        let offset = match old_bad_sources(arguments) {
            None => 0,
            Some(Ok(offset)) => offset,
            Some(Err(list)) => {
                checker.reject_sources(&list);
                arguments.position("OFFSET").unwrap_or(0)
            }
        };
        if configuration.class_of(configuration.id()).name == "CheckIPHeader2" {
            checker.checksum = false;
        }
        arguments.finish()?;
        Ok(Self {
            offset,
            checker,
            report,
        })
    }
}

impl Element for CheckIPHeader {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let Self {
            offset,
            checker,
            report,
        } = self;
        batch.filter(|mut packet| match checker.check(&mut packet, *offset) {
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
