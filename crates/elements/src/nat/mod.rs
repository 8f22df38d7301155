//! Elements that rewrite addresses and ports, flow by flow.
//!
//! `rewriter` is the one element that all rewriting classes are; `flow_table` finds flows,
//! `input_spec` says what is done with packets of unknown ones, `pattern` and `mapper` what those
//! become. `tcp` and `sequence` follow TCP connections.

#[cfg(test)]
mod carry_tests;
mod flow_table;
mod ftp_port_mapper;
mod icmp_ping_rewriter;
mod icmp_rewriter;
mod input_spec;
mod ip_addr_rewriter;
mod ip_rewriter;
mod ip_rewriter_patterns;
mod mapper;
mod pattern;
#[cfg(test)]
mod properties;
mod rewriter;
mod sequence;
mod tcp;
#[cfg(test)]
mod testing;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &ftp_port_mapper::FTP_PORT_MAPPER,
    &icmp_ping_rewriter::ICMP_PING_REWRITER,
    &icmp_rewriter::ICMP_REWRITER,
    &ip_addr_rewriter::IP_ADDR_PAIR_REWRITER,
    &ip_addr_rewriter::IP_ADDR_REWRITER,
    &ip_rewriter::IP_REWRITER,
    &ip_rewriter_patterns::IP_REWRITER_PATTERNS,
    &mapper::MAGLEV_IP_MAPPER,
    &mapper::PORT_BLOCK_IP_MAPPER,
    &mapper::ROUND_ROBIN_IP_MAPPER,
    &mapper::SOURCE_IP_HASH_MAPPER,
    &ip_rewriter::TCP_REWRITER,
    &ip_rewriter::UDP_REWRITER,
];
