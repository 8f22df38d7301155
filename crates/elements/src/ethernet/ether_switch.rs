use alloc::format;
use alloc::string::String;
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::collections::sort_by_key;
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
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
/// know go to every port but the one they came from. What it learned is forgotten TIMEOUT (300
/// seconds) after the station was last heard; with 0 it learns nothing. A `ListenEtherSwitch` has
/// one output more, which gets a copy of every frame.
///
/// Handlers: `table` (read): stations and their ports; `timeout` (read, write).
///
/// See Click's manual pages EtherSwitch(n) and ListenEtherSwitch(n).
struct EtherSwitch<const LISTEN: bool> {
    timeout: Duration,
    stations: HashMap<EtherAddress, Station>,
}

/// Where a station was last heard.
#[derive(Clone, Copy)]
struct Station {
    port: usize,
    heard: Instant,
}

impl<const LISTEN: bool> Configure for EtherSwitch<LISTEN> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let timeout = arguments.keyword("TIMEOUT").unwrap_or(DEFAULT_TIMEOUT);
        arguments.finish()?;
        Ok(Self {
            timeout,
            stations: HashMap::new(),
        })
    }
}

impl<const LISTEN: bool> EtherSwitch<LISTEN> {
    fn learn(&mut self, source: EtherAddress, port: usize, now: Instant) {
        if self.timeout.is_zero() || source.is_group() {
            return;
        }
        if let Some(station) = self.stations.get_mut(&source) {
            *station = Station { port, heard: now };
            return;
        }
        if self.stations.len() >= MOST_ADDRESSES {
            let timeout = self.timeout;
            self.stations
                .retain(|_, station| now - station.heard <= timeout);
            if self.stations.len() >= MOST_ADDRESSES {
                return;
            }
        }
        self.stations.insert(source, Station { port, heard: now });
    }

    /// The port of a station heard not too long ago.
    fn port_of(&self, address: EtherAddress, now: Instant) -> Option<usize> {
        self.stations
            .get(&address)
            .filter(|station| now - station.heard <= self.timeout)
            .map(|station| station.port)
    }

    fn flood(context: &mut Context<'_>, from: usize, ports: usize, packet: Packet) {
        let Some(last) = (0..ports).rfind(|port| *port != from) else {
            return;
        };
        for port in (0..last).filter(|port| *port != from) {
            let copy = context.duplicate(&packet);
            context.emit(port, copy);
        }
        context.emit(last, packet);
    }
}

impl<const LISTEN: bool> Element for EtherSwitch<LISTEN> {
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        let now = context.now();
        let ports = context.outputs() - usize::from(LISTEN);
        for packet in batch.drain() {
            let Ok(header) = Ethernet::new(packet.data()) else {
                continue;
            };
            let (source, destination) = (header.source(), header.destination());
            self.learn(source, port, now);
            if LISTEN {
                let copy = context.duplicate(&packet);
                context.emit(ports, copy);
            }
            let known = (!destination.is_group())
                .then(|| self.port_of(destination, now))
                .flatten();
            match known {
                Some(output) if output == port => {}
                Some(output) => context.emit(output, packet),
                None => Self::flood(context, port, ports, packet),
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("table").read_write("timeout");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "table" => {
                let mut rows: alloc::vec::Vec<_> = self.stations.iter().collect();
                sort_by_key(&mut rows, |(address, _)| **address);
                Ok(rows.iter().fold(String::new(), |text, (address, station)| {
                    format!("{text}{address} {}\n", station.port)
                }))
            }
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
