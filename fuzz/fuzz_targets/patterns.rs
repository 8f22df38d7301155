//! Any text as rules of IPFilter and of Classifier. What compiles must decide as the naive
//! evaluation of the same expressions does, first match first, on any packet.
//!
//! The input is rules, one a line, a zero, and packets, each behind a byte with its length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::arguments::NoNames;
use sprat_elements::classification::{
    Expression, Headers, NO_RULE, Program, parse_byte_pattern, parse_ip_pattern,
};

/// Most rules of one input.
const MOST: usize = 40;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let Some(Ok(rules)) = parts.next().map(std::str::from_utf8) else { return };
    let packets = packets(parts.next().unwrap_or_default());
    let rules = || rules.lines().take(MOST);
    let by_fields: Vec<_> = rules().filter_map(|rule| parse_ip_pattern(rule, &NoNames).ok()).collect();
    decide(&by_fields, packets.iter().map(|packet| Headers::ip(packet)));
    let by_bytes: Vec<_> = rules().filter_map(|rule| parse_byte_pattern(rule).ok()).collect();
    decide(&by_bytes, packets.iter().map(|packet| Headers::packet(packet)));
});

fn packets(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut packets = vec![&[][..]];
    while let Some((&length, rest)) = bytes.split_first() {
        let (packet, rest) = rest.split_at(usize::from(length).min(rest.len()));
        packets.push(packet);
        bytes = rest;
    }
    packets
}

fn decide<'p>(expressions: &[Expression], packets: impl Iterator<Item = Headers<'p>>) {
    if expressions.is_empty() {
        return;
    }
    let Ok(program) = Program::compile(expressions.iter()) else { return };
    for headers in packets {
        let first = expressions.iter().position(|expression| expression.matches(&headers));
        assert_eq!(program.classify(&headers), first.map_or(NO_RULE, |rule| rule as u16));
    }
}
