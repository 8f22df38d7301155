use alloc::format;
use alloc::string::String;
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::collections::sort_by_key;
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::Ethernet;
use sprat_packet::{Batch, EtherAddress, Packet};

pub(super) const ETHER_SWITCH: Class = Class::of::<EtherSwitch<false>>("EtherSwitch")
    .ports("2-/=")
    .processing("h/h")
    .flow("#/[^#]");
pub(super) const LISTEN_ETHER_SWITCH: Class = Class::of::<EtherSwitch<true>>("ListenEtherSwitch")
    .ports("1-/=+")
    .processing("h/h");

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// Addresses remembered at most: a station that makes addresses up must not fill the memory.
const MOST_ADDRESSES: usize = 1 << 16;

/// EtherSwitch: a learning Ethernet switch.
///
/// ```click
/// EtherSwitch([keyword TIMEOUT])
/// ListenEtherSwitch([keyword TIMEOUT])
/// ```
///
/// Input and output of the same number are a LAN. It learns from source addresses behind which
/// port a station is, and sends frames there alone; frames to groups and to stations it does not
/// know go to every port but the one they came from, the last port first. What it learned is good for
/// TIMEOUT (300 seconds) after the station was last heard, by the frames' timestamps; with 0 it learns
/// nothing. A `ListenEtherSwitch` has one output more, which gets a copy of every frame before others do.
///
/// Handlers: `table` (read): stations and their ports, in the order of Click's; `timeout` (read, write).
///
/// See Click's manual pages EtherSwitch(n) and ListenEtherSwitch(n).
struct EtherSwitch<const LISTEN: bool> {
    timeout: Duration,
    stations: HashMap<EtherAddress, Station>,
    /// Stations learned, those that are forgotten included.
    learned: usize,
}

/// Where a station was last heard.
#[derive(Clone, Copy)]
struct Station {
    port: usize,
    /// The timestamp of its last frame.
    heard: i64,
    /// How many had been heard before it.
    number: usize,
}

impl<const LISTEN: bool> Configure for EtherSwitch<LISTEN> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let timeout = arguments.keyword("TIMEOUT").unwrap_or(DEFAULT_TIMEOUT);
        arguments.finish()?;
        Ok(Self {
            timeout,
            stations: HashMap::new(),
            learned: 0,
        })
    }
}

/// The bucket of an address in a table of so many, as Click has them on machines that put the low byte
/// first.
fn bucket(EtherAddress([a, b, c, d, e, f]): EtherAddress, buckets: u64) -> u64 {
    let half = |low: u8, high: u8| u64::from(u16::from_le_bytes([low, high]));
    ((half(e, f) | half(c, d) << 16) ^ half(a, b) << 9) % buckets
}

impl<const LISTEN: bool> EtherSwitch<LISTEN> {
    fn timeout(&self) -> i64 {
        i64::try_from(self.timeout.as_nanos()).unwrap_or(i64::MAX)
    }

    fn learn(&mut self, source: EtherAddress, port: usize, heard: i64) {
        if self.timeout.is_zero() {
            return;
        }
        if let Some(station) = self.stations.get_mut(&source) {
            (station.port, station.heard) = (port, heard);
            return;
        }
        if self.stations.len() >= MOST_ADDRESSES {
            let timeout = self.timeout();
            self.stations
                .retain(|_, station| heard < station.heard.saturating_add(timeout));
            if self.stations.len() >= MOST_ADDRESSES {
                return;
            }
        }
        self.learned += 1;
        let number = self.learned;
        let station = Station {
            port,
            heard,
            number,
        };
        self.stations.insert(source, station);
    }

    /// The port of a station heard not too long before `timestamp`; others are forgotten.
    fn port_of(&mut self, address: EtherAddress, timestamp: i64) -> Option<usize> {
        let station = *self.stations.get(&address)?;
        if timestamp < station.heard.saturating_add(self.timeout()) {
            return Some(station.port);
        }
        self.stations.remove(&address);
        None
    }

    /// Sends a frame out of every port but one, from the last to the first.
    fn flood(context: &mut Context<'_>, from: usize, packet: Packet) {
        let ports = context.outputs();
        let Some(last) = (0..ports).find(|port| *port != from) else {
            return;
        };
        for port in (last + 1..ports).rev().filter(|port| *port != from) {
            let copy = context.duplicate(&packet);
            context.emit(port, copy);
        }
        context.emit(last, packet);
    }

    /// A line a station, as Click's table has them: by their buckets, in each the latest first.
    fn table(&self) -> String {
        let mut buckets = 63;
        while self.stations.len() as u64 > 2 * buckets {
            buckets = 2 * buckets + 1;
        }
        let mut rows: alloc::vec::Vec<_> = self.stations.iter().collect();
        sort_by_key(&mut rows, |(address, station)| {
            (bucket(**address, buckets), usize::MAX - station.number)
        });
        rows.iter().fold(String::new(), |text, (address, station)| {
            format!("{text}{address} {}\n", station.port)
        })
    }
}

impl<const LISTEN: bool> Element for EtherSwitch<LISTEN> {
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        let last = context.outputs() - 1;
        for packet in batch.drain() {
            let Ok(header) = Ethernet::new(packet.data()) else {
                continue;
            };
            let (source, destination) = (header.source(), header.destination());
            let timestamp = packet.timestamp();
            self.learn(source, port, timestamp);
            let known = (!self.timeout.is_zero() && !destination.is_group())
                .then(|| self.port_of(destination, timestamp))
                .flatten();
            match known {
                None => Self::flood(context, port, packet),
                Some(output) if output != port => {
                    if LISTEN {
                        let copy = context.duplicate(&packet);
                        context.emit(last, copy);
                    }
                    context.emit(output, packet);
                }
                Some(_) if LISTEN => context.emit(last, packet),
                Some(_) => {}
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("table").read_write("timeout");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "table" => Ok(self.table()),
            "timeout" => Ok(decimal::shortest(self.timeout.as_secs_f64())),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "timeout" => {
                self.timeout = crate::value_or(context, value, "expected timeout (integer)")?
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }

    fn take_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.stations = core::mem::take(&mut old.stations);
            self.learned = old.learned;
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    fn frame(destination: u8, source: u8) -> std::vec::Vec<u8> {
        [
            &[destination, 0, 0, 0, 0, destination][..],
            &[0, 0, 0, 0, 0, source],
            b"\x08\x00",
        ]
        .concat()
    }

    /// Sends a frame into a LAN; returns the LANs it comes out at.
    fn out(bench: &Bench, lan: &str, frame: &[u8]) -> std::vec::Vec<&'static str> {
        bench.arrive(lan, frame);
        bench.run();
        ["a", "b", "c"]
            .into_iter()
            .filter(|lan| !bench.sent(lan).is_empty())
            .collect()
    }

    fn switch(class: &str) -> Bench {
        Bench::new(&std::format!(
            "FromDevice(a) -> s :: {class} -> ToDevice(a);
             FromDevice(b) -> [1] s; s[1] -> ToDevice(b);
             FromDevice(c) -> [2] s; s[2] -> ToDevice(c)"
        ))
    }

    #[test]
    fn frames_go_everywhere_until_the_station_is_known() {
        let bench = switch("EtherSwitch");
        let to = |destination: u8, source: u8| {
            let mut frame = frame(0, source);
            frame[5] = destination;
            frame
        };
        assert_eq!(out(&bench, "a", &to(2, 1)), ["b", "c"]);
        assert_eq!(out(&bench, "b", &to(1, 2)), ["a"]);
        assert_eq!(out(&bench, "a", &to(2, 1)), ["b"]);
        assert_eq!(out(&bench, "b", &to(2, 3)), [""; 0]);
        assert_eq!(out(&bench, "c", &frame(1, 4)), ["a", "b"]);
        assert_eq!(
            bench.read("s.table"),
            "00-00-00-00-00-01 0\n00-00-00-00-00-02 1\n00-00-00-00-00-03 1\n00-00-00-00-00-04 2\n"
        );
    }

    #[test]
    fn what_was_learned_is_forgotten_and_zero_learns_nothing() {
        let mut station = frame(0, 1);
        station[5] = 2;
        let mut answer = frame(0, 2);
        answer[5] = 1;
        let bench = switch("EtherSwitch(TIMEOUT 10)");
        out(&bench, "a", &station);
        bench.run_for(Duration::from_secs(11));
        assert_eq!(out(&bench, "b", &answer), ["a", "c"]);
        bench.write("s.timeout", "0");
        out(&bench, "a", &station);
        assert_eq!(out(&bench, "b", &answer), ["a", "c"]);
    }

    #[test]
    fn a_listener_gets_a_copy_of_everything() {
        let bench = Bench::new(
            "FromDevice(a) -> s :: ListenEtherSwitch -> ToDevice(a);
             FromDevice(b) -> [1] s; s[1] -> ToDevice(b); s[2] -> ToDevice(c)",
        );
        let mut station = frame(0, 1);
        station[5] = 2;
        assert_eq!(out(&bench, "a", &station), ["b", "c"]);
        station[11] = 2;
        station[5] = 1;
        assert_eq!(out(&bench, "b", &station), ["a", "c"]);
    }
}
