//! Numbers about what a service does, for whoever looks in from outside.
//!
//! Any part of a program may make one; it is read as the handler `os.metrics`, as Prometheus text.
//! A metric costs an addition where it is counted, and is never removed.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt::{self, Write};

use crate::local::local;

/// Bounds of a histogram's buckets are the powers of two below this one; what lies above is in
/// the last.
const BUCKETS: usize = 40;

local! {
    static METRICS: RefCell<Vec<Metric>> = RefCell::new(Vec::new());
}

struct Metric {
    name: &'static str,
    help: &'static str,
    // Not one of three: what writes a kind is in images that have a metric of that kind.
    value: Box<dyn Value>,
}

/// What a metric holds.
trait Value {
    /// Writes it as Prometheus text.
    fn write(&self, out: &mut dyn Write, name: &str, help: &str) -> fmt::Result;
}

impl Value for Counter {
    fn write(&self, out: &mut dyn Write, name: &str, help: &str) -> fmt::Result {
        head(out, name, help, "counter")?;
        writeln!(out, "{name} {}", self.value())
    }
}

impl Value for Gauge {
    fn write(&self, out: &mut dyn Write, name: &str, help: &str) -> fmt::Result {
        head(out, name, help, "gauge")?;
        writeln!(out, "{name} {}", self.value())
    }
}

impl Value for Histogram {
    fn write(&self, out: &mut dyn Write, name: &str, help: &str) -> fmt::Result {
        head(out, name, help, "histogram")?;
        write_histogram(out, name, &self.0.borrow())
    }
}

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Rc<Cell<u64>>);

impl Counter {
    /// Counts one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts several.
    pub fn add(&self, count: u64) {
        self.0.set(self.0.get().wrapping_add(count));
    }

    /// What was counted so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.get()
    }
}

/// A number that grows and shrinks.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Rc<Cell<i64>>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// Changes it.
    pub fn add(&self, change: i64) {
        self.0.set(self.0.get().wrapping_add(change));
    }

    /// What it is.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.get()
    }
}

/// How often which values were seen, by powers of two.
#[derive(Clone, Debug)]
pub struct Histogram(Rc<RefCell<Buckets>>);

#[derive(Debug)]
struct Buckets {
    counts: [u64; BUCKETS],
    sum: u64,
}

impl Histogram {
    /// Notes a value.
    pub fn record(&self, value: u64) {
        // The least power of two that is not below the value.
        let bits = u64::BITS - value.saturating_sub(1).leading_zeros();
        let mut buckets = self.0.borrow_mut();
        buckets.counts[(bits as usize).min(BUCKETS - 1)] += 1;
        buckets.sum = buckets.sum.wrapping_add(value);
    }
}

/// A new counter. Names are of Prometheus' kind: `requests_total`.
#[must_use]
pub fn counter(name: &'static str, help: &'static str) -> Counter {
    let counter = Counter::default();
    add(name, help, Box::new(counter.clone()));
    counter
}

/// A new gauge.
#[must_use]
pub fn gauge(name: &'static str, help: &'static str) -> Gauge {
    let gauge = Gauge::default();
    add(name, help, Box::new(gauge.clone()));
    gauge
}

/// A new histogram.
#[must_use]
pub fn histogram(name: &'static str, help: &'static str) -> Histogram {
    let histogram = Histogram(Rc::new(RefCell::new(Buckets {
        counts: [0; BUCKETS],
        sum: 0,
    })));
    add(name, help, Box::new(histogram.clone()));
    histogram
}

fn add(name: &'static str, help: &'static str, value: Box<dyn Value>) {
    METRICS.with(|metrics| metrics.borrow_mut().push(Metric { name, help, value }));
}

/// Writes all metrics as Prometheus text (its exposition format, version 0.0.4).
pub(crate) fn write(out: &mut dyn Write) -> fmt::Result {
    METRICS.with(|metrics| {
        for Metric { name, help, value } in metrics.borrow().iter() {
            value.write(out, name, help)?;
        }
        Ok(())
    })
}

fn head(out: &mut dyn Write, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn write_histogram(out: &mut dyn Write, name: &str, buckets: &Buckets) -> fmt::Result {
    let mut total = 0;
    for (bits, count) in buckets.counts[..BUCKETS - 1].iter().enumerate() {
        total += count;
        if *count > 0 {
            writeln!(out, "{name}_bucket{{le=\"{}\"}} {total}", 1u64 << bits)?;
        }
    }
    total += buckets.counts[BUCKETS - 1];
    writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {total}")?;
    writeln!(out, "{name}_sum {}\n{name}_count {total}", buckets.sum)
}

/// Writes a number that is kept elsewhere.
pub(crate) fn write_other(
    out: &mut dyn Write,
    name: &str,
    labels: &str,
    value: u64,
) -> fmt::Result {
    writeln!(out, "{name}{labels} {value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn metrics_are_written_as_prometheus_reads_them() {
        let requests = counter("requests_total", "Requests answered.");
        requests.add(2);
        requests.increment();
        gauge("open", "Open connections.").set(-1);
        let sizes = histogram("bytes", "Sizes of answers.");
        for value in [0, 1, 2, 3, 4, 1 << 50] {
            sizes.record(value);
        }
        let mut text = String::new();
        write(&mut text).expect("text grows");
        assert_eq!(
            text,
            "# HELP requests_total Requests answered.\n\
             # TYPE requests_total counter\n\
             requests_total 3\n\
             # HELP open Open connections.\n\
             # TYPE open gauge\n\
             open -1\n\
             # HELP bytes Sizes of answers.\n\
             # TYPE bytes histogram\n\
             bytes_bucket{le=\"1\"} 2\n\
             bytes_bucket{le=\"2\"} 3\n\
             bytes_bucket{le=\"4\"} 5\n\
             bytes_bucket{le=\"+Inf\"} 6\n\
             bytes_sum 1125899906842634\n\
             bytes_count 6\n"
        );
    }
}
