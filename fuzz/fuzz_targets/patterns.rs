//! Any text as rules of IPFilter and of Classifier. What compiles must decide as the naive
//! evaluation of the same expressions does, first match first, on any packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::arguments::NoNames;
use sprat_elements::classification::{Headers, NO_RULE, Program, parse_byte_pattern, parse_ip_pattern};

fuzz_target!(|input: (Vec<String>, Vec<u8>, bool)| {
    let (texts, packet, by_bytes) = input;
    let expressions: Vec<_> = texts
        .iter()
        .take(8)
        .filter_map(|text| {
            if by_bytes { parse_byte_pattern(text).ok() } else { parse_ip_pattern(text, &NoNames).ok() }
        })
        .collect();
    let headers = if by_bytes { Headers::packet(&packet) } else { Headers::ip(&packet) };
    let Ok(program) = Program::compile(expressions.iter()) else { return };
    let first = expressions.iter().position(|expression| expression.matches(&headers));
    assert_eq!(program.classify(&headers), first.map_or(NO_RULE, |rule| rule as u16));
});
