//! Elements that rewrite addresses and ports, flow by flow.
//!
//! `flow_table` finds flows, `pattern` says what they become, `input_spec` what is done with packets
//! of unknown flows; `rewriter` is what all rewriting elements share.

mod flow_table;
mod icmp_ping_rewriter;
mod input_spec;
mod ip_addr_rewriter;
mod ip_mapper;
mod ip_rewriter;
mod ip_rewriter_patterns;
mod pattern;
mod rewriter;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &icmp_ping_rewriter::ICMP_PING_REWRITER,
    &ip_addr_rewriter::IP_ADDR_PAIR_REWRITER,
    &ip_addr_rewriter::IP_ADDR_REWRITER,
    &ip_rewriter::IP_REWRITER,
    &ip_rewriter_patterns::IP_REWRITER_PATTERNS,
    &ip_mapper::ROUND_ROBIN_IP_MAPPER,
    &ip_mapper::SOURCE_IP_HASH_MAPPER,
    &ip_rewriter::TCP_REWRITER,
    &ip_rewriter::UDP_REWRITER,
];
