//! What can be wrong with an IP pattern.

use alloc::string::String;
use core::fmt;

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// The byte of the pattern it is about.
    pub offset: usize,
    /// What it is.
    pub kind: PatternErrorKind,
}

/// The ways a pattern can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// Nothing was written.
    Empty,
    /// A token where it makes no sense; empty at the end of the pattern.
    Syntax(String),
    /// A parenthesis was not closed.
    MissingParenthesis,
    /// A `?` without its `:`.
    MissingColon,
    /// Parentheses and negations nested too deep.
    Nesting,
    /// A primitive without a value, or a value without a word for what it is.
    Partial,
    /// A name that is known neither as a port, an option, a type nor an address.
    UnknownName(String),
    /// A name that could be several things.
    Ambiguous(String),
    /// A value that its primitive cannot have.
    BadValue {
        /// The primitive.
        subject: &'static str,
        /// The value as written.
        value: String,
    },
    /// A number beyond what its primitive can have.
    OutOfRange {
        /// The primitive.
        subject: &'static str,
        /// The greatest value.
        maximum: u32,
    },
    /// A part that its primitive cannot have.
    Meaningless {
        /// The part.
        part: &'static str,
        /// The primitive.
        subject: &'static str,
    },
    /// Two words that exclude each other.
    Conflict(String),
}

impl fmt::Display for PatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PatternErrorKind::Empty => formatter.write_str("empty pattern"),
            PatternErrorKind::Syntax(text) if text.is_empty() => {
                formatter.write_str("syntax error at end of pattern")
            }
            PatternErrorKind::Syntax(text) => write!(formatter, "syntax error near '{text}'"),
            PatternErrorKind::MissingParenthesis => formatter.write_str("missing ')'"),
            PatternErrorKind::MissingColon => {
                formatter.write_str("missing ':' in ternary expression")
            }
            PatternErrorKind::Nesting => formatter.write_str("pattern nested too deeply"),
            PatternErrorKind::Partial => formatter.write_str("partial directive"),
            PatternErrorKind::UnknownName(name) => write!(formatter, "unknown name '{name}'"),
            PatternErrorKind::Ambiguous(name) => write!(
                formatter,
                "'{name}' is ambiguous; specify 'port {name}' or 'icmp type {name}'"
            ),
            PatternErrorKind::BadValue { subject, value } => {
                write!(formatter, "bad value '{value}' for '{subject}'")
            }
            PatternErrorKind::OutOfRange { subject, maximum } => {
                write!(
                    formatter,
                    "'{subject}' value out of range, maximum {maximum}"
                )
            }
            PatternErrorKind::Meaningless { part, subject } => {
                write!(formatter, "{part} is meaningless for '{subject}'")
            }
            PatternErrorKind::Conflict(word) => write!(formatter, "unexpected '{word}'"),
        }
    }
}

impl core::error::Error for PatternError {}
