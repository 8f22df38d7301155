//! Packet classification: IP patterns, byte patterns, and the programs both compile to.

mod byte_pattern;
mod expression;
mod interval_map;
mod ip_pattern;
mod order;
mod partition;
#[cfg(test)]
mod pattern_tests;
mod predicate;
mod primitive;
mod program;
mod terms;
#[cfg(test)]
mod tests;
mod tokens;

pub use byte_pattern::{BytePatternError, parse_byte_pattern};
pub use expression::{Base, Comparison, Expression, Field, Headers, Test};
pub use ip_pattern::{PatternError, PatternErrorKind, parse_ip_pattern};
pub use program::{CompileError, NO_RULE, Program};
