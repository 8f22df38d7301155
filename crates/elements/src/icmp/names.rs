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

/// Codes by type, as the manual page of ICMPError lists them.
const CODES: [(u8, &str, u8); 13] = [
    (icmp_type::UNREACHABLE, "net", unreachable_code::NETWORK),
    (icmp_type::UNREACHABLE, "host", unreachable_code::HOST),
    (
        icmp_type::UNREACHABLE,
        "protocol",
        unreachable_code::PROTOCOL,
    ),
    (icmp_type::UNREACHABLE, "port", unreachable_code::PORT),
    (
        icmp_type::UNREACHABLE,
        "needfrag",
        unreachable_code::NEED_FRAGMENT,
    ),
    (
        icmp_type::UNREACHABLE,
        "filterprohibited",
        unreachable_code::FILTERED,
    ),
    (icmp_type::REDIRECT, "net", 0),
    (icmp_type::REDIRECT, "host", 1),
    (icmp_type::TIME_EXCEEDED, "transit", 0),
    (icmp_type::TIME_EXCEEDED, "reassembly", 1),
    (icmp_type::PARAMETER_PROBLEM, "erroratptr", 0),
    (icmp_type::PARAMETER_PROBLEM, "missingopt", 1),
    (icmp_type::PARAMETER_PROBLEM, "length", 2),
];

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

/// Whether the codes of a type have names.
pub(crate) fn has_codes(kind: u8) -> bool {
    CODES.iter().any(|(of, ..)| *of == kind)
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
