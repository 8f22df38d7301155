//! Click configurations over the trace, as plain processes, beside other commands that run them.
//!
//! Each configuration reads the whole trace as fast as it can and prints how many packets it took
//! and how long. Commands take turns, pinned to one core.

use super::Bench;
use super::table::{Row, Sample};
use super::trace::{self, NEW, ONE_PAIR, ORDINARY, Random, SCATTERED, Traffic};
use std::fmt::Write as _;
use std::io::{Error, Result};
use std::path::Path;
use std::process::Command;

const RUNS: usize = 5;

/// A configuration: what it is called, its elements between source and end, and the most
/// nanoseconds a packet that we promise.
struct Case {
    name: &'static str,
    body: String,
    traffic: Traffic,
    bar: Option<f64>,
}

/// Times every configuration.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut commands = vec![(
        "sprat".to_owned(),
        format!("{} click", bench.sprat.display()),
    )];
    commands.extend(bench.peers.iter().cloned());
    let copying = trace::copying(&trace::make(&bench.scratch, ORDINARY)?)?;
    let what = "memcpy of the trace, for each packet of it";
    let mut rows = vec![Row::plain(what, Sample::of(copying).text("ns"))];
    for case in cases() {
        let trace = trace::make(&bench.scratch, case.traffic)?;
        let path = bench.scratch.join(format!("{}.click", case.name));
        std::fs::write(&path, configuration(&trace, "", &case.body))?;
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); commands.len()];
        let mut failure = None;
        'runs: for _ in 0..RUNS {
            for ((_, command), times) in commands.iter().zip(&mut times) {
                match nanoseconds_a_packet(command, &path) {
                    Ok(time) => times.push(time),
                    Err(error) => {
                        failure = Some(error.to_string());
                        break 'runs;
                    }
                }
            }
        }
        if let Some(failure) = failure {
            rows.push(Row {
                kept: case.bar.map(|_| false),
                ..Row::plain(case.name, failure)
            });
            continue;
        }
        let samples: Vec<Sample> = times.into_iter().map(Sample::of).collect();
        let mut row = match case.bar {
            Some(bar) => Row::at_most(case.name, &samples[0], bar, "ns"),
            None => Row::plain(case.name, samples[0].text("ns")),
        };
        for ((name, _), sample) in commands.iter().zip(&samples).skip(1) {
            let ratio = sample.median() / samples[0].median();
            let _ = write!(row.measured, "; {name} {} (×{ratio:.2})", sample.text("ns"));
        }
        println!("    {}: {}", row.what, row.measured);
        rows.push(row);
    }
    Ok(rows)
}

/// What a packet of the trace costs in a plain process, in nanoseconds.
///
/// # Errors
/// The configuration does not run.
pub(super) fn in_process(bench: &Bench, body: &str) -> Result<f64> {
    let trace = trace::make(&bench.scratch, ORDINARY)?;
    let path = bench.scratch.join("in-process.click");
    std::fs::write(&path, configuration(&trace, "", body))?;
    nanoseconds_a_packet(&format!("{} click", bench.sprat.display()), &path)
}

/// Counts what every configuration allocates for packets, once it has seen half of the trace.
///
/// # Errors
/// The counter does not build, or a configuration does not run.
pub(super) fn allocations(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in cases() {
        let trace = trace::make(&bench.scratch, case.traffic)?;
        let mut counted = Vec::new();
        for seconds in [2, 3] {
            let path = bench.scratch.join(format!("{}-{seconds}.click", case.name));
            let until = format!(", END_AFTER {seconds}");
            std::fs::write(&path, configuration(&trace, &until, &case.body))?;
            counted.push(count_allocations(&path)?);
        }
        let sample = Sample::of(vec![counted[1] - counted[0]]);
        let what = format!("{}, for a million packets", case.name);
        // Rates are those of the clock: now and then one is first looked at closely, or no more.
        let bar = if case.name == "rate-monitor" {
            10.0
        } else {
            0.0
        };
        rows.push(Row::at_most(&what, &sample, bar, "allocations"));
    }
    Ok(rows)
}

/// How often a configuration allocates, from start to end.
fn count_allocations(configuration: &Path) -> Result<f64> {
    let output = crate::process::cargo(&["bench", "--quiet", "--locked"])
        .args([
            "--package",
            "sprat-userlevel",
            "--bench",
            "allocations",
            "--",
        ])
        .arg(configuration)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let count = lines.find_map(|line| {
        let words = line.strip_prefix("ALLOCATIONS ")?;
        words.split_whitespace().next()?.parse().ok()
    });
    count.ok_or_else(|| Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Runs a configuration once.
fn nanoseconds_a_packet(command: &str, configuration: &Path) -> Result<f64> {
    let output = Command::new("timeout")
        .args(["120", "taskset", "-c", "1"])
        .args(command.split_whitespace())
        .arg(configuration)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let figures: Vec<f64> = result
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    match figures[..] {
        [packets, seconds] if packets > 0.0 => Ok(seconds * 1e9 / packets),
        _ => {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(Error::other(format!(
                "failed: {}",
                errors.lines().next().unwrap_or("no result").trim()
            )))
        }
    }
}

/// A whole configuration: a body behind a source, for which there may be more keywords.
fn configuration(trace: &Path, keywords: &str, body: &str) -> String {
    format!(
        "source :: FromDump({}, STOP true{keywords})\n  {body}\n\
         DriverManager(set begun $(now), wait_stop, set ended $(now),\n  \
         print \"RESULT $(source.count) $(sub $ended $begun)\");\n",
        trace.display()
    )
}

/// What stands in front of everything that looks at IP headers.
const IP: &str = "-> Strip(14) -> CheckIPHeader";

fn cases() -> Vec<Case> {
    let plain = |name, body: &str| Case {
        name,
        body: body.to_owned(),
        traffic: ORDINARY,
        bar: None,
    };
    let barred = |name, body: String, bar| Case {
        name,
        body,
        traffic: ORDINARY,
        bar: Some(bar),
    };
    let new_flows = |name, count| Case {
        traffic: NEW,
        ..plain(
            name,
            &format!("{IP} -> IPFilter({}) -> Discard;", rules(count)),
        )
    };
    let nat = format!(
        "{IP} -> nat :: IPRewriter(pattern 1.0.0.1 1024-65535 - - 0 1) -> Discard; nat[1] -> Discard;"
    );
    let flows = format!("{IP} -> AggregateIPFlows -> AggregateCounter -> Discard;");
    let backends: Vec<_> = (1..=8)
        .map(|host| format!("- - 192.168.0.{host} - 0 1"))
        .collect();
    vec![
        plain("trace-discard", "-> Discard;"),
        plain("trace-check-dscp", &format!("{IP} -> SetIPDSCP(10) -> Discard;")),
        plain(
            "lookup-1001-routes",
            &format!("{IP} -> routes :: RadixIPLookup({}); routes[0], routes[1] -> Discard;", routes()),
        ),
        barred("router-1001-routes", router(), 51.0),
        barred("filter-10", format!("{IP} -> IPFilter({}) -> Discard;", rules(10)), 35.0),
        barred("filter-100", format!("{IP} -> IPFilter({}) -> Discard;", rules(100)), 35.0),
        barred("filter-5000", format!("{IP} -> IPFilter({}) -> Discard;", rules(5000)), 35.0),
        new_flows("filter-10-new-flows", 10),
        new_flows("filter-100-new-flows", 100),
        new_flows("filter-5000-new-flows", 5000),
        barred("nat-10000-flows", nat.clone(), 97.0),
        // A quarter of the better peer's.
        Case {
            traffic: SCATTERED,
            ..barred("nat-50000-flows", nat, 314.0)
        },
        barred(
            "balancer-8-servers",
            format!(
                "{IP} -> nat :: IPRewriter(mapper) -> Discard; nat[1] -> Discard;\n  mapper :: RoundRobinIPMapper({});",
                backends.join(", ")
            ),
            100.0,
        ),
        barred(
            "classifier-8",
            "-> kind :: Classifier(12/0806 20/0001, 12/0806 20/0002, 12/86dd, 12/8100, 12/0800 23/06, 12/0800 23/01,\n  \
             12/0800 23/11 36/0035, 12/0800 23/11);\n  \
             kind[0], kind[1], kind[2], kind[3], kind[4], kind[5], kind[6], kind[7] -> Discard;"
                .to_owned(),
            33.0,
        ),
        barred("rate-monitor", format!("{IP} -> IPRateMonitor(PACKETS, 0.5, 256, 4096, ANNO false) -> Discard;"), 79.0),
        barred("flows", flows.clone(), 91.0),
        // A fiftieth.
        Case {
            traffic: ONE_PAIR,
            ..barred("flows-one-pair", flows, 529.0)
        },
        barred(
            "filter-nat-ttl-encap",
            format!(
                "{IP} -> IPFilter({}) -> nat :: IPRewriter(pattern 1.0.0.1 1024-65535 - - 0 1)\n  \
                 -> DecIPTTL -> EtherEncap(0x0800, 0:0:0:0:0:5, 0:0:0:0:0:6) -> Discard; nat[1] -> Discard;",
                rules(10)
            ),
            104.0,
        ),
    ]
}

/// A thousand routes and a default one, seeded.
fn routes() -> String {
    let mut random = Random(7);
    let mut seen = std::collections::BTreeSet::new();
    let mut text = String::new();
    while seen.len() < 1000 {
        let length = [16, 16, 20, 20, 22, 22, 24, 24, 24, 24, 24, 24]
            [usize::try_from(random.below(12)).unwrap_or(0)];
        let network =
            u32::try_from(random.below(1 << 32)).unwrap_or(0) & (u32::MAX << (32 - length));
        let [a, b, c, d] = network.to_be_bytes();
        if (1..224).contains(&a) && a != 127 && seen.insert((network, length)) {
            let (gateway, port) = (1 + random.below(9), random.below(2));
            let _ = write!(text, "{a}.{b}.{c}.{d}/{length} 18.26.4.{gateway} {port}, ");
        }
    }
    text + "0.0.0.0/0 18.26.4.1 1"
}

/// The forwarding path of an IP router with two interfaces.
fn router() -> String {
    format!(
        "-> Strip(14) -> CheckIPHeader(INTERFACES 10.0.0.254/255.0.0.0 18.26.4.24/255.255.255.0)\n  \
         -> routes :: RadixIPLookup({});\n\
         elementclass Out {{ $address, $from, $to |\n  \
           input -> DropBroadcasts -> IPGWOptions($address) -> FixIPSrc($address)\n    \
             -> lifetime :: DecIPTTL -> fragments :: IPFragmenter(1500) -> EtherEncap(0x0800, $from, $to) -> output;\n  \
           lifetime[1] -> ICMPError($address, timeexceeded) -> Discard;\n  \
           fragments[1] -> Discard;\n}}\n\
         routes[0] -> Out(10.0.0.254, 0:0:0:0:0:3, 0:0:0:0:0:4) -> end :: Discard;\n\
         routes[1] -> Out(18.26.4.24, 0:0:0:0:0:5, 0:0:0:0:0:6) -> end;",
        routes()
    )
}

/// Rules that the trace's packets all fall through, then one that allows them.
pub(super) fn rules(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count - 1 {
        let (high, low) = (number / 250, number % 250);
        let _ = match number % 4 {
            0 => write!(
                text,
                "deny udp && src net 172.{}.{low}.0/24 && dst port {},\n    ",
                16 + high % 16,
                1000 + number
            ),
            1 => write!(
                text,
                "deny tcp && dst host 131.179.{high}.{low} && dst port {},\n    ",
                20 + number % 60000
            ),
            2 => write!(
                text,
                "deny udp && dst host 131.179.{high}.139 && src port {},\n    ",
                3000 + number
            ),
            _ => write!(
                text,
                "deny src net 192.{}.{low}.0/24,\n    ",
                168 + high % 64
            ),
        };
    }
    text + "allow udp"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_rules_as_asked_for() {
        for count in [10, 100, 5000] {
            assert_eq!(rules(count).split(',').count(), count);
        }
    }

    #[test]
    fn there_are_a_thousand_and_one_routes() {
        assert_eq!(routes().split(", ").count(), 1001);
    }
}
