//! Elements that measure traffic: aggregates, rates, flows.

mod aggregate_ip_flows;
mod aggregate_length;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &aggregate_ip_flows::AGGREGATE_IP_FLOWS,
    &aggregate_length::AGGREGATE_LENGTH,
];
