use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use sprat_click::arguments::Milliseconds;
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected, Signals,
};
use sprat_packet::headers::{Ipv4, Ipv6, protocol};
use sprat_packet::{Batch, Packet};

use super::codel::{Control, DEFAULT_INTERVAL, DEFAULT_TARGET, Verdict, nanoseconds};

pub(super) const FQ_CODEL: Class = Class::of::<FqCoDel>("FQCoDel").processing("h/l");

/// The numbers of RFC 8290, section 5.2.
const DEFAULT_FLOWS: u32 = 1024;
const DEFAULT_QUANTUM: u32 = 1514;
const DEFAULT_CAPACITY: u32 = 10_240;

/// Most packets dropped at once from the longest queue.
const DROP_BATCH: usize = 64;

/// FQCoDel: stores packets in a queue for each flow, serves these in turn, and keeps each short.
///
/// ```click
/// FQCoDel([CAPACITY, keywords TARGET, INTERVAL, FLOWS, QUANTUM])
/// ```
///
/// Flow queuing with controlled delay (RFC 8290). Packets are put into one of FLOWS queues (1,024) by a
/// hash of their addresses, protocol and ports; what is not IP counts as one flow. Queues take turns of
/// QUANTUM bytes (1,514), those that were empty a moment ago first, so that flows that send little do not
/// wait behind those that send much. From each queue CoDel drops packets while they wait longer than TARGET
/// (5 ms) for a whole INTERVAL (100 ms); numbers without a unit are milliseconds. When there are CAPACITY
/// packets (10,240) in all, half of the queue with the most bytes is dropped, but no more than 64 packets.
/// The hash is another one in each router.
///
/// It tells elements after it when it has packets.
///
/// Handlers: `length`, `drops` (by CoDel), `overflows` (for want of room), `active_flows` (queues that are
/// served), `new_flows` (how often a queue began to be served) (read); `target`, `interval` (read), in
/// milliseconds; `reset_counts` (write); `reset` (write) drops all packets.
struct FqCoDel {
    target: i64,
    interval: Duration,
    quantum: i64,
    capacity: usize,
    flows: Vec<Flow>,
    /// Queues that began to have packets in this round, and those before them, by number.
    new: VecDeque<u16>,
    old: VecDeque<u16>,
    /// What the hash begins with.
    seed: u32,
    length: usize,
    drops: u64,
    overflows: u64,
    began: u64,
}

struct Flow {
    /// Packets, with when they came.
    packets: VecDeque<(i64, Packet)>,
    bytes: usize,
    /// Bytes it may still send in its turn.
    credit: i64,
    listed: bool,
    control: Control,
}

/// Mixes a word into a hash (MurmurHash3's mixing).
fn mix(hash: u32, word: u32) -> u32 {
    let word = word
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593);
    (hash ^ word)
        .rotate_left(13)
        .wrapping_mul(5)
        .wrapping_add(0xe654_6b64)
}

fn finish(mut hash: u32) -> u32 {
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// A hash of the flow that a packet belongs to.
fn flow_hash(seed: u32, packet: &Packet) -> u32 {
    let Some(bytes) = packet.network_header() else {
        return seed;
    };
    let word = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes);
    let words = |hash, bytes: &[u8]| {
        let (words, _) = bytes.as_chunks::<4>();
        words
            .iter()
            .fold(hash, |hash, bytes| mix(hash, word(bytes)))
    };
    let (hash, kind, segment) = if let Ok(ip) = Ipv4::new(bytes) {
        let hash = words(seed, &ip.header()[12..20]);
        let segment = (!ip.is_fragment()).then(|| ip.payload());
        (hash, ip.protocol(), segment.unwrap_or_default())
    } else if let Ok(ip) = Ipv6::new(bytes) {
        let hash = words(seed, &bytes[8..Ipv6::LENGTH]);
        match ip.upper_layer() {
            Ok(upper) if upper.fragment.is_none() => {
                let segment = ip.payload().get(upper.offset..).unwrap_or_default();
                (hash, upper.protocol, segment)
            }
            _ => (hash, ip.next_header(), &[][..]),
        }
    } else {
        return seed;
    };
    let ports = match (kind, segment.first_chunk()) {
        (protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP, Some(ports)) => {
            word(ports)
        }
        _ => 0,
    };
    finish(mix(mix(hash, u32::from(kind)), ports))
}

impl Configure for FqCoDel {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let capacity = arguments
            .position::<u32>("CAPACITY")
            .unwrap_or(DEFAULT_CAPACITY);
        let target = arguments.keyword::<Milliseconds>("TARGET");
        let interval = arguments.keyword::<Milliseconds>("INTERVAL");
        let flows = arguments.keyword::<u32>("FLOWS").unwrap_or(DEFAULT_FLOWS);
        let quantum = arguments.keyword("QUANTUM").unwrap_or(DEFAULT_QUANTUM);
        if !(1..=65_536).contains(&flows) {
            arguments.error("FLOWS: must be between 1 and 65536");
        }
        if quantum == 0 {
            arguments.error("QUANTUM: must be positive");
        }
        if capacity == 0 {
            arguments.error("CAPACITY: must be positive");
        }
        arguments.finish()?;
        let interval = interval.map_or(DEFAULT_INTERVAL, |interval| interval.0);
        let flow = || Flow {
            packets: VecDeque::new(),
            bytes: 0,
            credit: 0,
            listed: false,
            control: Control::new(nanoseconds(interval)),
        };
        Ok(Self {
            target: nanoseconds(target.map_or(DEFAULT_TARGET, |target| target.0)),
            interval,
            quantum: i64::from(quantum),
            capacity: capacity as usize,
            flows: core::iter::repeat_with(flow).take(flows as usize).collect(),
            new: VecDeque::with_capacity(flows as usize),
            old: VecDeque::with_capacity(flows as usize),
            seed: 0,
            length: 0,
            drops: 0,
            overflows: 0,
            began: 0,
        })
    }
}

impl Flow {
    fn take(&mut self) -> Option<(i64, Packet)> {
        let taken = self.packets.pop_front();
        if let Some((_, packet)) = &taken {
            self.bytes -= packet.len();
        }
        taken
    }
}

impl FqCoDel {
    /// Puts a packet into its queue (section 4.1).
    fn insert(&mut self, now: i64, packet: Packet) {
        let hash = u64::from(flow_hash(self.seed, &packet));
        // The high half of a product is below the number of queues, which is at most 65,536.
        let number = u16::try_from((hash * self.flows.len() as u64) >> 32).unwrap_or(0);
        let flow = &mut self.flows[usize::from(number)];
        flow.bytes += packet.len();
        flow.packets.push_back((now, packet));
        self.length += 1;
        if !flow.listed {
            flow.listed = true;
            flow.credit = self.quantum;
            self.new.push_back(number);
            self.began += 1;
        }
        if self.length > self.capacity {
            self.make_room();
        }
    }

    /// Drops half of the longest queue, from its front.
    fn make_room(&mut self) {
        let longest = self.flows.iter_mut().max_by_key(|flow| flow.bytes);
        let Some(flow) = longest else { return };
        let half = flow.bytes / 2;
        for _ in 0..DROP_BATCH {
            if flow.take().is_none() {
                break;
            }
            self.length -= 1;
            self.overflows += 1;
            if flow.bytes <= half {
                break;
            }
        }
    }

    /// The next packet (section 4.2).
    fn next(&mut self, now: i64) -> Option<Packet> {
        loop {
            let from_new = !self.new.is_empty();
            let list = if from_new {
                &mut self.new
            } else {
                &mut self.old
            };
            let number = *list.front()?;
            let flow = &mut self.flows[usize::from(number)];
            if flow.credit <= 0 {
                flow.credit += self.quantum;
                list.pop_front();
                self.old.push_back(number);
                continue;
            }
            while let Some((came, packet)) = flow.take() {
                self.length -= 1;
                let wait = now.saturating_sub(came);
                // A queue of one packet of the longest kind is no standing queue.
                let below = wait < self.target || flow.bytes <= 1514;
                if flow.control.judge(now, below) == Verdict::Drop {
                    self.drops += 1;
                    continue;
                }
                flow.credit -= i64::try_from(packet.len()).unwrap_or(i64::MAX);
                return Some(packet);
            }
            flow.control.end();
            list.pop_front();
            // A new queue that is empty waits for a turn of the others, so that it cannot be new again
            // at once.
            if from_new && !self.old.is_empty() {
                self.old.push_back(number);
            } else {
                flow.listed = false;
            }
        }
    }
}

impl Element for FqCoDel {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.seed = context.random();
        context.set_nonempty(false);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let now = context.timestamp().0;
        for packet in batch.drain() {
            self.insert(now, packet);
        }
        if self.length > 0 {
            context.set_nonempty(true);
        }
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        let now = context.timestamp().0;
        while batch.len() < limit {
            match self.next(now) {
                Some(packet) => batch.push(packet),
                None => {
                    context.set_nonempty(false);
                    return;
                }
            }
        }
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("length").read("drops").read("overflows");
        list.read("active_flows").read("new_flows");
        list.read("target").read("interval");
        list.button("reset_counts").button("reset");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "length" => Ok(self.length.to_string()),
            "drops" => Ok(self.drops.to_string()),
            "overflows" => Ok(self.overflows.to_string()),
            "active_flows" => Ok((self.new.len() + self.old.len()).to_string()),
            "new_flows" => Ok(self.began.to_string()),
            "target" => Ok(decimal::shortest(self.target as f64 / 1e6)),
            "interval" => Ok(decimal::shortest(self.interval.as_secs_f64() * 1000.0)),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "reset_counts" => (self.drops, self.overflows, self.began) = (0, 0, 0),
            "reset" => {
                for number in self.new.drain(..).chain(self.old.drain(..)) {
                    let flow = &mut self.flows[usize::from(number)];
                    flow.packets.clear();
                    (flow.bytes, flow.listed) = (0, false);
                }
                self.overflows += self.length as u64;
                self.length = 0;
                context.set_nonempty(false);
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    /// An IPv4 UDP packet of one flow, so many bytes long.
    fn packet(flow: u8, length: usize) -> std::vec::Vec<u8> {
        let mut bytes = std::vec![0; length];
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        bytes[8..10].copy_from_slice(&[64, 17]);
        bytes[12..20].copy_from_slice(&[10, 0, 0, flow, 10, 0, 0, 99]);
        bytes[20..24].copy_from_slice(&[0, flow, 0, 80]);
        bytes
    }

    fn bench(arguments: &str) -> Bench {
        Bench::new(&std::format!(
            "FromDevice(in) -> MarkIPHeader -> q :: FQCoDel({arguments})
             -> u :: Unqueue(ACTIVE false) -> ToDevice(out)"
        ))
    }

    #[test]
    fn flows_take_turns_of_so_many_bytes() {
        let bench = bench("QUANTUM 500");
        for _ in 0..4 {
            bench.arrive("in", &packet(1, 500));
        }
        for _ in 0..4 {
            bench.arrive("in", &packet(2, 250));
        }
        bench.run();
        assert_eq!(bench.read("q.length"), "8");
        assert_eq!(bench.read("q.active_flows"), "2");
        bench.write("u.active", "true");
        bench.run();
        let flows: std::vec::Vec<u8> = bench.sent("out").iter().map(|bytes| bytes[15]).collect();
        // One of 500 bytes against two of 250, each time.
        assert_eq!(flows, [1, 2, 2, 1, 2, 2, 1, 1]);
        assert_eq!(bench.read("q.active_flows"), "0");
    }

    #[test]
    fn a_flow_that_sends_little_does_not_wait_behind_one_that_sends_much() {
        let bench = bench("");
        for _ in 0..50 {
            bench.arrive("in", &packet(1, 1500));
        }
        bench.run();
        bench.write("u.limit", "10");
        bench.write("u.active", "true");
        bench.run();
        bench.arrive("in", &packet(2, 100));
        bench.run();
        bench.write("u.limit", "12");
        bench.run();
        let flows: std::vec::Vec<u8> = bench.sent("out").iter().map(|bytes| bytes[15]).collect();
        assert!(flows[10..12].contains(&2), "{flows:?}");
    }

    #[test]
    fn a_full_queue_drops_from_the_flow_with_the_most_bytes() {
        let bench = bench("10");
        for _ in 0..9 {
            bench.arrive("in", &packet(1, 1000));
        }
        bench.arrive("in", &packet(2, 100));
        bench.arrive("in", &packet(2, 100));
        bench.run();
        // Nine of 1,000 bytes: five have to go until half is left.
        assert_eq!(bench.read("q.overflows"), "5");
        assert_eq!(bench.read("q.length"), "6");
        bench.write("u.active", "true");
        bench.run();
        let flows: std::vec::Vec<u8> = bench.sent("out").iter().map(|bytes| bytes[15]).collect();
        assert_eq!(flows.iter().filter(|flow| **flow == 2).count(), 2);
    }

    #[test]
    fn codel_works_on_each_flow_by_itself() {
        // Flow 1 sends twice what leaves; flow 2 far less than its share.
        let data = |flow, length| {
            let bytes = packet(flow, length);
            bytes.iter().fold(std::string::String::new(), |text, byte| {
                std::format!("{text}{byte:02x}")
            })
        };
        let bench = Bench::new(&std::format!(
            "RatedSource(DATA \\<{}>, RATE 2000) -> m :: MarkIPHeader -> q :: FQCoDel
             -> RatedUnqueue(1000) -> c :: Classifier(15/01, 15/02);
             c[0] -> Discard; c[1] -> quiet :: Counter -> Discard;
             RatedSource(DATA \\<{}>, RATE 50) -> m",
            data(1, 1000),
            data(2, 100)
        ));
        bench.run_for(Duration::from_secs(10));
        let number = |handler: &str| bench.read(handler).parse::<i64>().unwrap();
        assert!((495..=502).contains(&number("quiet.count")));
        assert!(number("q.drops") > 500, "{}", number("q.drops"));
        assert_eq!(number("q.overflows") > 0, number("q.length") > 10_000);
    }

    #[test]
    fn wrong_sizes_are_refused() {
        for (arguments, error) in [
            ("FLOWS 0", "FLOWS: must be between 1 and 65536"),
            ("QUANTUM 0", "QUANTUM: must be positive"),
            ("0", "CAPACITY: must be positive"),
        ] {
            let errors = Bench::errors(&std::format!("Idle -> FQCoDel({arguments}) -> Idle"));
            assert!(errors.contains(error), "{errors}");
        }
    }

    #[test]
    fn resetting_drops_what_is_stored() {
        let bench = bench("");
        for flow in 0..5 {
            bench.arrive("in", &packet(flow, 100));
        }
        bench.run();
        bench.write("q.reset", "");
        assert_eq!(bench.read("q.length"), "0");
        bench.write("u.active", "true");
        bench.arrive("in", &packet(9, 100));
        bench.run();
        assert_eq!(bench.sent("out").len(), 1);
    }
}
