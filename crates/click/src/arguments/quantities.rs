//! Times and rates with their units.

use core::time::Duration;

use super::{Argument, ArgumentError, Names};

const NANOSECONDS: u64 = 1_000_000_000;

/// A decimal number as an integer and the power of ten that divides it.
struct Decimal {
    digits: u128,
    places: u32,
}

impl Decimal {
    /// Reads digits with at most one point; returns the rest of the text, the unit.
    fn split(text: &str) -> Option<(Self, &str)> {
        let mut decimal = Self {
            digits: 0,
            places: 0,
        };
        let mut point = false;
        let mut any = false;
        let mut end = text.len();
        for (at, c) in text.char_indices() {
            match c {
                '.' if !point => point = true,
                '0'..='9' => {
                    any = true;
                    // Beyond 30 places nothing that is counted here can change.
                    if decimal.places < 30 {
                        decimal.digits = decimal
                            .digits
                            .checked_mul(10)?
                            .checked_add(u128::from(c.to_digit(10)?))?;
                        decimal.places += u32::from(point);
                    }
                }
                _ => {
                    end = at;
                    break;
                }
            }
        }
        any.then(|| (decimal, text[end..].trim_start()))
    }

    /// The number times `numerator / denominator`, rounded to the nearest integer.
    fn scaled(&self, numerator: u64, denominator: u64) -> Option<u64> {
        let divisor = 10_u128
            .checked_pow(self.places)?
            .checked_mul(u128::from(denominator))?;
        let product = self.digits.checked_mul(u128::from(numerator))?;
        u64::try_from(product.checked_add(divisor / 2)? / divisor).ok()
    }
}

/// Nanoseconds in a unit of time.
fn time_unit(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" | "nsec" => 1,
        "us" | "usec" | "µs" => 1_000,
        "ms" | "msec" => 1_000_000,
        "s" | "sec" => NANOSECONDS,
        "m" | "min" => 60 * NANOSECONDS,
        "h" | "hr" => 3_600 * NANOSECONDS,
        "d" | "day" => 86_400 * NANOSECONDS,
        _ => return None,
    })
}

/// Reads a length of time. A number without a unit counts `bare` nanoseconds each.
///
/// # Errors
/// Not a number with a known unit, or more than 584 years.
pub fn parse_duration(text: &str, bare: u64) -> Result<Duration, ArgumentError> {
    let (number, unit) = Decimal::split(text).ok_or(ArgumentError::Unreadable)?;
    let unit = if unit.is_empty() {
        bare
    } else {
        time_unit(unit).ok_or(ArgumentError::Unreadable)?
    };
    number
        .scaled(unit, 1)
        .map(Duration::from_nanos)
        .ok_or(ArgumentError::OutOfRange {
            bound: i128::from(u64::MAX / NANOSECONDS),
        })
}

/// A length of time; a bare number is seconds.
impl Argument for Duration {
    const EXPECTED: Option<&'static str> = Some("time in seconds");

    fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
        parse_duration(text, NANOSECONDS)
    }
}

/// A length of time where a bare number is milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Milliseconds(pub Duration);

impl Argument for Milliseconds {
    fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
        parse_duration(text, 1_000_000).map(Self)
    }
}

/// A length of time where a bare number is microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microseconds(pub Duration);

impl Argument for Microseconds {
    fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
        parse_duration(text, 1_000).map(Self)
    }
}

/// A moment or a signed difference of moments, in nanoseconds; written as seconds with up to nine
/// decimal places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Argument for Timestamp {
    const EXPECTED: Option<&'static str> = Some("timestamp");

    fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
        let (negative, magnitude) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let length = parse_duration(magnitude, NANOSECONDS)?;
        let bound = ArgumentError::OutOfRange {
            bound: i128::from(i64::MAX) / i128::from(NANOSECONDS),
        };
        let nanoseconds = i64::try_from(length.as_nanos()).map_err(|_| bound)?;
        Ok(Self(if negative { -nanoseconds } else { nanoseconds }))
    }
}

/// A rate in bytes per second. `bps` and `b/s` count bits, `Bps` and `B/s` bytes, each after an
/// optional `k`, `M` or `G` (powers of 1,000); a bare number counts bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bandwidth(pub u64);

impl Argument for Bandwidth {
    fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
        let (number, unit) = Decimal::split(text).ok_or(ArgumentError::Unreadable)?;
        let (multiple, unit) = match unit.as_bytes().first() {
            Some(b'k' | b'K') => (1_000, &unit[1..]),
            Some(b'M') => (1_000_000, &unit[1..]),
            Some(b'G') => (1_000_000_000, &unit[1..]),
            _ => (1, unit),
        };
        let bits = match unit {
            "" | "Bps" | "B/s" => 1,
            "bps" | "b/s" | "baud" => 8,
            _ => return Err(ArgumentError::Unreadable),
        };
        number
            .scaled(multiple, bits)
            .map(Self)
            .ok_or(ArgumentError::OutOfRange {
                bound: i128::from(u64::MAX),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::NoNames;
    use super::*;

    #[test]
    fn durations_have_units_and_default_to_seconds() {
        for (text, nanoseconds) in [
            ("1", 1_000_000_000),
            ("0.5", 500_000_000),
            (".25s", 250_000_000),
            ("10ms", 10_000_000),
            ("1.5 us", 1_500),
            ("3ns", 3),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1.0000000004", 1_000_000_000),
        ] {
            assert_eq!(
                Duration::parse(text, &NoNames),
                Ok(Duration::from_nanos(nanoseconds)),
                "{text}"
            );
        }
        for text in ["", "s", "1x", "1..2", "-1", "."] {
            assert_eq!(
                Duration::parse(text, &NoNames),
                Err(ArgumentError::Unreadable),
                "{text}"
            );
        }
        assert!(matches!(
            Duration::parse("99999999999999", &NoNames),
            Err(ArgumentError::OutOfRange { .. })
        ));
    }

    #[test]
    fn a_bare_number_counts_what_the_type_says() {
        assert_eq!(
            Milliseconds::parse("5", &NoNames),
            Ok(Milliseconds(Duration::from_millis(5)))
        );
        assert_eq!(
            Milliseconds::parse("5s", &NoNames),
            Ok(Milliseconds(Duration::from_secs(5)))
        );
        assert_eq!(
            Microseconds::parse("5", &NoNames),
            Ok(Microseconds(Duration::from_micros(5)))
        );
    }

    #[test]
    fn timestamps_may_be_negative() {
        assert_eq!(
            Timestamp::parse("-0.000000001", &NoNames),
            Ok(Timestamp(-1))
        );
        assert_eq!(
            Timestamp::parse("1000000000.5", &NoNames),
            Ok(Timestamp(1_000_000_000_500_000_000))
        );
    }

    #[test]
    fn bandwidths_count_bits_or_bytes() {
        for (text, bytes) in [
            ("1000", 1000),
            ("8bps", 1),
            ("1kbps", 125),
            ("1.5MBps", 1_500_000),
            ("1Gbps", 125_000_000),
            ("10000Bps", 10_000),
            ("8 kb/s", 1000),
        ] {
            assert_eq!(
                Bandwidth::parse(text, &NoNames),
                Ok(Bandwidth(bytes)),
                "{text}"
            );
        }
        assert!(Bandwidth::parse("1 furlong", &NoNames).is_err());
    }
}
