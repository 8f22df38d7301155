//! Elements that measure traffic: aggregates, rates, flows.

mod aggregate_counter;
mod aggregate_filter;
mod aggregate_first;
mod aggregate_ip;
mod aggregate_ip_addr_pair;
mod aggregate_ip_flows;
mod aggregate_last;
mod aggregate_length;
mod aggregate_packet_counter;
mod aggregate_paint;
mod anonymize_ip_addr;
pub(crate) mod ended;
mod ip_field;
mod ip_rate_monitor;
mod ipfix;
#[cfg(test)]
mod testing;
mod trace_info;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &aggregate_counter::AGGREGATE_COUNTER,
    &aggregate_filter::AGGREGATE_FILTER,
    &aggregate_first::AGGREGATE_FIRST,
    &aggregate_ip::AGGREGATE_IP,
    &aggregate_ip_addr_pair::AGGREGATE_IP_ADDR_PAIR,
    &aggregate_ip_flows::AGGREGATE_IP_FLOWS,
    &aggregate_last::AGGREGATE_LAST,
    &aggregate_length::AGGREGATE_LENGTH,
    &aggregate_packet_counter::AGGREGATE_PACKET_COUNTER,
    &aggregate_paint::AGGREGATE_PAINT,
    &anonymize_ip_addr::ANONYMIZE_IP_ADDR,
    &ip_rate_monitor::IP_RATE_MONITOR,
    &ipfix::IPFIX_EXPORTER,
];
