//! Elements of ICMP.

mod check_icmp_header;
mod encap;
mod force_icmp;
mod icmp_error;
mod icmp_ping_responder;
mod icmp_ping_source;
pub(crate) mod names;
mod set_icmp_checksum;
#[cfg(test)]
mod tests;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &check_icmp_header::CHECK_ICMP_HEADER,
    &force_icmp::FORCE_ICMP,
    &icmp_error::ICMP_ERROR,
    &encap::ICMP_IP_ENCAP,
    &encap::ICMP_PING_ENCAP,
    &icmp_ping_responder::ICMP_PING_RESPONDER,
    &icmp_ping_source::ICMP_PING_SOURCE,
    &icmp_ping_source::ICMP_SEND_PINGS,
    &set_icmp_checksum::SET_ICMP_CHECKSUM,
];
