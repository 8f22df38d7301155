//! What can be wrong with an IP pattern, in Click's words.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What is wrong with a pattern. Some take several lines, as Click reads on and says more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternError {
    /// Something that must be there is not.
    Missing(&'static str),
    /// An expression is missing behind this sign.
    MissingAfter(String),
    /// A word that means nothing stands where a term should.
    EmptyTerm {
        /// The word.
        word: String,
        /// Whether it is the first of its terms, or behind `and`.
        first: bool,
    },
    /// A pattern ends before this word.
    Garbage(String),
    /// Parentheses and negations nested too deep.
    Nesting,
    /// A number that could be anything's.
    NoSubject,
    /// Brackets that hold no position.
    Position,
    /// A position of no bytes, or of too many.
    Length,
    /// A name that could be several things, or nothing here: what Click says of it.
    Unsuitable(String),
    /// A primitive that says nothing: nothing stands behind it, or this word.
    Partial(Option<String>),
    /// Something about a primitive: what it is about, what is wrong, and the word behind it that is no
    /// value.
    Primitive(String, String, Option<String>),
    /// Words that exclude each other.
    Twice(&'static str),
    /// A mask of no bits.
    ZeroMask,
    /// A relation to this word, which is no value.
    Dangling(String),
    /// All of these.
    Several(Vec<Self>),
}

impl PatternError {
    /// Whether the primitive is one all the same, so that others may follow.
    pub(super) fn is_of_a_whole_primitive(&self) -> bool {
        matches!(
            self,
            Self::Primitive(_, _, None)
                | Self::Partial(None)
                | Self::Unsuitable(_)
                | Self::NoSubject
        )
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let behind = match self {
            Self::Missing(what) => return write!(formatter, "missing {what}"),
            Self::MissingAfter(sign) => {
                // Within parentheses an expression of its own is missing as well.
                if sign == "(" {
                    formatter.write_str("missing expression\n")?;
                }
                return write!(formatter, "missing expression after '{sign}'");
            }
            Self::EmptyTerm { word, first } => {
                write!(formatter, "empty term near '{word}'")?;
                if *first {
                    formatter.write_str("\nmissing expression")?;
                }
                return write!(formatter, "\ngarbage after expression at '{word}'");
            }
            Self::Garbage(word) => {
                return write!(formatter, "garbage after expression at '{word}'");
            }
            Self::Nesting => return formatter.write_str("pattern nested too deeply"),
            Self::NoSubject => return formatter.write_str("specify header field or 'port'"),
            Self::Position => {
                return formatter
                    .write_str("syntax error after '[', expected '[POS]' or '[POS:LEN]'");
            }
            Self::Length => {
                return formatter
                    .write_str("LEN in '[POS:LEN]' out of range, should be between 1 and 4");
            }
            Self::Unsuitable(what) => return formatter.write_str(what),
            Self::ZeroMask => return formatter.write_str("zero mask ignored"),
            Self::Dangling(word) => return write!(formatter, "dangling operator near '{word}'"),
            Self::Several(errors) => {
                for (number, error) in errors.iter().enumerate() {
                    let line = if number > 0 { "\n" } else { "" };
                    write!(formatter, "{line}{error}")?;
                }
                return Ok(());
            }
            Self::Twice(what) => return write!(formatter, "{what} specified twice"),
            Self::Partial(behind) => {
                formatter.write_str("partial directive")?;
                behind
            }
            Self::Primitive(subject, what, behind) => {
                write!(formatter, "'{subject}': {what}")?;
                behind
            }
        };
        match behind {
            Some(word) => write!(
                formatter,
                "\nempty term near '{word}'\ngarbage after expression at '{word}'"
            ),
            None => Ok(()),
        }
    }
}

impl core::error::Error for PatternError {}
