//! Real numbers in decimal, read and written exactly.
//!
//! The standard library does the same faster, with 27 KB of tables and code: a twentieth of a router's
//! image, for what only configurations and handlers need. This is the schoolbook's way: all digits of
//! the number, or all of its bits, by long multiplication and division. Ties go to the even digit, as
//! in IEEE 754 and in C's `printf`.

mod natural;

use alloc::string::String;
use alloc::vec::Vec;
use core::iter::repeat_n;

use natural::Natural;

/// More digits than any number has to whose neighbour's middle another can be compared.
const MOST_DIGITS: usize = 800;

/// Beyond these powers of ten every number is infinite, or zero.
const LARGEST_POINT: i32 = 310;
const SMALLEST_POINT: i32 = -330;

/// Fractional bits of a number's significand.
const FRACTION_BITS: i32 = f64::MANTISSA_DIGITS as i32 - 1;

/// `0.d₁d₂d₃… × 10^point`, without zeros at either end; zero has no digits, and point 0.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

/// Reads digits with an optional sign, point and exponent: `-1.5e3`. None for anything else, and for
/// what is too large.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    let (negative, text) = sign(text);
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    if all().next().is_none() || !all().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent = match exponent {
        Some(text) => {
            let (negative, digits) = sign(text);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let size = digits.parse::<i32>().unwrap_or(1 << 24).min(1 << 24);
            if negative { -size } else { size }
        }
        None => 0,
    };
    let zeros = all().take_while(|byte| *byte == b'0').count();
    let mut digits: Vec<u8> = all().skip(zeros).map(|byte| byte - b'0').collect();
    if digits.len() > MOST_DIGITS {
        // Whether anything follows is all that still counts.
        let more = digits
            .split_off(MOST_DIGITS)
            .iter()
            .any(|digit| *digit != 0);
        digits.push(u8::from(more));
    }
    let place = |count: usize| i32::try_from(count).unwrap_or(1 << 24);
    let point = place(whole.len()) - place(zeros) + exponent;
    let mut decimal = Decimal { digits, point };
    decimal.trim();
    let value = decimal.value();
    value
        .is_finite()
        .then_some(if negative { -value } else { value })
}

/// Rounded to the fewest digits that are read back as the same number, and never with an exponent:
/// `0.1`.
#[must_use]
pub fn shortest(real: f64) -> String {
    write(real, |exact| {
        let mut short = exact.clone();
        for count in 1..=17 {
            short = exact.clone();
            short.round(count);
            if short.value() == real.abs() {
                break;
            }
        }
        let digits = i32::try_from(short.digits.len()).unwrap_or(0);
        short.fixed(usize::try_from(digits - short.point).unwrap_or(0))
    })
}

/// With so many digits after the point: `0.100`.
#[must_use]
pub fn fixed(real: f64, decimals: usize) -> String {
    write(real, |exact| {
        let after = i32::try_from(decimals).unwrap_or(i32::MAX);
        let mut rounded = exact.clone();
        rounded.round(exact.point.saturating_add(after));
        rounded.fixed(decimals)
    })
}

/// As a digit, so many digits after the point, and a power of ten: `1.00` and -1.
///
/// Of a number that is not finite, only the text says anything.
#[must_use]
pub fn exponential(real: f64, decimals: usize) -> (String, i32) {
    let mut exponent = 0;
    let text = write(real, |exact| {
        let mut rounded = exact.clone();
        rounded.round(
            i32::try_from(decimals)
                .unwrap_or(i32::MAX)
                .saturating_add(1),
        );
        if !rounded.digits.is_empty() {
            exponent = rounded.point - 1;
            rounded.point = 1;
        }
        rounded.fixed(decimals)
    });
    (text, exponent)
}

/// As C's `%g` has it: so many significant digits, with an exponent where it is large or small, and
/// without zeros at the end unless they are kept.
#[must_use]
pub fn general(real: f64, precision: usize, keep_zeros: bool) -> String {
    if !real.is_finite() {
        return shortest(real).to_ascii_lowercase();
    }
    let precision = precision.max(1);
    let kept = |mut text: String| {
        if !keep_zeros && text.contains('.') {
            text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        }
        text
    };
    let (digits, exponent) = exponential(real, precision - 1);
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        return power_of_ten(&kept(digits), exponent);
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    kept(fixed(real, decimals))
}

/// `1.5e+03`: C writes exponents with two digits at least.
#[must_use]
pub fn power_of_ten(digits: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    alloc::format!("{digits}e{sign}{:0>2}", exponent.unsigned_abs())
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn write(real: f64, digits: impl FnOnce(&Decimal) -> String) -> String {
    let mut text = if real.is_nan() {
        String::from("NaN")
    } else if real.is_infinite() {
        String::from("inf")
    } else {
        digits(&Decimal::of(real))
    };
    if real.is_sign_negative() && !real.is_nan() {
        text.insert(0, '-');
    }
    text
}

impl Decimal {
    /// Every digit of a finite number, without its sign.
    fn of(real: f64) -> Self {
        let bits = real.abs().to_bits();
        let fraction = bits & ((1 << FRACTION_BITS) - 1);
        // The sign is gone, so the exponent has 11 bits.
        let biased = i32::try_from(bits >> FRACTION_BITS).unwrap_or(0);
        let (significand, exponent) = match biased {
            0 => (fraction, f64::MIN_EXP - 1 - FRACTION_BITS),
            _ => (
                fraction | 1 << FRACTION_BITS,
                biased - f64::MAX_EXP + 1 - FRACTION_BITS,
            ),
        };
        let mut natural = Natural::new(significand);
        let halvings = exponent.min(0).unsigned_abs() as usize;
        natural.shift_left(exponent.max(0).unsigned_abs() as usize);
        // To halve is to multiply by five and move the point.
        natural.multiply_power(5, halvings);
        let mut digits = Vec::new();
        while !natural.is_zero() {
            let digit = natural.divide(10);
            digits.push(u8::try_from(digit).unwrap_or(0));
        }
        digits.reverse();
        let place = |count: usize| i32::try_from(count).unwrap_or(0);
        let point = place(digits.len()) - place(halvings);
        let mut decimal = Self { digits, point };
        decimal.trim();
        decimal
    }

    fn trim(&mut self) {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.point = 0;
        }
    }

    /// Keeps so many digits from the first one on, or, if that is not above zero, none.
    fn round(&mut self, keep: i32) {
        let Ok(keep) = usize::try_from(keep) else {
            self.digits.clear();
            self.trim();
            return;
        };
        if keep >= self.digits.len() {
            return;
        }
        let rest = self.digits.split_off(keep);
        let odd = self.digits.last().is_some_and(|digit| digit % 2 == 1);
        // There are no zeros at the end: more digits after a five are more than half.
        if rest[0] > 5 || rest[0] == 5 && (rest.len() > 1 || odd) {
            while self.digits.last() == Some(&9) {
                self.digits.pop();
            }
            match self.digits.last_mut() {
                Some(last) => *last += 1,
                None => {
                    self.digits.push(1);
                    self.point += 1;
                }
            }
        }
        self.trim();
    }

    /// Its text with so many digits after the point; it must not have more.
    fn fixed(&self, decimals: usize) -> String {
        let mut text = String::new();
        let mut digits = self.digits.iter().map(|digit| char::from(b'0' + digit));
        match usize::try_from(self.point) {
            Ok(0) | Err(_) => text.push('0'),
            Ok(count) => text.extend(digits.by_ref().chain(repeat_n('0', count)).take(count)),
        }
        if decimals > 0 {
            text.push('.');
            let zeros = self.point.min(0).unsigned_abs() as usize;
            let fraction = repeat_n('0', zeros).chain(digits);
            text.extend(fraction.chain(repeat_n('0', decimals)).take(decimals));
        }
        text
    }

    /// The nearest number there is; infinity beyond the largest.
    fn value(&self) -> f64 {
        if self.digits.is_empty() || self.point < SMALLEST_POINT {
            return 0.0;
        }
        if self.point > LARGEST_POINT {
            return f64::INFINITY;
        }
        let mut numerator = Natural::new(0);
        for digit in &self.digits {
            numerator.multiply_add(10, u32::from(*digit));
        }
        let mut denominator = Natural::new(1);
        let scale = self.point - i32::try_from(self.digits.len()).unwrap_or(0);
        let power = scale.unsigned_abs() as usize;
        let scaled = match scale >= 0 {
            true => &mut numerator,
            false => &mut denominator,
        };
        scaled.multiply_power(10, power);
        quotient(numerator, denominator)
    }
}

/// Bits of a quotient before it is rounded.
const QUOTIENT_BITS: u32 = 64;

/// The number nearest to a quotient; neither may be zero.
fn quotient(mut numerator: Natural, mut denominator: Natural) -> f64 {
    let bits = |natural: &Natural| i32::try_from(natural.bits()).unwrap_or(0);
    // The quotient of both has 64 or 65 bits before the point.
    let shift = QUOTIENT_BITS.cast_signed() - (bits(&numerator) - bits(&denominator));
    let shifted = match shift >= 0 {
        true => &mut numerator,
        false => &mut denominator,
    };
    shifted.shift_left(shift.unsigned_abs() as usize);
    denominator.shift_left(QUOTIENT_BITS as usize);
    let mut quotient = 0_u128;
    for _ in 0..=QUOTIENT_BITS {
        quotient <<= 1;
        if numerator.compare(&denominator).is_ge() {
            numerator.subtract(&denominator);
            quotient |= 1;
        }
        numerator.shift_left(1);
    }
    rounded(quotient, -shift, !numerator.is_zero())
}

/// The number nearest to `significand × 2^exponent`, or to something below the next significand.
/// The significand has 64 or 65 bits.
fn rounded(significand: u128, exponent: i32, more: bool) -> f64 {
    let length = (u128::BITS - significand.leading_zeros()).cast_signed();
    let highest = exponent + length - 1;
    if highest >= f64::MAX_EXP {
        return f64::INFINITY;
    }
    // Numbers below the smallest normal one have fewer bits.
    let missing = (f64::MIN_EXP - 1 - highest).max(0);
    let kept = f64::MANTISSA_DIGITS.cast_signed() - missing;
    if kept < 0 {
        return 0.0;
    }
    let dropped = length - kept;
    let (top, rest) = (significand >> dropped, significand & ((1 << dropped) - 1));
    let half = 1 << (dropped - 1);
    let up = rest > half || rest == half && (more || top % 2 == 1);
    let top = u64::try_from(top).unwrap_or(u64::MAX) + u64::from(up);
    // A significand that overflows counts the exponent up, from zero to one as well.
    let biased = match missing {
        0 => u64::from((highest - f64::MIN_EXP + 1).unsigned_abs()),
        _ => 0,
    };
    f64::from_bits((biased << FRACTION_BITS) + top)
}

#[cfg(test)]
mod tests;
