//! Packet classification: IP patterns, byte patterns, and the programs both compile to.

mod byte_pattern;
mod classifier;
mod dimension;
mod dispatch;
mod expression;
mod flow_cache;
mod intersection;
mod interval_map;
mod ip_classifier;
mod ip_filter;
mod ip_pattern;
mod listing;
mod merge;
mod order;
mod partition;
mod pattern_handlers;
#[cfg(test)]
mod pattern_tests;
mod predicate;
mod primitive;
mod program;
mod terms;
#[cfg(test)]
mod tests;
mod tokens;

use sprat_click::Class;

pub use byte_pattern::{BytePatternError, parse_byte_pattern};
pub use expression::{Base, Comparison, Expression, Field, Headers, Test};
pub use flow_cache::FlowCache;
pub use ip_pattern::{PatternError, PatternErrorKind, parse_ip_pattern};
pub use listing::{Layout, Listing};
pub use program::{CompileError, NO_RULE, Program};

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &classifier::CLASSIFIER,
    &ip_classifier::IP_CLASSIFIER,
    &ip_filter::IP_FILTER,
];
