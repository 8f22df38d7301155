//! What a packet costs in the classifiers, by number and kind of rules.
//!
//! `ordinary` rules are firewall rules of four shapes, each with its own net or port, and the
//! packets match only the last of them; `random` rules are overlapping prefixes and port ranges,
//! some negated. Packets come from 10,000 flows in random order.

use std::rc::Rc;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use sprat_click::arguments::NoNames;
use sprat_click::driver::Driver;
use sprat_click::language::NoLibraries;
use sprat_click::router::Builder;
use sprat_click::simulation::Simulation;
use sprat_elements::classification::{
    Expression, Headers, NO_RULE, Program, parse_byte_pattern, parse_ip_pattern,
};
use sprat_packet::Pool;

fn main() {
    // Only where nothing in particular was asked for.
    let everything = std::env::args()
        .skip(1)
        .all(|argument| argument == "--bench");
    for count in [10, 100, 1_000, 5_000].into_iter().filter(|_| everything) {
        for (name, rules) in [("ordinary", ordinary(count)), ("random", random(count))] {
            let bytes = Program::compile(&rules).map(|program| program.bytes());
            println!("{count} {name} rules take {} bytes", bytes.unwrap_or(0));
        }
    }
    divan::main();
}

/// Marsaglia's xorshift, 64 bits, shifts 13, 7, 17.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }
}

fn parse(text: &str) -> Expression {
    parse_ip_pattern(text, &NoNames).unwrap_or(Expression::Constant(false))
}

/// Firewall rules that deny, and a last one for all UDP.
fn ordinary(count: usize) -> Vec<Expression> {
    ordinary_rules(count)
        .iter()
        .filter_map(|rule| Some(parse(rule.split_once(' ')?.1)))
        .collect()
}

/// The same as text, with actions.
fn ordinary_rules(count: usize) -> Vec<String> {
    let mut rules: Vec<String> = (0..count - 1)
        .map(|i| {
            let (high, low) = (i / 256, i % 256);
            let pattern = match i % 4 {
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
            };
            format!("deny {pattern}")
        })
        .collect();
    rules.push("allow udp".to_owned());
    rules
}

/// Overlapping prefixes, port ranges, protocols and negations.
fn random(count: usize) -> Vec<Expression> {
    let mut random = Random(count as u64 + 1);
    let mut rules = Vec::with_capacity(count);
    for _ in 0..count {
        let mut parts = Vec::new();
        for direction in ["src", "dst"] {
            if random.below(10) < 7 {
                let length =
                    [8, 12, 16, 20, 24, 24, 28, 32][usize::try_from(random.below(8)).unwrap_or(0)];
                let net = format!("10.{}.{}.{}", random.byte(), random.byte(), random.byte());
                parts.push(format!("{direction} net {net}/{length}"));
            }
        }
        if random.below(10) < 7 {
            parts.push(
                ["tcp", "udp", "icmp"][usize::try_from(random.below(3)).unwrap_or(0)].to_owned(),
            );
        }
        for direction in ["src", "dst"] {
            if random.below(10) < 4 {
                let low = random.below(65_000);
                let high = low + random.below(536);
                parts.push(format!("{direction} port {low}-{high}"));
            }
        }
        if parts.len() < 3 {
            parts.push(format!("dst port {}", random.below(65_536)));
        }
        if random.below(10) == 0 {
            parts[0] = format!("not {}", parts[0]);
        }
        rules.push(parse(&parts.join(" && ")));
    }
    rules
}

/// 10,000 UDP packets from `10.0.0.0/8`, each of its own flow.
fn packets() -> Vec<[u8; 46]> {
    let mut random = Random(4711);
    (0..10_000)
        .map(|_| {
            let mut packet = [0; 46];
            packet[0] = 0x45;
            packet[8] = 64;
            packet[9] = 17;
            packet[12] = 10;
            packet[13] = random.byte();
            packet[14] = random.byte();
            packet[15] = random.byte();
            packet[16..20].copy_from_slice(&[131, 179, 80, 139]);
            if random.below(2) == 0 {
                packet[16] = 10;
                packet[17] = random.byte();
            }
            for byte in &mut packet[20..24] {
                *byte = random.byte();
            }
            packet
        })
        .collect()
}

fn classify(bencher: Bencher<'_, '_>, rules: &[Expression], new_flows: bool) {
    let Ok(program) = Program::compile(rules) else {
        return;
    };
    let mut packets = packets();
    let mut ports = 0u32;
    let mut found = [NO_RULE; 32];
    let mut workspace = program.workspace();
    bencher
        .counter(ItemsCount::new(packets.len()))
        .bench_local(|| {
            for batch in packets.chunks_mut(32) {
                if new_flows {
                    for packet in batch.iter_mut() {
                        // Ports that this flow has not had before.
                        packet[20..24].copy_from_slice(&ports.to_be_bytes());
                        ports = ports.wrapping_add(0x9e37_79b1);
                    }
                }
                program.classify_batch(
                    black_box(&*batch),
                    |packet| Headers::ip(packet),
                    &mut found,
                    &mut workspace,
                );
                black_box(&found);
            }
        });
}

#[divan::bench(args = [10, 100, 1_000, 5_000])]
fn new_flow_through_ordinary_rules(bencher: Bencher<'_, '_>, count: usize) {
    classify(bencher, &ordinary(count), true);
}

#[divan::bench(args = [10, 100, 1_000, 5_000])]
fn new_flow_through_random_rules(bencher: Bencher<'_, '_>, count: usize) {
    classify(bencher, &random(count), true);
}

#[divan::bench(args = [10, 100, 1_000, 5_000])]
fn packet_through_ordinary_rules(bencher: Bencher<'_, '_>, count: usize) {
    classify(bencher, &ordinary(count), false);
}

#[divan::bench(args = [10, 100, 1_000, 5_000])]
fn packet_through_random_rules(bencher: Bencher<'_, '_>, count: usize) {
    classify(bencher, &random(count), false);
}

#[divan::bench(args = [10, 100, 1_000, 5_000], sample_count = 10)]
fn compile_ordinary_rules(bencher: Bencher<'_, '_>, count: usize) {
    bencher.bench_local(|| Program::compile(&ordinary(black_box(count))));
}

#[divan::bench(args = [10, 100, 1_000, 5_000], sample_count = 10)]
fn compile_random_rules(bencher: Bencher<'_, '_>, count: usize) {
    bencher.bench_local(|| Program::compile(&random(black_box(count))));
}

#[divan::bench]
fn packet_through_eight_byte_patterns(bencher: Bencher<'_, '_>) {
    let rules: Vec<Expression> = [
        "12/0806 20/0001",
        "12/0806 20/0002",
        "12/86dd",
        "12/8100",
        "12/0800 23/06",
        "12/0800 23/01",
        "12/0800 23/11 36/0035",
        "12/0800 23/11",
    ]
    .iter()
    .map(|pattern| parse_byte_pattern(pattern).unwrap_or(Expression::Constant(false)))
    .collect();
    let Ok(program) = Program::compile(&rules) else {
        return;
    };
    let frames: Vec<[u8; 60]> = packets()
        .iter()
        .map(|packet| {
            let mut frame = [0; 60];
            frame[12] = 8;
            frame[14..].copy_from_slice(packet);
            frame
        })
        .collect();
    let mut found = [NO_RULE; 32];
    let mut workspace = program.workspace();
    bencher
        .counter(ItemsCount::new(frames.len()))
        .bench_local(|| {
            for batch in frames.chunks(32) {
                program.classify_batch(
                    black_box(batch),
                    |frame| Headers::packet(frame),
                    &mut found,
                    &mut workspace,
                );
                black_box(&found);
            }
        });
}

/// Packets through a whole router: source, header check, filter, sink.
const PATH_PACKETS: usize = 200_000;

#[divan::bench(args = [0, 10, 100, 5_000], sample_count = 10)]
fn packet_through_a_router_with_rules(bencher: Bencher<'_, '_>, count: usize) {
    let filter = if count == 0 {
        String::new()
    } else {
        format!("IPFilter({}) ->", ordinary_rules(count).join(", "))
    };
    // Ethernet, IPv4, UDP from 10.0.0.1 port 1234 to 131.179.80.139 port 5678.
    let frame = "0000000000020000000000010800450000320000000040119c7c0a00000183b3508b\
                 04d2162e001e00000000000000000000000000000000000000000000000000000000";
    let configuration = format!(
        "InfiniteSource(DATA \\<{frame}>, LIMIT {PATH_PACKETS}, BURST 32, STOP true)
         -> Strip(14) -> CheckIPHeader -> {filter} c :: Counter -> Discard"
    );
    bencher
        .counter(ItemsCount::new(PATH_PACKETS))
        .with_inputs(|| {
            let simulation = Simulation::new();
            let builder = Builder::new(
                sprat_elements::library(),
                simulation.clone(),
                Pool::growing(),
                sprat_click::language::parser(Rc::new(NoLibraries), Vec::new()),
            );
            match Rc::new(builder).build(&configuration, "bench") {
                Ok((router, _)) => (simulation, Driver::new(router)),
                Err(error) => panic!("{}", error.diagnostics),
            }
        })
        .bench_local_values(|(simulation, mut driver)| {
            simulation.run(&mut driver, Duration::from_secs(1));
            let passed = driver.router().read("c.count", "");
            assert_eq!(passed.ok(), Some(PATH_PACKETS.to_string()));
        });
}
