//! How Click writes quantities in its handlers.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use sprat_click::decimal;

use crate::dump::text::Seconds;

/// A length of time: milliseconds, microseconds or nanoseconds, whichever is whole, where it is less
/// than a second; seconds otherwise.
pub(crate) fn interval_text(interval: Duration) -> String {
    if interval.as_secs() > 0 {
        let nanoseconds = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
        return format!("{}s", Seconds(nanoseconds));
    }
    let (mut number, mut unit) = (interval.subsec_nanos(), 0);
    while unit < 2 && number.is_multiple_of(1_000) {
        number /= 1_000;
        unit += 1;
    }
    format!("{number}{}", ["ns", "us", "ms"][unit])
}

/// A bandwidth in bytes a second: in bits, but for the greatest.
pub(crate) fn bandwidth_text(rate: u32) -> String {
    let (number, unit) = match rate {
        0x2000_0000.. => (f64::from(rate) / 1e6, "MBps"),
        125_000_000.. => (f64::from(rate) / 125e6, "Gbps"),
        125_000.. => (f64::from(rate) / 125e3, "Mbps"),
        _ => (f64::from(rate) / 125.0, "kbps"),
    };
    // No rate has more digits.
    decimal::general(number, 12, false) + unit
}

/// A number whose last `bits` bits, at most 28, are its fraction: with as many decimals as it takes
/// to find that number again (Knuth's `print_scaled`).
pub(crate) fn binary_fraction_text(number: u64, bits: u32) -> String {
    let one = 1_u32 << bits;
    // The bits of the fraction fit.
    #[expect(clippy::cast_possible_truncation)]
    let mut rest = number as u32 & (one - 1);
    let mut text = format!("{}", number >> bits);
    if rest == 0 {
        return text;
    }
    text.push('.');
    let half = one >> 1;
    let mut rounding = 5_u32;
    while rounding < half {
        rounding *= 10;
    }
    rest = 10 * rest + 5;
    let mut inaccuracy = 10;
    loop {
        if inaccuracy > one {
            rest = rest.wrapping_add(half).wrapping_sub(rounding);
        }
        text.push(char::from_digit((rest >> bits) % 10, 10).unwrap_or('0'));
        rest = 10 * (rest & (one - 1));
        inaccuracy *= 10;
        if rest <= inaccuracy {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, from Click's thresholds: bits up to four gigabits, then bytes.
    #[test]
    fn bandwidths_are_written_in_clicks_units() {
        for (rate, text) in [
            (0, "0kbps"),
            (10_000, "80kbps"),
            (1, "0.008kbps"),
            (124_999, "999.992kbps"),
            (125_000, "1Mbps"),
            (1_312_500, "10.5Mbps"),
            (125_000_000, "1Gbps"),
            (0x2000_0000, "536.870912MBps"),
        ] {
            assert_eq!(bandwidth_text(rate), text);
        }
    }

    #[test]
    fn intervals_below_a_second_are_whole_numbers_of_the_largest_unit() {
        for (nanoseconds, text) in [
            (0, "0ms"),
            (500_000_000, "500ms"),
            (1_500_000, "1500us"),
            (7, "7ns"),
            (1_000_000_000, "1.000000s"),
            (61_250_000_000, "61.250000s"),
            (1_000_000_001, "1.000000001s"),
        ] {
            assert_eq!(interval_text(Duration::from_nanos(nanoseconds)), text);
        }
    }

    /// What Click's own test of the same asks for, as 65,536ths and 256ths; and halves.
    #[test]
    fn binary_fractions_are_written_with_the_fewest_decimals() {
        for (number, bits, text) in [
            (107, 8, "0.418"),
            (106, 8, "0.414"),
            (19_661, 16, "0.3"),
            (32_113, 16, "0.49"),
            (32_702, 16, "0.499"),
            (32_767, 16, "0.49998"),
            (65_536, 16, "1"),
            (3, 1, "1.5"),
            (51_000, 10, "49.805"),
        ] {
            assert_eq!(binary_fraction_text(number, bits), text, "{number}");
        }
    }
}
