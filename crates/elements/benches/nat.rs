//! What a packet costs in rewriters, by the number of flows, which come in random order.
//!
//! `source` is what the packets cost before that.

mod support;

use divan::Bencher;

fn main() {
    divan::main();
}

const FLOWS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

const IP: &str = "FromDevice(in) -> Strip(14) -> CheckIPHeader";

#[divan::bench(args = FLOWS)]
fn source(bencher: Bencher<'_, '_>, flows: usize) {
    support::measure(bencher, flows, &format!("{IP} -> Discard"));
}

#[divan::bench(args = FLOWS)]
fn ip_rewriter(bencher: Bencher<'_, '_>, flows: usize) {
    let nat = "nat :: IPRewriter(pattern 1.0.0.1 1024-65535 - - 0 1)";
    let text = format!("{IP} -> {nat} -> Discard; nat[1] -> Discard");
    support::measure(bencher, flows, &text);
}

#[divan::bench(args = FLOWS)]
fn port_blocks(bencher: Bencher<'_, '_>, flows: usize) {
    let nat = "cgn :: PortBlockIPMapper(10.0.0.0/8, 1.1.0.0/17, 0, 1, BLOCK_SIZE 64); nat :: IPRewriter(cgn)";
    let text = format!("{nat}; {IP} -> nat; nat[0], nat[1] -> Discard");
    support::measure(bencher, flows, &text);
}

#[divan::bench(args = FLOWS)]
fn maglev(bencher: Bencher<'_, '_>, flows: usize) {
    let backends: Vec<_> = (1..=8)
        .map(|host| format!("- - 192.168.0.{host} - 0 1"))
        .collect();
    let mapper = format!("lb :: MaglevIPMapper({})", backends.join(", "));
    let text = format!("{IP} -> nat :: IPRewriter(lb); {mapper}; nat[0], nat[1] -> Discard");
    support::measure(bencher, flows, &text);
}

/// Nearly every packet begins a flow, for which another has to end.
#[divan::bench]
fn new_flows(bencher: Bencher<'_, '_>) {
    let nat = "nat :: IPRewriter(pattern 1.0.0.1 1024-65535 - - 0 1, MAPPING_CAPACITY 50000, GUARANTEE 0)";
    let text = format!("{IP} -> {nat} -> Discard; nat[1] -> Discard");
    support::measure(bencher, 1_000_000, &text);
}
