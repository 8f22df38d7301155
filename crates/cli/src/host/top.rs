//! `sprat top`: what instances do at the moment, and the elements of one.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use sprat_host::client::ClientError;
use sprat_host::protocol::{ElementStatus, InstanceStatus, Lanes};

use super::{FolderArguments, complain_of, encoded};
use crate::output::{self, complain, table};

/// Shows what instances do at the moment, again and again until Ctrl-C; with INSTANCE, its elements
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat top\n  \
    sprat top fw                     the elements of one\n  \
    sprat top --once --json          for a program")]
pub(crate) struct TopCommand {
    /// The instance whose elements are shown, as `sprat ps` names it.
    instance: Option<String>,
    /// Shows one time, and ends.
    #[arg(long)]
    once: bool,
    /// Seconds between two times.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = interval)]
    interval: f64,
    /// Prints JSON, a line each time.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

fn interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected 0.1 to 3600".into()),
    }
}

/// What an instance does in a second.
#[derive(Debug, PartialEq, Serialize)]
struct InstanceRow {
    instance: String,
    tenant: String,
    state: &'static str,
    received: f64,
    sent: f64,
    dropped: f64,
    /// Of one processor, in percent.
    processor: f64,
    entries: f64,
}

/// What an element does in a second.
#[derive(Debug, PartialEq, Serialize)]
struct ElementRow {
    element: String,
    received: f64,
    sent: f64,
    /// Nothing where it does not count any.
    dropped: Option<f64>,
    runs: f64,
    /// Of one processor, in percent.
    processor: f64,
    /// For each packet that came in, or went out where that are more. Nothing where there were none.
    nanoseconds: Option<f64>,
}

/// What was counted at a moment.
struct Sample<T> {
    at: Instant,
    counted: BTreeMap<String, T>,
}

/// What is in two samples.
struct Change<'s, T> {
    name: &'s str,
    now: &'s T,
    then: &'s T,
    seconds: f64,
}

impl<T> Change<'_, T> {
    /// How much a number grew in a second. What began anew has grown from nothing.
    fn rate(&self, number: impl Fn(&T) -> u64) -> f64 {
        let (now, then) = (number(self.now), number(self.then));
        now.checked_sub(then).unwrap_or(now) as f64 / self.seconds
    }
}

impl<T> Sample<T> {
    fn since<'s>(&'s self, before: &'s Self) -> impl Iterator<Item = Change<'s, T>> {
        let seconds = (self.at - before.at).as_secs_f64();
        self.counted.iter().filter_map(move |(name, now)| {
            let then = before.counted.get(name)?;
            Some(Change {
                name,
                now,
                then,
                seconds,
            })
        })
    }
}

/// An instance and whose it is.
type Instance = (String, InstanceStatus);

/// An element, and what it has dropped where it counts that.
type Element = (ElementStatus, Option<u64>);

impl TopCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let shown = match &self.instance {
            None => self.repeat(
                || self.instances(),
                |now, before| self.instance_text(now, before),
            ),
            Some(instance) => match self.counters(instance) {
                Ok(drops) => self.repeat(
                    || self.elements(instance, &drops),
                    |now, before| self.element_text(now, before),
                ),
                Err(error) => Err(error),
            },
        };
        match shown {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain_of(&error);
                ExitCode::FAILURE
            }
        }
    }

    /// Shows how samples differ, until somebody has seen enough.
    fn repeat<T>(
        &self,
        sample: impl Fn() -> Result<BTreeMap<String, T>, ClientError>,
        text: impl Fn(&Sample<T>, &Sample<T>) -> String,
    ) -> Result<(), ClientError> {
        let take = || {
            sample().map(|counted| Sample {
                at: Instant::now(),
                counted,
            })
        };
        let mut before = take()?;
        loop {
            thread::sleep(Duration::from_secs_f64(self.interval));
            let now = take()?;
            let mut text = text(&now, &before);
            if !self.json && !self.once && std::io::stdout().is_terminal() {
                // To the upper left corner, and nothing below it.
                text.insert_str(0, "\x1b[H\x1b[J");
            }
            match output::print_on(&text) {
                Ok(true) if !self.once => {}
                Ok(_) => return Ok(()),
                Err(error) => {
                    complain!("error: standard output: {error}");
                    return Ok(());
                }
            }
            before = now;
        }
    }

    fn instances(&self) -> Result<BTreeMap<String, Instance>, ClientError> {
        let lanes: Lanes = self.folders.get("/v1/status")?;
        let mut all = BTreeMap::new();
        for lane in lanes.lanes {
            for instance in lane.status.into_iter().flat_map(|status| status.instances) {
                all.insert(instance.name.clone(), (lane.tenant.clone(), instance));
            }
        }
        Ok(all)
    }

    fn instance_text(&self, now: &Sample<Instance>, before: &Sample<Instance>) -> String {
        let rows = now.since(before).map(|change| InstanceRow {
            instance: change.name.into(),
            tenant: change.now.0.clone(),
            state: change.now.1.state.word(),
            received: change.rate(|(_, status)| status.received),
            sent: change.rate(|(_, status)| status.sent),
            dropped: change.rate(|(_, status)| status.dropped),
            processor: change.rate(|(_, status)| status.inside) / 10_000.0,
            entries: change.rate(|(_, status)| status.entries),
        });
        if self.json {
            return line(&rows.collect::<Vec<_>>());
        }
        let header = [
            "INSTANCE",
            "TENANT",
            "STATE",
            "IN/S",
            "OUT/S",
            "DROPPED/S",
            "CPU",
            "ENTRIES/S",
        ];
        let cells = rows.map(|row| {
            vec![
                row.instance,
                row.tenant,
                row.state.into(),
                whole(row.received),
                whole(row.sent),
                whole(row.dropped),
                format!("{:.1} %", row.processor),
                whole(row.entries),
            ]
        });
        table(&header, &[3, 4, 5, 6, 7], cells)
    }

    /// The elements of an instance that count what they drop.
    fn counters(&self, instance: &str) -> Result<Vec<String>, ClientError> {
        let elements: Vec<ElementStatus> = self.folders.get(&elements_path(instance))?;
        let mut counting = Vec::new();
        for element in elements {
            // What has no handlers at all is no element of a router.
            let handlers = self
                .handler(instance, &element.name, "handlers")
                .unwrap_or_default();
            let mut names = handlers.lines().filter_map(|line| line.split('\t').next());
            if names.any(|name| name == "drops") {
                counting.push(element.name);
            }
        }
        Ok(counting)
    }

    fn handler(&self, instance: &str, element: &str, name: &str) -> Result<String, ClientError> {
        let handler = encoded(&format!("{element}.{name}"));
        let path = format!("/v1/instances/{}/handlers/{handler}", encoded(instance));
        let answer = self.folders.ask("GET", &path, None)?;
        let text = answer.get("text").and_then(|text| text.as_str());
        Ok(text.unwrap_or_default().into())
    }

    fn elements(
        &self,
        instance: &str,
        counting: &[String],
    ) -> Result<BTreeMap<String, Element>, ClientError> {
        let elements: Vec<ElementStatus> = self.folders.get(&elements_path(instance))?;
        let mut all = BTreeMap::new();
        for element in elements {
            let mut dropped = None;
            if counting.contains(&element.name) {
                let text = self.handler(instance, &element.name, "drops")?;
                dropped = text.trim().parse().ok();
            }
            all.insert(element.name.clone(), (element, dropped));
        }
        Ok(all)
    }

    fn element_text(&self, now: &Sample<Element>, before: &Sample<Element>) -> String {
        let rows = now.since(before).map(|change| {
            let received = change.rate(|(element, _)| element.received);
            let sent = change.rate(|(element, _)| element.sent);
            let time = change.rate(|(element, _)| element.time);
            let packets = received.max(sent);
            ElementRow {
                element: change.name.into(),
                received,
                sent,
                dropped: change
                    .now
                    .1
                    .map(|_| change.rate(|(_, dropped)| dropped.unwrap_or(0))),
                runs: change.rate(|(element, _)| element.runs),
                processor: time / 10_000_000.0,
                nanoseconds: (packets > 0.0 && time > 0.0).then(|| time / packets),
            }
        });
        if self.json {
            return line(&rows.collect::<Vec<_>>());
        }
        let cells = rows.map(|row| {
            vec![
                row.element,
                whole(row.received),
                whole(row.sent),
                row.dropped.map(whole).unwrap_or_default(),
                whole(row.runs),
                format!("{:.1} %", row.processor),
                row.nanoseconds.map(whole).unwrap_or_default(),
            ]
        });
        let header = [
            "ELEMENT",
            "IN/S",
            "OUT/S",
            "DROPPED/S",
            "RUNS/S",
            "CPU",
            "NS/PACKET",
        ];
        table(&header, &[1, 2, 3, 4, 5, 6], cells)
    }
}

fn elements_path(instance: &str) -> String {
    format!("/v1/instances/{}/elements", encoded(instance))
}

fn line(rows: &impl Serialize) -> String {
    serde_json::to_string(rows).unwrap_or_default() + "\n"
}

fn whole(rate: f64) -> String {
    format!("{rate:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_what_was_counted_in_a_second() {
        let begin = Instant::now();
        let sample = |after: u64, counted: &[(&str, u64)]| Sample {
            at: begin + Duration::from_secs(after),
            counted: counted
                .iter()
                .map(|(name, number)| ((*name).to_string(), *number))
                .collect(),
        };
        let before = sample(0, &[("a", 100), ("b", 1000), ("gone", 1)]);
        let now = sample(2, &[("a", 300), ("b", 10), ("new", 7)]);
        let rates: Vec<_> = now
            .since(&before)
            .map(|change| (change.name, change.rate(|number| *number)))
            .collect();
        assert_eq!(rates, [("a", 100.0), ("b", 5.0)], "b began anew");
    }
}
