//! Configuration strings: the text between an element's parentheses.
//!
//! A configuration string is a list of arguments separated by commas. [`split_arguments`] cuts it,
//! [`split_words`] cuts an argument at its spaces, [`unquote`] removes quotation marks.
//! [`Arguments`] reads the arguments of one element into typed values, positions first and
//! `KEYWORD value` in any order after them. It collects what is wrong instead of stopping at the
//! first mistake, as Click's `Args` does.

mod addresses;
mod annotation;
mod names;
mod numbers;
mod place;
mod quantities;
mod reader;
mod split;
mod text;

use alloc::string::String;
use core::fmt;

pub use addresses::{AddressOrPrefix, Ipv4Prefix, Ipv6Prefix};
pub use annotation::Annotation;
pub use names::{IpProtocol, Names, NoNames, TcpPort, UdpPort};
pub use numbers::{Overflow, parse_signed, parse_unsigned};
pub(crate) use place::ArgumentPlace;
pub use quantities::{Bandwidth, Microseconds, Milliseconds, Timestamp, parse_duration};
pub use reader::{Arguments, Rejected, split_first_word};
pub(crate) use split::{Piece, piece_at};
pub use split::{quote, split_arguments, split_words, strip_comments, unquote, unquote_bytes};
pub use text::{Bytes, ElementName, Raw, Word};

/// A type that an argument can hold.
pub trait Argument: Sized {
    /// What a handler says that it expects where it is written something else.
    const EXPECTED: Option<&'static str> = None;

    /// Reads one argument: its text without surrounding space, still quoted, without keyword.
    ///
    /// # Errors
    /// What is wrong with the text, in Click's words.
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError>;
}

/// Why an argument could not be read. Its text is Click's message after `NAME: `.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgumentError {
    /// The text has not the form of this type.
    Unreadable,
    /// Not an integer.
    InvalidNumber,
    /// An integer beyond what the type holds; `bound` is the limit it passed.
    OutOfRange {
        /// The nearest value that would have been accepted.
        bound: i128,
    },
    /// Something that only this type has to say.
    Other(String),
}

impl ArgumentError {
    /// An error in the argument's own words.
    pub fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("parse error"),
            Self::InvalidNumber => f.write_str("invalid number"),
            Self::OutOfRange { bound } => {
                // Bounds have a sign and 64 bits; to write numbers of 128 takes a kilobyte of image.
                let sign = if *bound < 0 { "-" } else { "" };
                let magnitude = u64::try_from(bound.unsigned_abs()).unwrap_or(u64::MAX);
                write!(f, "out of range, bound {sign}{magnitude}")
            }
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl core::error::Error for ArgumentError {}
