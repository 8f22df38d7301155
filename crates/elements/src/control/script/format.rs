//! Numbers as texts, as C's `printf` writes them.

use alloc::format;
use alloc::string::{String, ToString};
use sprat_click::arguments::{Argument, NoNames};
use sprat_click::decimal;

use super::number::Number;

/// A conversion such as `%-8.3f`.
#[derive(Default)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// The widest a field gets: a script may be wrong, and must not fill the memory.
const WIDEST: usize = 4096;

/// What `sprintf` makes of a format and its arguments.
///
/// # Errors
/// What is wrong with them.
pub(super) fn sprintf(format: &str, arguments: &[String]) -> Result<String, String> {
    let mut arguments = arguments.iter();
    let mut next = || arguments.next().ok_or("too few arguments for format");
    let mut text = String::new();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let mut conversion = Conversion::default();
        while let Some(flag) = letters.next_if(|letter| "-+ #0".contains(*letter)) {
            match flag {
                '-' => conversion.left = true,
                '+' => conversion.plus = true,
                ' ' => conversion.space = true,
                '#' => conversion.alternate = true,
                _ => conversion.zero = true,
            }
        }
        let mut number = |star: &mut dyn FnMut() -> Result<usize, String>| {
            if letters.next_if_eq(&'*').is_some() {
                return star().map(Some);
            }
            let mut value = None;
            while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
                value = Some((value.unwrap_or(0) * 10 + digit as usize).min(WIDEST));
                letters.next();
            }
            Ok(value)
        };
        let mut star = || {
            let width: usize = next()?.parse().map_err(|_| "'*' needs a number")?;
            Ok(width.min(WIDEST))
        };
        conversion.width = number(&mut star)?.unwrap_or(0);
        if letters.next_if_eq(&'.').is_some() {
            let mut number = |star: &mut dyn FnMut() -> Result<usize, String>| {
                if letters.next_if_eq(&'*').is_some() {
                    return star();
                }
                let mut value = 0;
                while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
                    value = (value * 10 + digit as usize).min(WIDEST);
                    letters.next();
                }
                Ok(value)
            };
            conversion.precision = Some(number(&mut star)?);
        }
        while letters
            .next_if(|letter| "hlLqjzt".contains(*letter))
            .is_some()
        {}
        match letters.next() {
            Some('%') => text.push('%'),
            Some(kind) => text.push_str(&conversion.convert(kind, next()?)?),
            None => return Err("bad format: it ends in a '%'".into()),
        }
    }
    match next() {
        Ok(_) => Err("too many arguments for format".into()),
        Err(_) => Ok(text),
    }
}

impl Conversion {
    fn convert(&self, kind: char, value: &str) -> Result<String, String> {
        let number = || Number::parse(value).ok_or_else(|| format!("'{value}' is no number"));
        Ok(match kind {
            's' => {
                let length = self.precision.unwrap_or(usize::MAX);
                self.pad("", value.chars().take(length).collect(), false)
            }
            'c' => {
                let letter = match number() {
                    Ok(number) => u32::try_from(number.truncated())
                        .ok()
                        .and_then(char::from_u32)
                        .ok_or_else(|| format!("'{value}' is no character"))?
                        .to_string(),
                    Err(_) => value.chars().take(1).collect(),
                };
                self.pad("", letter, false)
            }
            'd' | 'i' => {
                let Some(Number::Integer(number)) = Number::parse(value) else {
                    return Err(format!("'{value}' is no integer"));
                };
                self.integer(self.sign(number < 0), number.unsigned_abs().to_string())
            }
            'u' => self.integer("", natural(value)?.to_string()),
            'o' => self.integer("", format!("{:o}", natural(value)?)),
            'x' | 'X' => {
                let bits = natural(value)?;
                let prefix = match (self.alternate && bits != 0, kind) {
                    (false, _) => "",
                    (true, 'x') => "0x",
                    (true, _) => "0X",
                };
                let digits = match kind {
                    'x' => format!("{bits:x}"),
                    _ => format!("{bits:X}"),
                };
                self.integer(prefix, digits)
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let real = number()?.real();
                let precision = self.precision.unwrap_or(6);
                let digits = match kind.to_ascii_lowercase() {
                    'e' => exponential(real.abs(), precision),
                    'f' => decimal::fixed(real.abs(), precision),
                    _ => decimal::general(real.abs(), precision, self.alternate),
                };
                let digits = match kind.is_ascii_uppercase() {
                    true => digits.to_ascii_uppercase(),
                    false => digits,
                };
                self.pad(self.sign(real.is_sign_negative()), digits, self.zero)
            }
            other => return Err(format!("bad format: unknown conversion '%{other}'")),
        })
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn integer(&self, prefix: &str, digits: String) -> String {
        let least = self.precision.unwrap_or(1);
        let zeros = least.saturating_sub(digits.len());
        let digits = "0".repeat(zeros) + &digits;
        self.pad(prefix, digits, self.zero && self.precision.is_none())
    }

    fn pad(&self, prefix: &str, text: String, zeros: bool) -> String {
        let length = prefix.len() + text.chars().count();
        let missing = self.width.saturating_sub(length);
        match (self.left, zeros) {
            (true, _) => format!("{prefix}{text}{}", " ".repeat(missing)),
            (false, true) => format!("{prefix}{}{text}", "0".repeat(missing)),
            (false, false) => format!("{}{prefix}{text}", " ".repeat(missing)),
        }
    }
}

/// An integer without a sign.
fn natural(value: &str) -> Result<u64, String> {
    u64::parse(value, &NoNames).map_err(|_| format!("'{value}' is no natural number"))
}

/// `1.500000e+03`; C writes exponents with two digits at least.
fn exponential(real: f64, precision: usize) -> String {
    if !real.is_finite() {
        return decimal::fixed(real, precision);
    }
    let (digits, exponent) = decimal::exponential(real, precision);
    decimal::power_of_ten(&digits, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    // Expected texts are those of printf(3).
    #[test]
    fn conversions_are_those_of_c() {
        for (format, arguments, expected) in [
            ("%d%%", "5", "5%"),
            ("%05d|%-5d|%+d", "42 42 42", "00042|42   |+42"),
            ("%x %X %#x %o", "255 255 255 8", "ff FF 0xff 10"),
            ("%u", "4294967295", "4294967295"),
            (
                "%.3f|%8.2f|%-8.1f|",
                "3.14159 2.5 2.25",
                "3.142|    2.50|2.2     |",
            ),
            ("%e", "1500", "1.500000e+03"),
            (
                "%g %g %g %g",
                "0.0001 1e10 100000 0.00001",
                "0.0001 1e+10 100000 1e-05",
            ),
            ("%s-%5s-%.2s", "a b abc", "a-    b-ab"),
            ("%c%c", "65 z", "Az"),
            ("%ld %*d", "7 4 9", "7    9"),
            ("%.3d", "7", "007"),
            ("%d", "-2", "-2"),
        ] {
            let arguments: Vec<String> = arguments.split(' ').map(String::from).collect();
            assert_eq!(
                sprintf(format, &arguments).as_deref(),
                Ok(expected),
                "{format}"
            );
        }
    }

    #[test]
    fn wrong_formats_are_refused() {
        assert!(sprintf("%d", &[]).is_err());
        assert!(sprintf("%d", &["x".into()]).is_err());
        assert!(sprintf("%y", &["1".into()]).is_err());
        assert!(sprintf("100%", &[]).is_err());
    }
}
