//! What a packet costs on the path through an IP router.
//!
//! 64-byte packets of 10,000 flows in random order, each flow with a destination of its own, through
//! ever longer parts of the path; the first part is the source alone.

mod support;

use divan::Bencher;
use support::Random;

fn main() {
    divan::main();
}

const FLOWS: usize = 10_000;

/// Prefixes as full tables have them, half of them /24, and a default route.
fn routes(count: usize) -> String {
    let mut random = Random(7);
    let mut text = String::from("0.0.0.0/0 18.26.4.1 1");
    for _ in 1..count {
        let length = [16, 16, 20, 20, 22, 22, 24, 24, 24, 24, 24, 24][random.below(12)];
        let prefix = std::net::Ipv4Addr::from(random.next() | 0x0100_0000);
        let (gateway, output) = (1 + random.below(9), random.below(2));
        text.push_str(&format!(", {prefix}/{length} 18.26.4.{gateway} {output}"));
    }
    text
}

fn path(part: &str) -> String {
    let check = "src :: FromDevice(in) -> Strip(14)
        -> CheckIPHeader(INTERFACES 10.0.0.254/255.0.0.0 18.26.4.24/255.255.255.0)";
    let out = |address: &str| {
        format!(
            "IPGWOptions({address}) -> FixIPSrc({address}) -> DecIPTTL -> IPFragmenter(1500) -> d"
        )
    };
    match part {
        "source" => "src :: FromDevice(in) -> Discard".into(),
        "check" => format!("{check} -> Discard"),
        "lookup of 4" | "lookup of 1001" | "lookup of 100000" => {
            let count = part
                .rsplit(' ')
                .next()
                .and_then(|count| count.parse().ok())
                .unwrap_or(4);
            format!(
                "{check} -> r :: RadixIPLookup({}) -> d :: Discard; r[1] -> d",
                routes(count)
            )
        }
        _ => format!(
            "{check} -> r :: RadixIPLookup({}); d :: Discard; r[0] -> {}; r[1] -> {}",
            routes(1001),
            out("10.0.0.254"),
            out("18.26.4.24"),
        ),
    }
}

#[divan::bench(args = ["source", "check", "lookup of 4", "lookup of 1001", "lookup of 100000", "router"])]
fn packets(bencher: Bencher<'_, '_>, part: &str) {
    support::measure(bencher, FLOWS, &path(part));
}
