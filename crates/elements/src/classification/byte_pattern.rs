//! Byte patterns: the language of `Classifier`.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use super::expression::{Expression, Field, Test};

/// The last byte that a pattern can look at.
const LAST_OFFSET: usize = 0xff00;

/// What is wrong with a byte pattern, in Click's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BytePatternError {
    /// A clause that begins with no offset.
    NoOffset,
    /// An offset without a value.
    MissingSlash,
    /// An offset too great.
    BadOffset,
    /// A value of less than a byte.
    ShortValue,
    /// A value with an odd number of digits.
    OddDigits,
    /// A mask that is longer than its value.
    LongMask,
    /// A mask that is shorter than its value.
    ShortMask,
}

impl fmt::Display for BytePatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoOffset => "expected a digit",
            Self::MissingSlash => "expected '/'",
            Self::BadOffset => "offset too great",
            Self::ShortValue => "value has less than 2 hex digits",
            Self::OddDigits => "value has odd number of hex digits",
            Self::LongMask => "mask has too many hex digits",
            Self::ShortMask => "mask has too few hex digits",
        })
    }
}

impl core::error::Error for BytePatternError {}

/// All that is wrong with a byte pattern, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytePatternErrors(pub Vec<BytePatternError>);

impl fmt::Display for BytePatternErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                formatter.write_str("\n")?;
            }
            error.fmt(formatter)?;
        }
        Ok(())
    }
}

impl core::error::Error for BytePatternErrors {}

/// Reads a byte pattern: clauses `OFFSET/VALUE[%MASK]` separated by spaces, each perhaps after
/// `!`; or `-`, or nothing, for every packet.
///
/// # Errors
/// What is wrong with the pattern, up to a clause that does not begin as one.
pub fn parse_byte_pattern(pattern: &str) -> Result<Expression, BytePatternErrors> {
    let (mut clauses, mut errors) = (Vec::new(), Vec::new());
    let mut rest = pattern.trim_start();
    if rest == "-" {
        return Ok(Expression::Constant(true));
    }
    while !rest.is_empty() {
        let positive = rest.strip_prefix('!').map(str::trim_start);
        match parse_clause(positive.unwrap_or(rest), &mut errors) {
            Ok((clause, behind)) => {
                clauses.push(match positive {
                    Some(_) => clause.negate(),
                    None => clause,
                });
                rest = behind.trim_start();
            }
            Err(error) => {
                errors.push(error);
                break;
            }
        }
    }
    if errors.is_empty() {
        Ok(Expression::All(clauses))
    } else {
        Err(BytePatternErrors(errors))
    }
}

/// Takes the characters that are digits of a base, or one of these, from the front of a text.
fn digits<'a>(text: &'a str, base: u32, others: &str) -> (&'a str, &'a str) {
    let end = text.find(|c: char| !c.is_digit(base) && !others.contains(c));
    text.split_at(end.unwrap_or(text.len()))
}

/// Reads a clause; returns what stands behind it, also where its value or mask is wrong.
///
/// # Errors
/// Where it does not begin as a clause.
fn parse_clause<'a>(
    text: &'a str,
    errors: &mut Vec<BytePatternError>,
) -> Result<(Expression, &'a str), BytePatternError> {
    let (offset, rest) = digits(text, 10, "");
    if offset.is_empty() {
        return Err(BytePatternError::NoOffset);
    }
    let rest = rest
        .strip_prefix('/')
        .ok_or(BytePatternError::MissingSlash)?;
    let (mut value, mut rest) = digits(rest, 16, "?");
    let mut mask = None;
    if let Some(behind) = rest.strip_prefix('%') {
        let (given, behind) = digits(behind, 16, "?");
        mask = Some(given);
        rest = behind;
    }
    let start: usize = offset.parse().unwrap_or(usize::MAX);
    if start > LAST_OFFSET || value.len() / 2 > LAST_OFFSET - start {
        errors.push(BytePatternError::BadOffset);
    }
    if value.len() < 2 {
        errors.push(BytePatternError::ShortValue);
        (value, mask) = ("", mask.and(Some("")));
    }
    if value.len() % 2 != 0 {
        errors.push(BytePatternError::OddDigits);
        let shorter = |text: &'a str| text.split_at(text.len().saturating_sub(1)).0;
        (value, mask) = (shorter(value), mask.map(shorter));
    }
    match mask.unwrap_or(value).len().cmp(&value.len()) {
        Ordering::Greater => errors.push(BytePatternError::LongMask),
        Ordering::Less => errors.push(BytePatternError::ShortMask),
        Ordering::Equal => {}
    }
    if !errors.is_empty() {
        return Ok((Expression::Constant(false), rest));
    }
    let (values, mut masks) = nibbles(value);
    if let Some(mask) = mask {
        let (given, digits) = nibbles(mask);
        for (mask, given) in masks.iter_mut().zip(given.iter().zip(digits)) {
            *mask &= given.0 & given.1;
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
        let offset = u16::try_from(start + at).map_err(|_| BytePatternError::BadOffset)?;
        let field = Field::network(offset, width);
        tests.push(Expression::Test(Test::equal(
            field,
            mask,
            join(&values[at..end]) & mask,
        )));
        at = end;
    }
    Ok((Expression::All(tests), rest))
}

/// The bytes that an even number of hexadecimal digits spell, and which of their bits were given.
fn nibbles(text: &str) -> (Vec<u8>, Vec<u8>) {
    let digit = |byte: u8| {
        let digit = char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok());
        digit.map_or((0, 0), |digit| (digit, 0xf))
    };
    let pair = |pair: &[u8]| {
        let (high, low) = (digit(pair[0]), digit(pair[1]));
        (high.0 << 4 | low.0, high.1 << 4 | low.1)
    };
    text.as_bytes().chunks_exact(2).map(pair).unzip()
}
