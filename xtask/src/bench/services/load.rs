//! What the programs that make the load say.

use std::io::{Error, Result};

/// What came back.
#[derive(Debug, PartialEq)]
pub(super) struct Answers {
    pub(super) count: f64,
    pub(super) per_second: f64,
}

/// Of `dnsperf`.
pub(super) fn dnsperf(text: &str) -> Result<Answers> {
    let lost = number(text, "Queries lost:")?;
    let sent = number(text, "Queries sent:")?;
    if lost > sent / 10.0 {
        return Err(Error::other(format!(
            "dnsperf lost {lost} of {sent} queries"
        )));
    }
    Ok(Answers {
        count: number(text, "Queries completed:")?,
        per_second: number(text, "Queries per second:")?,
    })
}

/// Of `wrk`.
pub(super) fn wrk(text: &str) -> Result<Answers> {
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx")) {
        return Err(Error::other(format!("wrk: {}", line.trim())));
    }
    let count = text
        .lines()
        .find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok())
        .ok_or_else(|| Error::other(format!("no count of requests in\n{text}")))?;
    Ok(Answers {
        count,
        per_second: number(text, "Requests/sec:")?,
    })
}

/// Answers a second to a command, of `redis-benchmark --csv`.
pub(super) fn redis(text: &str, command: &str) -> Result<f64> {
    text.lines()
        .filter_map(|line| line.strip_prefix(&format!("\"{command}\",\"")))
        .find_map(|rest| rest.split('"').next()?.parse().ok())
        .ok_or_else(|| {
            Error::other(format!(
                "redis-benchmark says nothing of {command}:\n{text}"
            ))
        })
}

/// The number behind these words.
fn number(text: &str, words: &str) -> Result<f64> {
    text.lines()
        .find_map(|line| line.trim().strip_prefix(words))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| Error::other(format!("no '{words}' in\n{text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DNSPERF: &str = "\
Statistics:

  Queries sent:         101234
  Queries completed:    101230 (100.00%)
  Queries lost:         4 (0.00%)

  Run time (s):         2.000300
  Queries per second:   50607.408889
";

    #[test]
    fn answers_a_second_are_read_where_few_were_lost() {
        let answers = Answers {
            count: 101_230.0,
            per_second: 50_607.408_889,
        };
        assert_eq!(dnsperf(DNSPERF).expect("a rate"), answers);
        let lossy = DNSPERF.replace("lost:         4 ", "lost:         40000 ");
        assert!(dnsperf(&lossy).is_err());
    }

    #[test]
    fn requests_a_second_are_read_where_all_were_answered_well() {
        let text = "  90001 requests in 3.00s, 80MB read\nRequests/sec:  30000.25\n";
        let answers = Answers {
            count: 90_001.0,
            per_second: 30_000.25,
        };
        assert_eq!(wrk(text).expect("a rate"), answers);
        assert!(wrk(&format!("  Non-2xx or 3xx responses: 5\n{text}")).is_err());
    }

    #[test]
    fn the_command_is_found_in_a_table() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET\",\"1234.50\",\"0.4\"\n";
        assert!((redis(text, "SET").expect("a rate") - 1234.5).abs() < 1e-6);
        assert!(redis(text, "GET").is_err());
    }
}
