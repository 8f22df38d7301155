//! Numbers that a script calculates with: integers as long as they can be, then reals.

use alloc::string::{String, ToString};
use core::cmp::Ordering;

use sprat_click::arguments::{Argument, NoNames, parse_signed};
use sprat_click::decimal;

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Real(f64),
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(Ok(integer)) = parse_signed(text)
            && let Ok(integer) = i64::try_from(integer)
        {
            return Some(Self::Integer(integer));
        }
        f64::parse(text, &NoNames).ok().map(Self::Real)
    }

    pub(super) fn real(self) -> f64 {
        match self {
            // Integers beyond 53 bits lose their last digits, as in C.
            Self::Integer(integer) => integer as f64,
            Self::Real(real) => real,
        }
    }

    /// The integer part, rounded towards zero; the least integer there is for what has none, as C's
    /// casts come to.
    pub(super) fn truncated(self) -> i64 {
        match self {
            Self::Integer(integer) => integer,
            // The least integer is a real number; one more than the greatest is, too.
            Self::Real(real) if real < -(i64::MIN as f64) => {
                #[expect(clippy::cast_possible_truncation)]
                let integer = real as i64;
                integer
            }
            Self::Real(_) => i64::MIN,
        }
    }

    /// Integers stay integers while they fit.
    fn combine(
        self,
        other: Self,
        integers: impl FnOnce(i64, i64) -> Option<i64>,
        reals: impl FnOnce(f64, f64) -> f64,
    ) -> Self {
        if let (Self::Integer(a), Self::Integer(b)) = (self, other)
            && let Some(result) = integers(a, b)
        {
            return Self::Integer(result);
        }
        Self::Real(reals(self.real(), other.real()))
    }

    pub(super) fn add(self, other: Self) -> Self {
        self.combine(other, i64::checked_add, |a, b| a + b)
    }

    pub(super) fn subtract(self, other: Self) -> Self {
        self.combine(other, i64::checked_sub, |a, b| a - b)
    }

    pub(super) fn multiply(self, other: Self) -> Self {
        self.combine(other, i64::checked_mul, |a, b| a * b)
    }

    /// What is left of a division that rounds towards zero.
    pub(super) fn remainder(self, other: Self) -> Self {
        self.combine(other, i64::checked_rem, |a, b| a % b)
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            _ => self.real().partial_cmp(&other.real()),
        }
    }
}

/// Reals as C's `%.12g`.
impl core::fmt::Display for Number {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Integer(integer) => integer.fmt(f),
            Self::Real(real) => {
                let digits = decimal::general(real.abs(), 12, false);
                let sign = if *real < 0.0 { "-" } else { "" };
                f.write_str(sign)?;
                f.write_str(&digits)
            }
        }
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn integers_stay_integers_while_they_can() {
        let big = number("9223372036854775807");
        assert_eq!(number("0x10").add(number("1")).to_string(), "17");
        assert_eq!(big.add(number("1")).to_string(), "9.22337203685e+18");
        assert_eq!(number("0.1").add(number("0.2")).to_string(), "0.3");
        assert_eq!(number("-0.5").multiply(number("3")).to_string(), "-1.5");
    }
}
