//! Elements of TCP and UDP.

mod check_transport_header;
mod endpoint;
mod fast_source;
mod force;
#[cfg(test)]
mod made_tests;
mod segment;
mod set_transport_checksum;
mod stateless_tcp_responder;
mod store_udp_time_seq_record;
mod strip_tcp_header;
mod tcp_fragmenter;
mod tcp_ip_send;
mod tcp_reflector;
#[cfg(test)]
mod tests;
mod toy_tcp;
mod udp_ip_encap;
mod varied_encap;
mod web_gen;

use sprat_click::Class;

pub(crate) use udp_ip_encap::UDP_ENCAP_ARGUMENTS;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &endpoint::convert::BUFFER_CONVERTER,
    &check_transport_header::CHECK_TCP_HEADER,
    &check_transport_header::CHECK_UDP_HEADER,
    &endpoint::copy::COPY_FLOW_ID,
    &endpoint::copy::COPY_TCP_SEQ,
    &udp_ip_encap::DYNAMIC_UDP_IP_ENCAP,
    &fast_source::FAST_TCP_FLOWS,
    &fast_source::FAST_UDP_FLOWS,
    &fast_source::FAST_UDP_SOURCE,
    &fast_source::FAST_UDP_SOURCE_IP6,
    &force::FORCE_TCP,
    &force::FORCE_UDP,
    &varied_encap::RANDOM_UDP_IP_ENCAP,
    &varied_encap::ROUND_ROBIN_UDP_IP_ENCAP,
    &set_transport_checksum::SET_TCP_CHECKSUM,
    &set_transport_checksum::SET_UDP_CHECKSUM,
    &stateless_tcp_responder::STATELESS_TCP_RESPONDER,
    &store_udp_time_seq_record::STORE_UDP_TIME_SEQ_RECORD,
    &strip_tcp_header::STRIP_TCP_HEADER,
    &endpoint::acknowledge::TCP_ACK,
    &endpoint::buffer::TCP_BUFFER,
    &endpoint::connection::TCP_CONN,
    &endpoint::demultiplex::TCP_DEMUX,
    &tcp_fragmenter::TCP_FRAGMENTER,
    &tcp_ip_send::TCP_IP_SEND,
    &tcp_reflector::TCP_REFLECTOR,
    &toy_tcp::TOY_TCP,
    &udp_ip_encap::UDP_IP_ENCAP,
    &strip_tcp_header::UNSTRIP_TCP_HEADER,
    &web_gen::WEB_GEN,
];
