use std::vec::Vec;

use crate::testing::Bench;
use core::time::Duration;

/// A packet without payload from an address.
fn from(source: [u8; 4]) -> Vec<u8> {
    let mut bytes = std::vec![0; 100];
    bytes[0] = 0x45;
    bytes[3] = 100;
    bytes[12..16].copy_from_slice(&source);
    bytes
}

fn monitor(arguments: &str) -> Bench {
    Bench::new(&std::format!(
        "FromDevice(in) -> MarkIPHeader(0) -> m :: IPRateMonitor({arguments}) -> ToDevice(out)"
    ))
}

/// Lets `rate` packets a second come from an address for some seconds.
fn stream(bench: &Bench, source: [u8; 4], rate: u32, seconds: u32) {
    for _ in 0..seconds * 8 {
        for _ in 0..rate / 8 {
            bench.arrive("in", &from(source));
        }
        bench.run_for(Duration::from_millis(125));
        bench.sent("out");
    }
}

fn rate(bench: &Bench, network: &str) -> Option<u32> {
    let text = bench.read("m.look");
    let line = text.lines().find(|line| line.starts_with(network))?;
    line.split('\t').nth(1)?.parse().ok()
}

#[test]
fn a_busy_network_is_looked_at_down_to_its_host() {
    let bench = monitor("PACKETS, 1, 256");
    stream(&bench, [18, 26, 4, 9], 800, 20);
    let measured = rate(&bench, "18.26.4.9\t").expect("the host is known");
    assert!((760..=800).contains(&measured), "{measured}");
    assert_eq!(rate(&bench, "18\t"), Some(measured));
    // A quiet one is not.
    stream(&bench, [99, 1, 2, 3], 80, 20);
    assert!(rate(&bench, "99\t").is_some_and(|rate| (76..=80).contains(&rate)));
    assert_eq!(rate(&bench, "99.1\t"), None);
}

#[test]
fn what_has_become_quiet_is_forgotten() {
    let bench = monitor("PACKETS, 1, 256");
    stream(&bench, [18, 26, 4, 9], 800, 20);
    let used = bench.read("m.mem");
    stream(&bench, [99, 1, 2, 3], 8, 20);
    assert_eq!(rate(&bench, "18.26"), None);
    let mem = |text: &str| text.parse::<u32>().expect("a number");
    assert!(mem(&bench.read("m.mem")) < mem(&used));
}

#[test]
fn bytes_are_those_of_the_ip_header() {
    let bench = monitor("BYTES, 1, 1000000");
    stream(&bench, [18, 26, 4, 9], 80, 30);
    let measured = rate(&bench, "18\t").expect("it is known");
    assert!((7900..=8000).contains(&measured), "{measured}");
}

#[test]
fn sampled_packets_count_for_the_others() {
    let bench = monitor("PACKETS, 0.25, 100000");
    stream(&bench, [18, 26, 4, 9], 8000, 20);
    let measured = rate(&bench, "18\t").expect("it is known");
    assert!((7000..=9000).contains(&measured), "{measured}");
}

#[test]
fn memory_stays_within_its_limit() {
    let bench = monitor("PACKETS, 1, 1, 100");
    for first in 1..60 {
        bench.arrive("in", &from([first, 2, 3, 4]));
    }
    bench.run_for(Duration::from_millis(200));
    stream(&bench, [1, 2, 3, 4], 80, 2);
    for first in 1..60 {
        stream(&bench, [first, 2, 3, 4], 800, 1);
    }
    assert!(bench.read("m.mem").parse::<u32>().unwrap() <= 100_000);
}

#[test]
fn rates_become_annotations() {
    let bench = Bench::new(
        "FromDevice(in) -> MarkIPHeader(0) -> IPRateMonitor(PACKETS, 1, 100)
         -> AggregateFilter(0 780-800) -> ToDevice(out)",
    );
    stream(&bench, [18, 26, 4, 9], 800, 20);
    bench.arrive("in", &from([18, 26, 4, 9]));
    bench.run();
    assert_eq!(bench.sent("out").len(), 1);
}

#[test]
fn wrong_arguments_are_named() {
    for (arguments, wrong) in [
        ("FLOWS, 1, 2", "TYPE: must be PACKETS or BYTES"),
        ("PACKETS, 0, 2", "RATIO: must be between 0 and 1"),
        ("PACKETS, 1", "THRESH: required argument missing"),
    ] {
        let errors = Bench::errors(&std::format!("Idle -> IPRateMonitor({arguments}) -> Idle"));
        assert!(errors.contains(wrong), "{errors}");
    }
}
