//! Packet classification: IP patterns, byte patterns, and the programs both compile to.

mod expression;
mod interval_map;
mod order;
mod partition;
mod predicate;
mod program;
mod terms;
#[cfg(test)]
mod tests;

pub use expression::{Base, Comparison, Expression, Field, Headers, Test};
pub use program::{CompileError, NO_RULE, Program};
