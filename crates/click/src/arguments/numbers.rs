//! Truth values, integers and real numbers.

use super::{Argument, ArgumentError, Names};
use crate::decimal;

/// The number is larger than 64 bits hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// Reads an unsigned integer: decimal, `0x` hexadecimal, or octal after a leading `0`. Single
/// underscores may set digits apart. `None` when it is no such number.
#[must_use]
pub fn parse_unsigned(text: &str) -> Option<Result<u64, Overflow>> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    let mut value = Ok(0_u64);
    let mut after_digit = false;
    for c in digits.chars() {
        if c == '_' && after_digit {
            after_digit = false;
            continue;
        }
        let digit = c.to_digit(radix)?;
        after_digit = true;
        value = value.and_then(|value| {
            let product = value.checked_mul(u64::from(radix)).ok_or(Overflow)?;
            product.checked_add(u64::from(digit)).ok_or(Overflow)
        });
    }
    after_digit.then_some(value)
}

/// Reads an integer with an optional sign, otherwise as [`parse_unsigned`].
#[must_use]
pub fn parse_signed(text: &str) -> Option<Result<i128, Overflow>> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = parse_unsigned(digits)?;
    Some(magnitude.map(|value| {
        if negative {
            -i128::from(value)
        } else {
            i128::from(value)
        }
    }))
}

fn parse_within(text: &str, least: i128, most: i128) -> Result<i128, ArgumentError> {
    let beyond = if text.starts_with('-') { least } else { most };
    match parse_signed(text) {
        None => Err(ArgumentError::InvalidNumber),
        Some(Ok(value)) if (least..=most).contains(&value) => Ok(value),
        Some(_) => Err(ArgumentError::OutOfRange { bound: beyond }),
    }
}

macro_rules! integer_argument {
    ($($type:ty: $expected:literal),*) => {$(
        impl Argument for $type {
            const EXPECTED: Option<&'static str> = Some($expected);

            fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
                #[allow(clippy::cast_lossless, reason = "usize has no lossless conversion")]
                let (least, most) = (<$type>::MIN as i128, <$type>::MAX as i128);
                let value = parse_within(text, least, most)?;
                <$type>::try_from(value).map_err(|_| ArgumentError::InvalidNumber)
            }
        }
    )*};
}

// The two small ones are told by the types that Click has for them.
integer_argument!(
    u8: "uint8_t", u16: "uint16_t", u32: "integer", u64: "integer", usize: "integer",
    i8: "integer", i16: "integer", i32: "integer", i64: "integer"
);

impl Argument for bool {
    const EXPECTED: Option<&'static str> = Some("boolean");

    fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
        match text {
            "true" | "yes" | "t" | "y" | "1" => Ok(true),
            "false" | "no" | "f" | "n" | "0" => Ok(false),
            _ => Err(ArgumentError::Unreadable),
        }
    }
}

impl Argument for f64 {
    const EXPECTED: Option<&'static str> = Some("real number");

    fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
        decimal::parse(text).ok_or(ArgumentError::InvalidNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::super::NoNames;
    use super::*;
    use alloc::string::ToString;

    fn read<T: Argument>(text: &str) -> Result<T, alloc::string::String> {
        T::parse(text, &NoNames).map_err(|error| error.to_string())
    }

    #[test]
    fn integers_are_decimal_hexadecimal_or_octal() {
        assert_eq!(read("10"), Ok(10_u8));
        assert_eq!(read("0xFf"), Ok(255_u8));
        assert_eq!(read("010"), Ok(8_u32));
        assert_eq!(read("0"), Ok(0_u32));
        assert_eq!(read("1_000"), Ok(1000_u32));
        assert_eq!(read("-0x10"), Ok(-16_i32));
        assert_eq!(read("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn what_is_not_an_integer_is_an_invalid_number() {
        for text in [
            "", "x", "1x", "0x", "08", "1.5", "- 1", "_1", "1_", "1__0", "\"1\"",
        ] {
            assert_eq!(
                read::<u32>(text),
                Err("invalid number".to_string()),
                "{text}"
            );
        }
    }

    #[test]
    fn the_limit_that_was_passed_is_named() {
        assert_eq!(
            read::<u8>("256"),
            Err("out of range, bound 255".to_string())
        );
        assert_eq!(
            read::<i32>("-2147483649"),
            Err("out of range, bound -2147483648".to_string())
        );
        assert_eq!(
            read::<u32>("99999999999999999999999"),
            Err("out of range, bound 4294967295".to_string())
        );
        assert_eq!(read::<u32>("-1"), Err("out of range, bound 0".to_string()));
    }

    #[test]
    fn truth_has_several_names_and_reals_are_finite() {
        assert_eq!(read("true"), Ok(true));
        assert_eq!(read("no"), Ok(false));
        assert!(read::<bool>("maybe").is_err());
        assert_eq!(read("-1.5e2"), Ok(-150.0));
        assert!(read::<f64>("inf").is_err());
        assert!(read::<f64>("").is_err());
    }
}
