//! Byte patterns: the language of `Classifier`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::expression::{Expression, Field, Test};

/// The last byte that a pattern can look at.
const LAST_OFFSET: usize = 0xff00;

/// What is wrong with a byte pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BytePatternError {
    /// A clause that is not `OFFSET/VALUE`.
    MissingSlash(String),
    /// An offset that is not a decimal number, or too great.
    BadOffset(String),
    /// A value or mask with an odd number of digits.
    OddDigits(String),
    /// A character that is neither a hexadecimal digit nor, in a value, `?`.
    BadDigit(char),
    /// A mask whose length is not its value's.
    MaskLength(String),
    /// Nothing was written.
    Empty,
}

impl fmt::Display for BytePatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingSlash(clause) => write!(
                formatter,
                "syntax error: expected 'OFFSET/VALUE', found '{clause}'"
            ),
            Self::BadOffset(offset) => write!(formatter, "bad offset '{offset}'"),
            Self::OddDigits(value) => {
                write!(formatter, "value '{value}' has odd number of hex digits")
            }
            Self::BadDigit(digit) => write!(formatter, "'{digit}' is not a hex digit"),
            Self::MaskLength(mask) => {
                write!(
                    formatter,
                    "mask '{mask}' has a different length than its value"
                )
            }
            Self::Empty => formatter.write_str("empty pattern"),
        }
    }
}

impl core::error::Error for BytePatternError {}

/// Reads a byte pattern: clauses `OFFSET/VALUE[%MASK]` separated by spaces, each perhaps after
/// `!`; or `-` for every packet.
///
/// # Errors
/// The first thing wrong with the pattern.
pub fn parse_byte_pattern(pattern: &str) -> Result<Expression, BytePatternError> {
    let mut clauses = Vec::new();
    let mut everything = false;
    let mut negated = false;
    for word in pattern.split_ascii_whitespace() {
        let clause = word.trim_start_matches('!');
        if (word.len() - clause.len()) % 2 == 1 {
            negated = !negated;
        }
        if clause.is_empty() {
            continue;
        }
        let mut expression = if clause == "-" {
            everything = true;
            Expression::Constant(true)
        } else {
            parse_clause(clause)?
        };
        if core::mem::take(&mut negated) {
            expression = expression.negate();
        }
        clauses.push(expression);
    }
    match clauses.len() {
        0 => Err(BytePatternError::Empty),
        1 if everything => Ok(clauses.remove(0)),
        _ => Ok(Expression::All(clauses)),
    }
}

fn parse_clause(clause: &str) -> Result<Expression, BytePatternError> {
    let Some((offset, rest)) = clause.split_once('/') else {
        return Err(BytePatternError::MissingSlash(clause.to_owned()));
    };
    let (value, mask) = match rest.split_once('%') {
        Some((value, mask)) => (value, Some(mask)),
        None => (rest, None),
    };
    let digits = offset.bytes().all(|byte| byte.is_ascii_digit());
    let start: usize = match offset.parse() {
        Ok(start) if digits && start + value.len() / 2 <= LAST_OFFSET => start,
        _ => return Err(BytePatternError::BadOffset(offset.to_owned())),
    };
    let (values, mut masks) = nibbles(value, true)?;
    if let Some(mask) = mask {
        let (given, _) = nibbles(mask, false)?;
        if given.len() != masks.len() {
            return Err(BytePatternError::MaskLength(mask.to_owned()));
        }
        for (mask, given) in masks.iter_mut().zip(given) {
            *mask &= given;
        }
    }
    // Whole 16-bit words where they are aligned as Ethernet types and ports are: packets are
    // told apart by them, and clauses of several patterns then share their fields.
    let mut tests = Vec::new();
    let mut at = 0;
    while at < values.len() {
        let width: u8 = if (start + at).is_multiple_of(2) && at + 1 < values.len() {
            2
        } else {
            1
        };
        let end = at + usize::from(width);
        let join = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |word, byte| word << 8 | u32::from(*byte))
        };
        let mask = join(&masks[at..end]);
        let offset = u16::try_from(start + at)
            .map_err(|_| BytePatternError::BadOffset(offset.to_owned()))?;
        let field = Field::network(offset, width);
        tests.push(Expression::Test(Test::equal(
            field,
            mask,
            join(&values[at..end]) & mask,
        )));
        at = end;
    }
    Ok(Expression::All(tests))
}

/// The bytes that hexadecimal digits spell, and which of their bits were given.
fn nibbles(text: &str, wildcards: bool) -> Result<(Vec<u8>, Vec<u8>), BytePatternError> {
    let mut digits = Vec::with_capacity(text.len());
    for character in text.chars() {
        digits.push(
            match character
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
            {
                Some(digit) => (digit, 0xf),
                None if character == '?' && wildcards => (0, 0),
                None => return Err(BytePatternError::BadDigit(character)),
            },
        );
    }
    if digits.is_empty() || digits.len() % 2 == 1 {
        return Err(BytePatternError::OddDigits(text.to_owned()));
    }
    Ok(digits
        .chunks_exact(2)
        .map(|pair| (pair[0].0 << 4 | pair[1].0, pair[0].1 << 4 | pair[1].1))
        .unzip())
}
