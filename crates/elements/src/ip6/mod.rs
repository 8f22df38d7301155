//! Elements of IPv6.

mod address_translator;
mod check_ip6_header;
mod dec_ip6_hlim;
mod encap;
mod icmp6_error;
mod icmp6_ping_responder;
mod ip6_address_annotation;
mod ip6_fragmenter;
mod ip6_mirror;
mod ip6_nd_advertiser;
mod ip6_nd_solicitor;
mod ip6_print;
mod lookup_ip6_route;
mod mark_ip6_header;
mod neighbour;
mod protocol_translator;
mod set_ip6_field;
mod store_ip6_address;
#[cfg(test)]
mod tests;
mod translate;
#[cfg(test)]
mod translate_tests;
mod transport;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &address_translator::ADDRESS_TRANSLATOR,
    &check_ip6_header::CHECK_IP6_HEADER,
    &check_ip6_header::CHECK_IP6_HEADER_2,
    &dec_ip6_hlim::DEC_IP6_HLIM,
    &ip6_address_annotation::GET_IP6_ADDRESS,
    &icmp6_error::ICMP6_ERROR,
    &icmp6_ping_responder::ICMP6_PING_RESPONDER,
    &encap::IP6_ENCAP,
    &ip6_fragmenter::IP6_FRAGMENTER,
    &ip6_mirror::IP6_MIRROR,
    &ip6_nd_advertiser::IP6_ND_ADVERTISER,
    &ip6_nd_solicitor::IP6_ND_SOLICITOR,
    &ip6_print::IP6_PRINT,
    &lookup_ip6_route::LOOKUP_IP6_ROUTE,
    &mark_ip6_header::MARK_IP6_HEADER,
    &protocol_translator::PROTOCOL_TRANSLATOR_46,
    &protocol_translator::PROTOCOL_TRANSLATOR_64,
    &ip6_address_annotation::SET_IP6_ADDRESS,
    &set_ip6_field::SET_IP6_DSCP,
    &set_ip6_field::SET_IP6_ECN,
    &set_ip6_field::SET_IP6_FLOW_LABEL,
    &set_ip6_field::SET_IP6_HLIM,
    &store_ip6_address::STORE_IP6_ADDRESS,
    &encap::UDP_IP6_ENCAP,
];
