mod rate;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::net::Ipv4Addr;

use sprat_click::arguments::{split_arguments, split_words};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::annotations::{FORWARD_RATE, REVERSE_RATE};
use sprat_packet::{Batch, Packet};

use rate::{PERIODS, Rate, UNIT, period};

pub(in crate::analysis) const IP_RATE_MONITOR: Class = Class::of::<IpRateMonitor>("IPRateMonitor")
    .ports("1-2/1-2")
    .flow("#/#");

/// IPRateMonitor: measures the rates of packets or bytes of addresses, closer where there is more.
///
/// ```click
/// IPRateMonitor(TYPE, RATIO, THRESH [, MEMORY, ANNO])
/// ```
///
/// At first the rates of the 256 networks by the first byte of their addresses are kept. A network
/// whose rate reaches THRESH is looked at by its next byte too, down to single hosts; one whose rate
/// has fallen below it again no longer is, from about a second later. Packets of input 0 count
/// forward for their source, those of input 1 in reverse for their destination, and leave by the
/// output of the same number.
///
/// - TYPE: PACKETS or BYTES.
/// - RATIO: of how many packets the rates are brought up to date, between 0 and 1; those count for
///   the others too.
/// - THRESH: packets or bytes a second.
/// - MEMORY: kilobytes that may be used, at least 100; 0, which is the default, is without limit.
/// - ANNO: whether packets get both rates of the closest network known as annotations; true.
///
/// Rates are averages over about four seconds.
///
/// Handlers: `look` (read): hundredths of a second since the last reset, and then a line for each
/// network or host with its forward and its reverse rate; `thresh`, `mem`, `memmax` (read): THRESH,
/// bytes used and allowed; `reset` (write) forgets all rates; `memmax` (write) sets MEMORY;
/// `anno_level` (write) `ADDRESS LEVEL SECONDS`: for so long, packets of the address get the rates
/// of its network of LEVEL + 1 bytes, even where closer ones are known.
///
/// See Click's manual page IPRateMonitor(n).
struct IpRateMonitor {
    bytes: bool,
    /// Of 2^32 random numbers, how many mean that a packet counts; and for how much, in 65,536ths.
    sampled: u64,
    weight: u64,
    threshold: u32,
    /// Most nodes; none for any number.
    most_nodes: Option<usize>,
    annotates: bool,
    /// The first is the root. Places of nodes that are gone are `None`.
    nodes: Vec<Option<Box<Node>>>,
    free: Vec<u32>,
    since: Option<Instant>,
    folded: u32,
}

/// The rates of the 256 networks within one.
#[derive(Clone)]
struct Node([Counter; 256]);

#[derive(Clone, Copy, Default)]
struct Counter {
    rates: [Rate; 2],
    /// The node of the networks within; zero is none.
    within: u32,
    /// Until which period packets get this network's rates as annotations.
    annotated_until: u32,
}

/// Bytes that a network looked at more closely takes.
const NODE_BYTES: usize = size_of::<Node>();

/// Kilobytes that are allowed at least.
const LEAST_MEMORY: usize = 100;

fn nodes_in(kilobytes: usize) -> Option<usize> {
    (kilobytes > 0).then(|| kilobytes.max(LEAST_MEMORY) * 1000 / NODE_BYTES)
}

impl Configure for IpRateMonitor {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let kind = arguments.required::<String>("TYPE");
        let ratio = arguments.required::<f64>("RATIO");
        let threshold = arguments.required("THRESH");
        let memory = arguments.position::<usize>("MEMORY").unwrap_or(0);
        let annotates = arguments.position("ANNO").unwrap_or(true);
        arguments.finish()?;
        let bytes = match kind?.as_str() {
            "PACKETS" => false,
            "BYTES" => true,
            _ => return Err(arguments.error("TYPE: must be PACKETS or BYTES")),
        };
        let ratio = ratio?;
        if !(ratio > 0.0 && ratio <= 1.0) {
            return Err(arguments.error("RATIO: must be between 0 and 1"));
        }
        // At most 2^32, and at least 65,536 for a ratio of at most one.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (sampled, weight) = (
            (ratio * 4_294_967_296.0) as u64,
            (UNIT as f64 / ratio) as u64,
        );
        Ok(Self {
            bytes,
            sampled,
            weight,
            threshold: threshold?,
            most_nodes: nodes_in(memory),
            annotates,
            nodes: vec![Some(empty_node())],
            free: Vec::new(),
            since: None,
            folded: 0,
        })
    }
}

fn empty_node() -> Box<Node> {
    Box::new(Node([Counter::default(); 256]))
}

impl IpRateMonitor {
    fn watch(&mut self, context: &Context<'_>, port: usize, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let now = context.now();
        self.since.get_or_insert(now);
        let period = period(now);
        if u64::from(period.wrapping_sub(self.folded)) >= PERIODS {
            self.folded = period;
            self.fold(0, period);
        }
        for packet in batch.iter_mut() {
            let Some(header) = packet.network_header().and_then(<[u8]>::first_chunk::<20>) else {
                continue;
            };
            let at = if port == 0 { 12 } else { 16 };
            let address = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            let amount = if self.bytes {
                u64::from(u16::from_be_bytes([header[2], header[3]]))
            } else {
                1
            };
            let counts =
                self.sampled > u64::from(u32::MAX) || u64::from(context.random()) < self.sampled;
            self.count(
                address,
                port.min(1),
                if counts { amount * self.weight } else { 0 },
                period,
                packet,
            );
        }
    }

    fn count(
        &mut self,
        address: [u8; 4],
        direction: usize,
        amount: u64,
        period: u32,
        packet: &mut Packet,
    ) {
        let mut node = 0;
        let mut annotated = !self.annotates;
        for (level, byte) in address.into_iter().enumerate() {
            let Some(Some(networks)) = self.nodes.get_mut(node as usize) else {
                return;
            };
            let counter = &mut networks.0[usize::from(byte)];
            if amount > 0 {
                counter.rates[direction].add(period, amount);
            }
            if !annotated && (counter.within == 0 || counter.annotated_until > period) {
                annotated = true;
                let [forward, reverse] = &mut counter.rates;
                packet.set_annotation_word(FORWARD_RATE, forward.per_second(period));
                packet.set_annotation_word(REVERSE_RATE, reverse.per_second(period));
            }
            if counter.within == 0 {
                let busy = level < 3 && amount > 0 && self.is_busy(node, byte, period);
                if busy {
                    self.look_closer(node, byte, address[level + 1]);
                }
                return;
            }
            node = counter.within;
        }
    }

    fn is_busy(&mut self, node: u32, byte: u8, period: u32) -> bool {
        let threshold = self.threshold;
        self.counter(node, byte).is_some_and(|counter| {
            let mut rates = counter.rates.iter_mut();
            rates.any(|rate| rate.per_second(period) >= threshold)
        })
    }

    fn counter(&mut self, node: u32, byte: u8) -> Option<&mut Counter> {
        let networks = self.nodes.get_mut(node as usize)?.as_mut()?;
        Some(&mut networks.0[usize::from(byte)])
    }

    /// Splits a network by the next byte, where there is memory. What was seen so far is taken to
    /// have been the network of `next`.
    fn look_closer(&mut self, node: u32, byte: u8, next: u8) {
        let used = self.nodes.len() - self.free.len();
        if self.most_nodes.is_some_and(|most| used >= most) {
            return;
        }
        let Some(Counter { rates, .. }) = self.counter(node, byte).map(|counter| *counter) else {
            return;
        };
        let mut networks = empty_node();
        networks.0[usize::from(next)].rates = rates;
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.nodes.push(None);
                u32::try_from(self.nodes.len() - 1).unwrap_or(0)
            }
        };
        self.nodes[place as usize] = Some(networks);
        if let Some(counter) = self.counter(node, byte) {
            counter.within = place;
        }
    }

    /// Gives up what lies within networks whose rate has fallen below the threshold.
    fn fold(&mut self, node: u32, period: u32) {
        for byte in 0..=u8::MAX {
            let within = self.counter(node, byte).map_or(0, |counter| counter.within);
            if within == 0 {
                continue;
            }
            if self.is_busy(node, byte, period) {
                self.fold(within, period);
            } else {
                self.give_up(within);
                if let Some(counter) = self.counter(node, byte) {
                    counter.within = 0;
                }
            }
        }
    }

    fn give_up(&mut self, node: u32) {
        let Some(networks) = self.nodes.get_mut(node as usize).and_then(Option::take) else {
            return;
        };
        self.free.push(node);
        for counter in networks.0.iter().filter(|counter| counter.within != 0) {
            self.give_up(counter.within);
        }
    }

    fn look(&mut self, node: u32, above: &str, period: u32, text: &mut String) {
        for byte in 0..=u8::MAX {
            let Some(counter) = self.counter(node, byte) else {
                return;
            };
            let within = counter.within;
            let [forward, reverse] = counter.rates.each_mut().map(|rate| rate.per_second(period));
            if forward == 0 && reverse == 0 {
                continue;
            }
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{above}{byte}\t{forward}\t{reverse}");
            if within != 0 {
                self.look(within, &format!("{above}{byte}."), period, text);
            }
        }
    }

    fn reset(&mut self) {
        self.nodes = vec![Some(empty_node())];
        self.free.clear();
        self.since = None;
    }

    fn set_annotation_level(
        &mut self,
        context: &Context<'_>,
        value: &str,
    ) -> Result<(), &'static str> {
        let words = match split_arguments(value) {
            arguments if arguments.len() > 1 => arguments,
            _ => split_words(value),
        };
        let [address, level, seconds] = words.as_slice() else {
            return Err("expecting 3 arguments");
        };
        let address: Ipv4Addr = address.parse().map_err(|_| "not an IP address")?;
        let level: Option<usize> = level.parse().ok().filter(|level| *level < 4);
        let level = level.ok_or("2nd argument specifies a level, between 0 and 3, to annotate")?;
        let seconds: Option<u32> = seconds.parse().ok().filter(|seconds| *seconds > 0);
        let periods = seconds.and_then(|seconds| seconds.checked_mul(8));
        let periods =
            periods.ok_or("3rd argument specifies when this rule expires, must be > 0")?;
        let until = period(context.now()).saturating_add(periods);
        let mut node = 0;
        for (depth, byte) in address.octets().into_iter().enumerate() {
            let Some(counter) = self.counter(node, byte) else {
                break;
            };
            counter.annotated_until = if depth == level { until } else { 0 };
            node = counter.within;
            if depth == level || node == 0 {
                break;
            }
        }
        Ok(())
    }
}

impl Element for IpRateMonitor {
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        self.watch(context, port, batch);
        context.forward(port.min(context.outputs() - 1), batch);
    }

    fn pull(&mut self, context: &mut Context<'_>, port: usize, limit: usize, batch: &mut Batch) {
        context.pull(port, limit, batch);
        self.watch(context, port, batch);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("look")
            .read("thresh")
            .read("mem")
            .read_write("memmax")
            .button("reset")
            .write("anno_level");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        let used = (self.nodes.len() - self.free.len()) * NODE_BYTES;
        Ok(match name {
            "look" => {
                let now = context.now();
                let since = self.since.map_or(0, |since| (now - since).as_millis() / 10);
                let mut text = format!("{since}\n");
                self.look(0, "", period(now), &mut text);
                text
            }
            "thresh" => self.threshold.to_string(),
            "mem" => used.to_string(),
            "memmax" => self
                .most_nodes
                .map_or(0, |most| most * NODE_BYTES)
                .to_string(),
            _ => return Err(HandlerError::NoHandler(name.into())),
        })
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "reset" => self.reset(),
            "memmax" => {
                self.most_nodes = nodes_in(crate::value_or(context, value, "not an integer")?)
            }
            "anno_level" => self
                .set_annotation_level(context, value)
                .map_err(HandlerError::failed)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
