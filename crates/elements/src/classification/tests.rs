//! The compiled program against the plain evaluation of the expressions it came from.

use alloc::vec;
use alloc::vec::Vec;

use sprat_click::arguments::NoNames;

use super::{Comparison, CompileError, Expression, Field, Headers, NO_RULE, Program, Test};

/// A small deterministic generator (Marsaglia's xorshift, 64 bits, shifts 13, 7, 17).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// Below `limit`.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit)).unwrap()
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    fn word(&mut self) -> u32 {
        u32::try_from(self.next() & 0xffff_ffff).unwrap()
    }

    /// An address from a handful of nets, so that prefixes overlap and packets hit them.
    fn address(&mut self) -> u32 {
        let net = [
            0x0a00_0000,
            0x0a01_0000,
            0xc0a8_0000,
            0xac10_0500,
            0x8350_508b,
        ][self.below(5) as usize];
        let spread = [0u32, 3, 0xff, 0xffff, 0xff_ffff][self.below(5) as usize];
        net ^ (self.word() & spread)
    }

    fn port(&mut self) -> u32 {
        if self.chance(70) {
            [20, 22, 53, 80, 443, 1024, 8080][self.below(7) as usize]
        } else {
            self.below(65536)
        }
    }
}

/// The definition: rules one after the other, the first match wins.
fn first_match(rules: &[Expression], headers: &Headers<'_>) -> u16 {
    (0..)
        .zip(rules)
        .find(|(_, rule)| rule.matches(headers))
        .map_or(NO_RULE, |(number, _)| number)
}

/// An IPv4 packet of random fields, sometimes a fragment, with options, or cut short.
fn packet(random: &mut Random) -> Vec<u8> {
    let header_words = if random.chance(10) {
        5 + random.below(11)
    } else {
        5
    };
    let mut bytes = vec![0u8; 60 + 24];
    for byte in &mut bytes {
        *byte = u8::try_from(random.below(256)).unwrap();
    }
    bytes[0] = 0x40 | u8::try_from(header_words).unwrap();
    bytes[6..8].copy_from_slice(if random.chance(80) {
        &[0x40, 0]
    } else if random.chance(50) {
        &[0x20, 0]
    } else {
        &[0x20, 0x10]
    });
    bytes[9] = [6, 17, 1, 47][random.below(4) as usize];
    bytes[12..16].copy_from_slice(&random.address().to_be_bytes());
    bytes[16..20].copy_from_slice(&random.address().to_be_bytes());
    let transport = usize::try_from(header_words).unwrap() * 4;
    for at in [transport, transport + 2] {
        let port = u16::try_from(random.port()).unwrap();
        bytes[at..at + 2].copy_from_slice(&port.to_be_bytes());
    }
    let length = if random.chance(15) {
        random.below(44)
    } else {
        u32::try_from(transport).unwrap() + 20
    };
    bytes.truncate(usize::try_from(length).unwrap());
    bytes
}

fn test(random: &mut Random) -> Expression {
    let source = Field::network(12, 4);
    let destination = Field::network(16, 4);
    let comparison = [
        Comparison::Equal,
        Comparison::Equal,
        Comparison::Different,
        Comparison::Greater,
        Comparison::AtMost,
    ][random.below(5) as usize];
    let (field, mask, value) = match random.below(9) {
        0 | 1 => {
            let mask = u32::MAX << [0, 0, 8, 8, 16, 24, 5, 11][random.below(8) as usize];
            (source, mask, random.address() & mask)
        }
        2 => {
            let mask = u32::MAX << [0, 8, 16, 24, 3][random.below(5) as usize];
            (destination, mask, random.address() & mask)
        }
        3 => (Field::transport(0, 2), 0xffff, random.port()),
        4 => (Field::transport(2, 2), 0xffff, random.port()),
        5 => (
            Field::network(9, 1),
            0xff,
            [6, 17, 1][random.below(3) as usize],
        ),
        6 => (Field::network(6, 2), 0x3fff, 0),
        // Odd masks and widths.
        7 => {
            let mask = random.word() & random.word();
            (source, mask, random.address() & mask)
        }
        _ => {
            let width = u8::try_from(1 + random.below(4)).unwrap();
            let offset = u16::try_from(random.below(18)).unwrap();
            let field = if random.chance(50) {
                Field::network(offset, width)
            } else {
                Field::transport(offset, width)
            };
            let mask = random.word() & field.maximum();
            let value = if random.chance(80) {
                random.word() & mask
            } else {
                random.word()
            };
            (field, mask, value)
        }
    };
    Expression::Test(Test {
        field,
        mask,
        comparison,
        value,
    })
}

fn expression(random: &mut Random, depth: u32) -> Expression {
    if depth == 0 || random.chance(20) {
        return if random.chance(1) {
            Expression::Constant(random.chance(50))
        } else {
            test(random)
        };
    }
    let count = 2 + random.below(2);
    let parts = |random: &mut Random| (0..count).map(|_| expression(random, depth - 1)).collect();
    match random.below(10) {
        0..5 => Expression::All(parts(random)),
        5..8 => Expression::Any(parts(random)),
        8 => expression(random, depth - 1).negate(),
        _ => Expression::choose(
            test(random),
            expression(random, depth - 1),
            expression(random, depth - 1),
        ),
    }
}

/// A conjunction such as people write: some of prefixes, port ranges and protocol, some negated.
fn ordinary_rule(random: &mut Random) -> Expression {
    let mut parts = Vec::new();
    for field in [Field::network(12, 4), Field::network(16, 4)] {
        if random.chance(60) {
            let mask = u32::MAX << [0, 0, 8, 8, 16, 16, 24][random.below(7) as usize];
            parts.push(Expression::Test(Test::equal(
                field,
                mask,
                random.address() & mask,
            )));
        }
    }
    if random.chance(70) {
        parts.push(Expression::Test(Test::equal(
            Field::network(9, 1),
            0xff,
            [6, 17, 1][random.below(3) as usize],
        )));
    }
    for field in [Field::transport(0, 2), Field::transport(2, 2)] {
        if random.chance(40) {
            let (low, high) = (random.port(), random.port());
            let (low, high) = (low.min(high), low.max(high));
            let at_most = Expression::Test(Test {
                field,
                mask: 0xffff,
                comparison: Comparison::AtMost,
                value: high,
            });
            parts.push(at_most);
            if low > 0 {
                parts.push(Expression::Test(Test {
                    field,
                    mask: 0xffff,
                    comparison: Comparison::Greater,
                    value: low - 1,
                }));
            }
        }
    }
    for part in &mut parts {
        if random.chance(8) {
            *part = part.clone().negate();
        }
    }
    if parts.is_empty() {
        test(random)
    } else {
        Expression::All(parts)
    }
}

fn agree(rules: &[Expression], random: &mut Random, packets: usize) {
    let program = Program::compile(rules).unwrap();
    let bytes: Vec<Vec<u8>> = (0..packets).map(|_| packet(random)).collect();
    let headers: Vec<Headers<'_>> = bytes.iter().map(|bytes| Headers::ip(bytes)).collect();
    let mut found = vec![0; packets];
    let mut workspace = program.workspace();
    program.classify_batch(&headers, |headers| *headers, &mut found, &mut workspace);
    // The second time around, what the cache holds is known.
    let mut again = vec![0; packets];
    program.classify_batch(&headers, |headers| *headers, &mut again, &mut workspace);
    assert_eq!(again, found);
    for (headers, found) in headers.iter().zip(found) {
        let expected = first_match(rules, headers);
        assert_eq!(found, expected, "{headers:x?}");
        assert_eq!(program.classify(headers), expected);
    }
}

#[test]
fn program_agrees_with_first_match_on_ordinary_rules() {
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let count = [1, 3, 10, 40, 200][random.below(5) as usize];
        let rules: Vec<_> = (0..count).map(|_| ordinary_rule(&mut random)).collect();
        agree(&rules, &mut random, 1_000);
    }
}

#[test]
fn program_agrees_with_first_match_on_odd_expressions() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let rules: Vec<_> = (0..1 + random.below(12))
            .map(|_| expression(&mut random, 4))
            .collect();
        agree(&rules, &mut random, 200);
    }
}

#[test]
fn ten_thousand_packets_agree_with_first_match() {
    let mut random = Random::new(11);
    let rules: Vec<_> = (0..60).map(|_| ordinary_rule(&mut random)).collect();
    agree(&rules, &mut random, 10_000);
}

#[test]
fn five_thousand_rules_agree_with_first_match() {
    let mut random = Random::new(77);
    let rules: Vec<_> = (0..5_000).map(|_| ordinary_rule(&mut random)).collect();
    agree(&rules, &mut random, 1_000);
}

#[test]
fn packets_of_known_flows_get_the_rules_they_got_before() {
    let mut random = Random::new(5);
    let rules: Vec<_> = (0..400).map(|_| ordinary_rule(&mut random)).collect();
    let program = Program::compile(&rules).unwrap();
    let mut workspace = program.workspace();
    let flows: Vec<Vec<u8>> = (0..40).map(|_| packet(&mut random)).collect();
    for _ in 0..200 {
        let group: Vec<_> = (0..50)
            .map(|_| Headers::ip(&flows[random.below(40) as usize]))
            .collect();
        let mut found = [0; 50];
        program.classify_batch(&group, |headers| *headers, &mut found, &mut workspace);
        for (headers, found) in group.iter().zip(found) {
            assert_eq!(found, program.classify(headers));
        }
    }
}

#[test]
fn a_rule_behind_one_for_everything_is_impossible() {
    let udp = Expression::Test(Test::equal(Field::network(9, 1), 0xff, 17));
    let never = Expression::All(vec![udp.clone(), udp.clone().negate()]);
    let rules = [never, udp.clone(), Expression::Constant(true), udp];
    let program = Program::compile(&rules).unwrap();
    assert_eq!(program.possible(4), [false, true, true, false]);
}

#[test]
fn more_rules_than_numbers_are_refused() {
    let udp = Expression::Test(Test::equal(Field::network(9, 1), 0xff, 17));
    let rules = vec![udp; Program::RULES + 1];
    assert_eq!(
        Program::compile(&rules).unwrap_err(),
        CompileError::TooManyRules
    );
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_pattern_or_an_error_in_words(text in "[a-z0-9 .()!&|?:<>=/%\\[\\]-]{0,60}|.{0,40}") {
        if let Err(error) = super::parse_ip_pattern(&text, &NoNames) {
            let words = alloc::string::ToString::to_string(&error);
            proptest::prop_assert!(!words.is_empty());
        }
        let _ = super::parse_byte_pattern(&text);
    }

    #[test]
    fn patterns_of_words_compile_to_what_they_mean(
        words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 1..12),
        seed in 0u64..1000,
    ) {
        if let Ok(expression) = super::parse_ip_pattern(&words.join(" "), &NoNames) {
            agree(&[expression], &mut Random::new(seed), 20);
        }
    }
}

const WORDS: [&str; 32] = [
    "src",
    "dst",
    "host",
    "net",
    "port",
    "10.0.0.1",
    "10.0.0.0/8",
    "80",
    "443",
    "tcp",
    "udp",
    "icmp",
    "ip",
    "proto",
    "ttl",
    "frag",
    "syn",
    "ack",
    "opt",
    "and",
    "or",
    "not",
    "(",
    ")",
    "!=",
    ">",
    "<=",
    "&",
    "?",
    ":",
    "transp[0:2]",
    "www",
];
