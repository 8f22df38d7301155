//! Packet classification: `IPFilter`, `IPClassifier`, `Classifier`, their languages, and the
//! programs they compile to.
//!
//! # From text to rules
//! [`parse_ip_pattern`] and [`parse_byte_pattern`] turn a pattern into an [`Expression`]: and, or
//! and not over comparisons of header bytes. [`Expression::matches`] evaluates it the plain way.
//! That is the definition: an ordered list of rules means its first match.
//!
//! # From rules to a program
//! [`Program::compile`] makes of the rules something whose cost for a packet does not grow with
//! their number. It never looks at rules one after the other; it looks at the packet's fields.
//!
//! 1. Expressions become *terms*: for each field one set of values (`terms`, `predicate`).
//!    Comparisons under odd masks are split into bytes first. "The packet ends before this
//!    field" is a value too, which is how truncation and fragments come out right under negation.
//! 2. The values of a field that occur in the same sets are one *class* (`partition`). A field's
//!    value is looked up (`interval_map`): in a table, in a short list compared with 32 packets at
//!    a time, or in a shallow radix tree.
//! 3. Classes of several fields are combined by tables for as long as the tables are small
//!    (`merge`). With some hundred rules or fewer this usually ends with one table, whose
//!    entries are the rules: recursive flow classification.
//! 4. Where it does not, a class is a set of bits, a bit for each term it admits, and the sets are
//!    intersected (`intersection`). Terms are arranged (`order`) so that a packet's classes have
//!    few blocks of 64 terms in common; a summary word with a bit for each block finds those.
//!    Blocks of a field draw on pools of the few words that occur in them.
//! 5. Where that takes longer than making a key of the packet, a cache in the [`Workspace`] remembers
//!    results by the values of all fields (`remember`, `flow_key`, `flow_cache`). It needs no
//!    invalidation, and holds some 30,000 flows in 512 KiB. Addresses, ports and protocol become a
//!    key at once; other fields are copied out of the packets first (`records`).
//!
//! # Limits
//! The result is exact always. A term list that would multiply beyond 128 is widened, and rules
//! made from it are checked by evaluation when they come up; that, and more than 16 fields in one
//! program, makes those rules cost what they cost in a plain filter. A packet of a flow not seen
//! lately takes steps 2 to 4: twice the time of a known one with ten rules, five times with thousands
//! of ordinary rules, fifteen times with 5,000 random overlapping ones, and more where many rules
//! truly match the same packets; less where the packet before it had the same classes, as those have
//! that no rule singles out. Memory is rules times distinct values in the worst case, three megabytes
//! for 5,000 random rules, fifteen where each names an address and a port in either direction. There
//! can be 65,535 rules, and 65,536 classes of a field.

mod byte_pattern;
mod classifier;
mod dimension;
mod dispatch;
mod expression;
mod flow_cache;
mod flow_key;
mod intersection;
mod interval_map;
mod ip_classifier;
mod ip_filter;
mod ip_pattern;
mod listing;
mod merge;
mod order;
mod partition;
mod pattern_error;
mod pattern_handlers;
#[cfg(test)]
mod pattern_tests;
mod predicate;
mod primitive;
mod program;
mod records;
mod remember;
mod terms;
#[cfg(test)]
mod tests;
mod tokens;
mod workspace;

use sprat_click::Class;

pub use byte_pattern::{BytePatternError, BytePatternErrors, parse_byte_pattern};
pub use expression::{Base, Comparison, Expression, Field, Headers, Test};
pub use ip_pattern::parse_ip_pattern;
pub use listing::{Layout, Listing};
pub use pattern_error::PatternError;
pub use program::{CompileError, NO_RULE, Program};
pub use workspace::Workspace;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &classifier::CLASSIFIER,
    &ip_classifier::IP_CLASSIFIER,
    &ip_filter::IP_FILTER,
];
