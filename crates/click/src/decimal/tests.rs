//! The standard library is the judge: it reads and writes exactly as well.

use std::format;
use std::string::ToString as _;

use super::*;

/// Numbers of all sizes: a generator of Marsaglia's, and all that is special.
fn numbers() -> impl Iterator<Item = f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let random = core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from_bits(state)
    });
    let special = [
        0.0,
        -0.0,
        0.1,
        0.25,
        0.5,
        1.5,
        2.5,
        9.5,
        99.95,
        0.000_123_456,
        1e21,
        1e22,
        1e23,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::MIN_POSITIVE - 5e-324,
        5e-324,
        f64::EPSILON,
        9_007_199_254_740_993.0,
    ];
    let powers = (-1074..1024).step_by(7).map(|power| 2_f64.powi(power));
    let simple = (0..1000_u32).map(|number| f64::from(number) / 1000.0);
    special
        .into_iter()
        .chain(powers)
        .chain(simple)
        .chain(random.filter(|number| number.is_finite()).take(500))
}

#[test]
fn what_is_written_is_what_the_standard_library_writes() {
    for number in numbers() {
        // Where it has more digits, the standard library's are not the nearest of their length.
        if number.to_bits() << 12 != 0 {
            assert_eq!(shortest(number), number.to_string());
        }
        assert_eq!(parse(&shortest(number)), Some(number));
        for decimals in [0, 1, 3, 6, 20] {
            assert_eq!(fixed(number, decimals), format!("{number:.decimals$}"));
            let (text, exponent) = exponential(number, decimals);
            assert_eq!(
                format!("{text}e{exponent}"),
                format!("{number:.decimals$e}")
            );
        }
    }
    assert_eq!(shortest(f64::NEG_INFINITY), "-inf");
    assert_eq!(fixed(f64::NAN, 2), "NaN");
}

#[test]
fn what_is_read_is_what_the_standard_library_reads() {
    for number in numbers() {
        for text in [
            number.to_string(),
            format!("{number:e}"),
            format!("{number:.3e}"),
            format!("{number:.30e}"),
            // In the middle between two numbers, or right beside it.
            format!("{number:.800}1"),
            format!("{number:.1100}"),
        ] {
            let read = parse(&text).map(f64::to_bits);
            let expected = text.parse().ok().filter(|value: &f64| value.is_finite());
            assert_eq!(read, expected.map(f64::to_bits), "{text}");
        }
    }
    let halfway = "9007199254740993";
    for text in [
        halfway,
        &format!("{halfway}.{}1", "0".repeat(900)),
        &format!("{halfway}.{}", "0".repeat(900)),
        "1e308",
        "1.7976931348623157e308",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1e-400",
        "0e999999999999",
        "+1.",
        ".5",
        "000000000000000000000000000001e-1",
    ] {
        assert_eq!(parse(text), text.parse().ok(), "{text}");
    }
}

#[test]
fn what_is_no_number_is_not_read() {
    for text in [
        "", "-", ".", "e1", "1e", "1e+", "1.2.3", "inf", "nan", "0x1", " 1", "1_0", "1e5.0",
        "1e309", "--1",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}
