//! Elements of IPv4.

pub(crate) mod check_ip_header;
mod dec_ip_ttl;
pub(crate) mod divert;
mod dup_path;
mod fix_ip_src;
mod force_ip;
mod fragment;
pub(crate) mod header_report;
mod ip_address_annotation;
pub(crate) mod ip_encap;
mod ip_fragmenter;
mod ip_gw_options;
mod ip_input_combo;
mod ip_mirror;
mod ip_output_combo;
mod ip_reassembler;
mod mark_ip_ce;
mod mark_ip_header;
mod payload;
mod rip_send;
mod set_ip_checksum;
mod set_ip_dscp;
mod store_ip_address;
mod strip_ip_header;
#[cfg(test)]
mod tests;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &check_ip_header::CHECK_IP_HEADER,
    &check_ip_header::CHECK_IP_HEADER_2,
    &dec_ip_ttl::DEC_IP_TTL,
    &dup_path::DUP_PATH,
    &fix_ip_src::FIX_IP_SRC,
    &force_ip::FORCE_IP,
    &ip_address_annotation::GET_IP_ADDRESS,
    &ip_address_annotation::SET_IP_ADDRESS,
    &ip_address_annotation::SET_RAND_IP_ADDRESS,
    &ip_encap::IP_ENCAP,
    &ip_fragmenter::IP_FRAGMENTER,
    &ip_gw_options::IP_GW_OPTIONS,
    &ip_input_combo::IP_INPUT_COMBO,
    &ip_mirror::IP_MIRROR,
    &ip_output_combo::IP_OUTPUT_COMBO,
    &ip_reassembler::IP_REASSEMBLER,
    &mark_ip_ce::MARK_IP_CE,
    &mark_ip_header::MARK_IP_HEADER,
    &payload::ERASE_IP_PAYLOAD,
    &payload::TRUNCATE_IP_PAYLOAD,
    &rip_send::RIP_SEND,
    &set_ip_checksum::SET_IP_CHECKSUM,
    &set_ip_dscp::SET_IP_DSCP,
    &set_ip_dscp::SET_IP_ECN,
    &store_ip_address::STORE_IP_ADDRESS,
    &strip_ip_header::STRIP_IP_HEADER,
    &strip_ip_header::UNSTRIP_IP_HEADER,
];
