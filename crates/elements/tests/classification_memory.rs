//! What compiling and running rule sets takes, counted by the allocator: bytes and calls do not
//! depend on how fast or busy the machine is.

mod counting;

use std::sync::atomic::Ordering;

use counting::{CALLS, NOW, PEAK};
use sprat_click::arguments::NoNames;
use sprat_elements::classification::{Expression, Headers, NO_RULE, Program, parse_ip_pattern};

fn parse(text: &str) -> Expression {
    parse_ip_pattern(text, &NoNames).expect("a well-formed pattern")
}

/// Denials of four shapes, each with its own net or port, and a last rule for all UDP.
fn ordinary(count: usize) -> Vec<Expression> {
    let mut rules: Vec<_> = (0..count - 1)
        .map(|i| {
            let (high, low) = (i / 256, i % 256);
            parse(&match i % 4 {
                0 => format!(
                    "udp && src net 172.{}.{low}.0/24 && dst port {}",
                    16 + high,
                    1000 + i
                ),
                1 => format!(
                    "tcp && dst host 131.179.{}.{low} && dst port {}",
                    80 + high,
                    20 + i
                ),
                2 => format!("udp && dst host 131.179.80.139 && src port {}", 3000 + i),
                _ => format!("src net 192.{}.{low}.0/24", 168 + high),
            })
        })
        .collect();
    rules.push(parse("udp"));
    rules
}

/// Overlapping prefixes and port ranges, spread by multiplication with primes.
fn overlapping(count: usize) -> Vec<Expression> {
    (0..count)
        .map(|i| {
            let (a, b, c) = (i * 7919 % 256, i * 104_729 % 256, i * 1_299_709 % 256);
            let length = [8, 12, 16, 20, 24, 28][i % 6];
            let low = i * 7919 % 60_000;
            let negation = if i % 10 == 0 { "not " } else { "" };
            parse(&format!(
                "{negation}src net 10.{a}.{b}.{c}/{length} && dst net 10.{c}.{a}.{b}/{} && \
                 {} && dst port {low}-{}",
                [24, 8, 16][i % 3],
                ["tcp", "udp"][i % 2],
                low + 500,
            ))
        })
        .collect()
}

/// One test in one process: others would allocate at the same time.
#[test]
fn five_thousand_rules_take_bounded_memory_and_packets_none() {
    for rules in [ordinary(5_000), overlapping(5_000)] {
        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let calls = CALLS.load(Ordering::Relaxed);
        let program = Program::compile(&rules).expect("rules within the limits");
        let peak = PEAK.load(Ordering::Relaxed) - before;
        let calls = CALLS.load(Ordering::Relaxed) - calls;
        assert!(peak <= 16 << 20, "{peak} bytes while compiling");
        // Work for each rule is bounded too: it shows in the allocations made.
        assert!(calls <= 5_000 * 200, "{calls} allocations");
        let kept = NOW.load(Ordering::Relaxed) - before;
        assert!(
            program.bytes() <= kept + kept / 8 && kept <= program.bytes() * 2,
            "{} of {kept}",
            program.bytes()
        );

        let mut workspace = program.workspace();
        let mut packet = [0; 40];
        packet[0] = 0x45;
        packet[9] = 17;
        packet[12] = 10;
        let mut rule = [NO_RULE];
        let calls = CALLS.load(Ordering::Relaxed);
        for port in 0..2_000u16 {
            packet[22..24].copy_from_slice(&port.to_be_bytes());
            let headers = [Headers::ip(&packet)];
            program.classify_batch(&headers, |headers| *headers, &mut rule, &mut workspace);
            assert_eq!(rule[0], program.classify(&headers[0]));
        }
        // The cache grows a few times until it has the size that its flows want.
        assert!(CALLS.load(Ordering::Relaxed) - calls <= 4);
    }
}
