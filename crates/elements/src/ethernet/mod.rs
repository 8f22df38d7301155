//! Elements of the link: Ethernet, ARP, VLAN.

mod arp_cache;
mod arp_misc;
mod arp_print;
mod arp_querier;
#[cfg(test)]
mod arp_querier_tests;
mod arp_responder;
mod arp_table;
mod encap;
mod ether_pause_source;
mod ether_switch;
mod filter;
mod header;
mod span_tree;
mod tag;
mod vlan;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &arp_misc::ARP_FAKER,
    &arp_print::ARP_PRINT,
    &arp_querier::ARP_QUERIER,
    &arp_responder::ARP_RESPONDER,
    &arp_table::ARP_TABLE,
    &arp_misc::CHECK_ARP_HEADER,
    &filter::DROP_BROADCASTS,
    &header::ENSURE_ETHER,
    &encap::ETHER_ENCAP,
    &header::ETHER_MIRROR,
    &ether_pause_source::ETHER_PAUSE_SOURCE,
    &header::ETHER_REWRITE,
    &ether_switch::ETHER_SWITCH,
    &encap::ETHER_VLAN_ENCAP,
    &encap::ETHER_VLAN_ENCAP_OLD,
    &header::GET_ETHER_ADDRESS,
    &filter::HOST_ETHER_FILTER,
    &ether_switch::LISTEN_ETHER_SWITCH,
    &header::SET_ETHER_ADDRESS,
    &span_tree::ETHER_SPAN_TREE,
    &vlan::SET_VLAN_ANNO,
    &header::STORE_ETHER_ADDRESS,
    &vlan::STRIP_ETHER_VLAN_HEADER,
    &vlan::VLAN_DECAP,
    &vlan::VLAN_ENCAP,
];
