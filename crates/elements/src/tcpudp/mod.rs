//! Elements of TCP and UDP.

mod check_transport_header;
mod set_transport_checksum;
#[cfg(test)]
mod tests;
mod udp_ip_encap;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &check_transport_header::CHECK_TCP_HEADER,
    &check_transport_header::CHECK_UDP_HEADER,
    &set_transport_checksum::SET_TCP_CHECKSUM,
    &set_transport_checksum::SET_UDP_CHECKSUM,
    &udp_ip_encap::UDP_IP_ENCAP,
];
