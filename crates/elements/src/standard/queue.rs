use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::Cell;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, ElementId, HandlerError,
    HandlerList, Rejected, Signals,
};
use sprat_packet::{Batch, Packet};

pub(super) const QUEUE: Class = Class::of::<Queue>("Queue")
    .ports("1/1-2")
    .processing("h/lh")
    .reconfigurable()
    .arguments(&[("capacity", "0 CAPACITY")]);
pub(super) const SIMPLE_QUEUE: Class = QUEUE.named("SimpleQueue");
pub(super) const NOTIFIER_QUEUE: Class = QUEUE.named("NotifierQueue");
pub(super) const FULL_NOTE_QUEUE: Class = QUEUE.named("FullNoteQueue");
pub(super) const QUICK_NOTE_QUEUE: Class = QUEUE.named("QuickNoteQueue");
pub(super) const THREAD_SAFE_QUEUE: Class = QUEUE.named("ThreadSafeQueue");
pub(super) const MS_QUEUE: Class = QUEUE.named("MSQueue");
pub(super) const CPU_QUEUE: Class = QUEUE.named("CPUQueue").ports("1/1-").processing("h/l");
pub(super) const FRONT_DROP_QUEUE: Class = QUEUE.named("FrontDropQueue");
pub(super) const MIXED_QUEUE: Class = QUEUE.named("MixedQueue").ports("2/1-2");

/// What a queue tells its neighbours, and what becomes of packets that find it full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Simple,
    Notifier,
    FullNote,
    FrontDrop,
    Mixed,
}

impl Policy {
    /// That of a class.
    fn of(class: &str) -> Self {
        match class {
            "SimpleQueue" => Self::Simple,
            "NotifierQueue" => Self::Notifier,
            "FrontDropQueue" => Self::FrontDrop,
            "MixedQueue" => Self::Mixed,
            _ => Self::FullNote,
        }
    }

    fn signals(self) -> Signals {
        Signals {
            nonempty: self != Self::Simple,
            nonfull: self == Self::FullNote,
        }
    }
}

const DEFAULT_CAPACITY: usize = 1000;

/// That of a CPUQueue.
const CPU_CAPACITY: usize = 128;

/// Queue: stores packets, first in, first out, between a push and a pull path.
///
/// ```click
/// Queue([CAPACITY])
/// SimpleQueue([CAPACITY])
/// NotifierQueue([CAPACITY])
/// FullNoteQueue([CAPACITY])
/// ThreadSafeQueue([CAPACITY])
/// FrontDropQueue([CAPACITY])
/// MixedQueue([CAPACITY])
/// CPUQueue([CAPACITY])
/// ```
///
/// Holds up to CAPACITY packets (1,000). `Queue`, `FullNoteQueue`, `QuickNoteQueue`, `MSQueue` and
/// `ThreadSafeQueue` are one class: it tells elements before it when it is full and elements
/// after it when it is empty. The others tell when they are empty only, and `SimpleQueue` not
/// even that.
///
/// Packets that come while it is full are dropped, and leave by output 1 where it is used; the first is
/// reported. A `FrontDropQueue` drops those at its front
/// instead, which have waited longest. A `MixedQueue` has two inputs: packets from input 1 go to
/// its front, where they are the next to leave, and push out the last packet while it is full. A `CPUQueue`
/// has one queue for each processor in Click; here there is one, which gives its packets to whichever output
/// is pulled, and holds 128 packets unless told otherwise.
///
/// Handlers: `length`, `highwater_length`, `drops` (read); `capacity` (read, write): packets
/// beyond a smaller one are discarded; `reset_counts` (write) zeroes drops and begins highwater anew;
/// `reset` (write) empties the queue, by output 1 where it is used. Neither counts as drops.
///
/// See Click's manual pages Queue(n), FrontDropQueue(n), MixedQueue(n) and CPUQueue(n).
struct Queue {
    packets: VecDeque<Packet>,
    capacity: usize,
    highwater: usize,
    drops: u64,
    /// The length, for elements that watch it.
    length: Rc<Cell<usize>>,
    policy: Policy,
}

/// The length of the queue that `id` is, to be looked at from now on; `None` where it is none.
pub(crate) fn length_of(context: &Context<'_>, id: ElementId) -> Option<Rc<Cell<usize>>> {
    context.with::<Queue, _>(id, |queue, _| queue.length.clone())
}

impl Configure for Queue {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let class = configuration.class_of(configuration.id()).name;
        let otherwise = if class == CPU_QUEUE.name {
            CPU_CAPACITY
        } else {
            DEFAULT_CAPACITY
        };
        let capacity = arguments
            .position::<u32>("CAPACITY")
            .map_or(otherwise, |capacity| capacity as usize);
        arguments.finish()?;
        Ok(Self {
            packets: VecDeque::new(),
            capacity,
            highwater: 0,
            drops: 0,
            length: Rc::default(),
            policy: Policy::of(class),
        })
    }
}

impl Queue {
    fn signal(&self, context: &Context<'_>) {
        self.length.set(self.packets.len());
        let signals = self.policy.signals();
        if signals.nonempty && !self.packets.is_empty() {
            context.set_nonempty(true);
        }
        if signals.nonfull {
            context.set_room(self.capacity.saturating_sub(self.packets.len()));
        }
    }

    /// Takes packets in that came at `port`; leaves in `batch` those that are dropped.
    fn insert(&mut self, port: usize, batch: &mut Batch) {
        match (self.policy, port) {
            (Policy::FrontDrop, _) => {
                let excess = (self.packets.len() + batch.len()).saturating_sub(self.capacity);
                self.packets.extend(batch.drain());
                batch.extend(self.packets.drain(..excess));
            }
            (Policy::Mixed, 1..) => {
                for packet in batch.drain() {
                    self.packets.push_front(packet);
                }
                let kept = self.capacity.min(self.packets.len());
                batch.extend(self.packets.drain(kept..).rev());
            }
            _ => {
                let room = self.capacity - self.packets.len();
                self.packets.extend(batch.drain_front(room));
            }
        }
    }

    /// Discards the packets that are too many for the capacity, which does not count as dropping
    /// them.
    fn cut(&mut self) {
        let kept = self.capacity.min(self.packets.len());
        match self.policy {
            Policy::FrontDrop => drop(self.packets.drain(..self.packets.len() - kept)),
            _ => self.packets.truncate(kept),
        }
    }

    /// Takes over the packets of another queue, as far as there is room.
    fn adopt(&mut self, context: &Context<'_>, old: &mut Self) {
        self.packets.append(&mut old.packets);
        self.cut();
        self.highwater = self.packets.len();
        self.signal(context);
    }
}

impl Element for Queue {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.signal(context);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        self.insert(port, batch);
        self.highwater = self.highwater.max(self.packets.len());
        self.signal(context);
        if !batch.is_empty() {
            if self.drops == 0 && self.capacity > 0 {
                let class = context.router().class(context.id()).name;
                context.chatter(format_args!("{} :: {class}: overflow", context.name()));
            }
            self.drops += batch.len() as u64;
            context.forward(1, batch);
        }
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        if self.packets.is_empty() {
            context.set_nonempty(false);
            return;
        }
        let count = limit.min(self.packets.len());
        batch.extend(self.packets.drain(..count));
        self.signal(context);
    }

    fn signals(&self) -> Signals {
        self.policy.signals()
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("length")
            .read("highwater_length")
            .read_write("capacity")
            .read("drops");
        list.button("reset_counts").button("reset");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "length" => Ok(self.packets.len().to_string()),
            "highwater_length" => Ok(self.highwater.to_string()),
            "capacity" => Ok(self.capacity.to_string()),
            "drops" => Ok(self.drops.to_string()),
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
            "capacity" => {
                self.capacity = crate::argument_value::<u32>(context, name, value)? as usize;
                self.cut();
            }
            "reset_counts" => {
                self.drops = 0;
                self.highwater = self.packets.len();
            }
            "reset" => {
                let mut all = Batch::new();
                all.extend(self.packets.drain(..));
                context.forward(1, &mut all);
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        self.signal(context);
        Ok(())
    }

    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            let length = old.packets.len();
            self.adopt(context, old);
            if length > self.capacity {
                context.warn_of_swap(&format!(
                    "some packets lost (old length {length}, new capacity {})",
                    self.capacity
                ));
            }
        }
    }

    fn keep_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        let Some(before) = old.downcast_mut::<Self>() else {
            return;
        };
        let (highwater, drops) = (before.highwater, before.drops);
        // Who watches its length watches on.
        self.length = before.length.clone();
        self.adopt(context, before);
        (self.highwater, self.drops) = (highwater, drops);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn a_queue_told_another_capacity_keeps_its_counts_and_one_that_takes_its_place_does_not() {
        let text = |queue: &str| std::format!("FromDevice(in) -> q :: {queue} -> Idle");
        let bench = Bench::new(&text("Queue(3)"));
        for number in 0..5 {
            bench.arrive("in", &[number]);
        }
        bench.run();
        let read = |names: [&str; 3]| names.map(|name| bench.read(name));
        let counts = || read(["q.length", "q.highwater_length", "q.drops"]);
        assert_eq!(counts(), ["3", "3", "2"]);
        bench.write("q.capacity", "2");
        assert_eq!(counts(), ["2", "3", "2"]);
        assert_eq!(bench.read("q.config"), "2");
        bench.write("q.config", "CAPACITY 9");
        assert_eq!(counts(), ["2", "3", "2"]);
        bench.write("q.capacity", "8");
        assert_eq!(bench.read("q.config"), "CAPACITY 8");
        bench.simulation.take_errors();
        bench.replace(&text("Queue(1)"));
        assert_eq!(counts(), ["1", "1", "0"]);
        let warning = "While hot-swapping state into 'q :: Queue':\n  \
                       warning: some packets lost (old length 2, new capacity 1)\n";
        let said = bench.simulation.take_errors();
        assert!(said.ends_with(warning), "{said}");
    }

    #[test]
    fn queue_drops_what_does_not_fit_and_keeps_order() {
        let bench = Bench::new(
            "FromDevice(in) -> q :: Queue(2) -> u :: Unqueue(ACTIVE false) -> ToDevice(out)",
        );
        for number in 0..3 {
            bench.arrive("in", &[number; 60]);
        }
        bench.run();
        assert_eq!(bench.read("q.length"), "2");
        assert_eq!(bench.read("q.drops"), "1");
        assert_eq!(bench.read("q.highwater_length"), "2");
        bench.write("u.active", "true");
        bench.run();
        assert_eq!(bench.sent("out"), [[0; 60], [1; 60]]);
        assert_eq!(bench.read("q.length"), "0");
    }

    #[test]
    fn a_full_queue_holds_its_source_back() {
        let bench = Bench::new("i :: InfiniteSource(LIMIT 15) -> q :: Queue(5) -> Idle");
        bench.run();
        assert_eq!(bench.read("i.count"), "5");
        assert_eq!(bench.read("i.scheduled"), "false");
        bench.write("q.capacity", "7");
        bench.run();
        assert_eq!(bench.read("i.count"), "7");
        assert_eq!(bench.read("q.drops"), "0");
    }

    #[test]
    fn dropped_packets_leave_by_output_1_where_it_is_used() {
        for (queue, dropped) in [
            ("Queue", [2, 3]),
            ("SimpleQueue", [2, 3]),
            ("FrontDropQueue", [0, 1]),
        ] {
            let bench = Bench::new(&std::format!(
                "FromDevice(in) -> q :: {queue}(2) -> Unqueue(ACTIVE false) -> Discard;
                 q [1] -> ToDevice(lost)"
            ));
            for number in 0..4 {
                bench.arrive("in", &[number]);
            }
            bench.run();
            assert_eq!(bench.sent("lost").concat(), dropped, "{queue}");
            assert_eq!(
                bench.simulation.take_errors(),
                std::format!("q :: {queue}: overflow\n")
            );
            bench.write("q.reset_counts", "");
            assert_eq!(bench.read("q.highwater_length"), "2", "{queue}");
            bench.write("q.capacity", "1");
            bench.run();
            assert_eq!(bench.sent("lost").len(), 0, "{queue}");
            bench.write("q.reset", "");
            bench.run();
            // Of a queue that drops at its front the newest stays.
            let last = if queue == "FrontDropQueue" { 3 } else { 0 };
            assert_eq!(bench.sent("lost").concat(), [last], "{queue}");
            assert_eq!(bench.read("q.drops"), "0", "{queue}");
        }
    }

    /// What is left of frames 0 to 3 pushed into a queue of two, in the order they come out.
    fn left(queue: &str) -> std::vec::Vec<u8> {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> q :: {queue}(2) -> u :: Unqueue(ACTIVE false) -> ToDevice(out)"
        ));
        for number in 0..4 {
            bench.arrive("in", &[number]);
        }
        bench.run();
        assert_eq!(bench.read("q.drops"), "2");
        bench.write("u.active", "true");
        bench.run();
        bench.sent("out").concat()
    }

    #[test]
    fn a_full_queue_drops_the_newest_and_a_front_drop_queue_the_oldest() {
        assert_eq!(left("Queue"), [0, 1]);
        assert_eq!(left("NotifierQueue"), [0, 1]);
        assert_eq!(left("FrontDropQueue"), [2, 3]);
    }

    #[test]
    fn a_mixed_queue_puts_its_second_input_first_and_drops_the_last() {
        let bench = Bench::new(
            "FromDevice(back) -> q :: MixedQueue(3) -> u :: Unqueue(ACTIVE false) \
             -> ToDevice(out); FromDevice(front) -> [1] q",
        );
        for number in 0..3 {
            bench.arrive("back", &[number]);
        }
        bench.run();
        for number in 10..12 {
            bench.arrive("front", &[number]);
        }
        bench.run();
        assert_eq!(bench.read("q.drops"), "2");
        bench.write("u.active", "true");
        bench.run();
        assert_eq!(bench.sent("out").concat(), [11, 10, 0]);
    }
}
