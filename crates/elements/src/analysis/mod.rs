//! Elements that measure traffic: aggregates, rates, flows.

mod aggregate_counter;
mod aggregate_filter;
mod aggregate_ip_flows;
mod aggregate_length;
mod ip_rate_monitor;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &aggregate_counter::AGGREGATE_COUNTER,
    &aggregate_filter::AGGREGATE_FILTER,
    &aggregate_ip_flows::AGGREGATE_IP_FLOWS,
    &aggregate_length::AGGREGATE_LENGTH,
    &ip_rate_monitor::IP_RATE_MONITOR,
];
