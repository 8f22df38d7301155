//! The names of ICMP types and codes in configurations.

use sprat_click::arguments::{Argument, ArgumentError, Names};
use sprat_packet::headers::{icmp_type, unreachable_code};

/// An ICMP type, as a number or by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IcmpType(pub(crate) u8);

const TYPES: [(&str, u8); 15] = [
    ("echo-reply", icmp_type::ECHO_REPLY),
    ("unreachable", icmp_type::UNREACHABLE),
    ("sourcequench", icmp_type::SOURCE_QUENCH),
    ("redirect", icmp_type::REDIRECT),
    ("echo", icmp_type::ECHO),
    ("routeradvert", icmp_type::ROUTER_ADVERTISEMENT),
    ("routersolicit", icmp_type::ROUTER_SOLICITATION),
    ("timeexceeded", icmp_type::TIME_EXCEEDED),
    ("parameterproblem", icmp_type::PARAMETER_PROBLEM),
    ("timestamp", icmp_type::TIMESTAMP),
    ("timestamp-reply", icmp_type::TIMESTAMP_REPLY),
    ("inforeq", icmp_type::INFORMATION),
    ("inforeq-reply", icmp_type::INFORMATION_REPLY),
    ("maskreq", icmp_type::MASK_REQUEST),
    ("maskreq-reply", icmp_type::MASK_REPLY),
];

/// Codes by type.
const CODES: [(u8, &str, u8); 25] = {
    use icmp_type::{PARAMETER_PROBLEM, REDIRECT, TIME_EXCEEDED, UNREACHABLE};
    [
        (UNREACHABLE, "net", unreachable_code::NETWORK),
        (UNREACHABLE, "host", unreachable_code::HOST),
        (UNREACHABLE, "protocol", unreachable_code::PROTOCOL),
        (UNREACHABLE, "port", unreachable_code::PORT),
        (UNREACHABLE, "needfrag", unreachable_code::NEED_FRAGMENT),
        (
            UNREACHABLE,
            "srcroutefail",
            unreachable_code::SOURCE_ROUTE_FAILED,
        ),
        // RFC 1122 and, from 13 on, RFC 1812.
        (UNREACHABLE, "netunknown", 6),
        (UNREACHABLE, "hostunknown", 7),
        (UNREACHABLE, "isolated", 8),
        (UNREACHABLE, "netprohibited", 9),
        (UNREACHABLE, "hostprohibited", 10),
        (UNREACHABLE, "tosnet", 11),
        (UNREACHABLE, "toshost", 12),
        (UNREACHABLE, "filterprohibited", unreachable_code::FILTERED),
        (UNREACHABLE, "hostprecedence", 14),
        (UNREACHABLE, "precedencecutoff", 15),
        (REDIRECT, "net", 0),
        (REDIRECT, "host", 1),
        (REDIRECT, "tosnet", 2),
        (REDIRECT, "toshost", 3),
        (TIME_EXCEEDED, "transit", 0),
        (TIME_EXCEEDED, "reassembly", 1),
        (PARAMETER_PROBLEM, "erroratptr", 0),
        (PARAMETER_PROBLEM, "missingopt", 1),
        (PARAMETER_PROBLEM, "length", 2),
    ]
};

impl Argument for IcmpType {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        match TYPES.iter().find(|(name, _)| *name == text) {
            Some((_, number)) => Ok(Self(*number)),
            None => u8::parse(text, names).map(Self),
        }
    }
}

/// The name of an ICMP type.
pub(crate) fn type_name(kind: u8) -> Option<&'static str> {
    TYPES
        .iter()
        .find(|(_, number)| *number == kind)
        .map(|(name, _)| *name)
}

/// The name of a code of type `kind`.
pub(crate) fn code_name(kind: u8, code: u8) -> Option<&'static str> {
    CODES
        .iter()
        .find(|(of, _, number)| *of == kind && *number == code)
        .map(|(_, name, _)| *name)
}

/// Whether messages of a type carry an identifier and a sequence number.
pub(crate) fn has_identifier(kind: u8) -> bool {
    matches!(
        kind,
        icmp_type::ECHO
            | icmp_type::ECHO_REPLY
            | icmp_type::TIMESTAMP
            | icmp_type::TIMESTAMP_REPLY
            | icmp_type::INFORMATION
            | icmp_type::INFORMATION_REPLY
    )
}

/// Reads a code of type `kind`, as a number or by name.
pub(crate) fn parse_code(kind: u8, text: &str, names: &dyn Names) -> Result<u8, ArgumentError> {
    match CODES
        .iter()
        .find(|(of, name, _)| *of == kind && *name == text)
    {
        Some((.., number)) => Ok(*number),
        None => u8::parse(text, names),
    }
}

/// Bytes of a message's header: of one about times, with these.
pub(crate) fn header_length(kind: u8) -> usize {
    match kind {
        icmp_type::TIMESTAMP | icmp_type::TIMESTAMP_REPLY => 20,
        _ => 8,
    }
}
