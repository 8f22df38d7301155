//! Elements of TCP and UDP.

mod check_transport_header;
mod fast_source;
mod set_transport_checksum;
mod stateless_tcp_responder;
mod store_udp_time_seq_record;
mod strip_tcp_header;
mod tcp_fragmenter;
mod tcp_ip_send;
#[cfg(test)]
mod tests;
mod udp_ip_encap;

use sprat_click::Class;

pub(crate) use udp_ip_encap::UDP_ENCAP_ARGUMENTS;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &check_transport_header::CHECK_TCP_HEADER,
    &check_transport_header::CHECK_UDP_HEADER,
    &udp_ip_encap::DYNAMIC_UDP_IP_ENCAP,
    &fast_source::FAST_TCP_FLOWS,
    &fast_source::FAST_UDP_FLOWS,
    &fast_source::FAST_UDP_SOURCE,
    &fast_source::FAST_UDP_SOURCE_IP6,
    &set_transport_checksum::SET_TCP_CHECKSUM,
    &set_transport_checksum::SET_UDP_CHECKSUM,
    &stateless_tcp_responder::STATELESS_TCP_RESPONDER,
    &store_udp_time_seq_record::STORE_UDP_TIME_SEQ_RECORD,
    &strip_tcp_header::STRIP_TCP_HEADER,
    &tcp_fragmenter::TCP_FRAGMENTER,
    &tcp_ip_send::TCP_IP_SEND,
    &udp_ip_encap::UDP_IP_ENCAP,
    &strip_tcp_header::UNSTRIP_TCP_HEADER,
];
