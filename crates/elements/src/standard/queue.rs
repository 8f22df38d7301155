use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::marker::PhantomData;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, ElementId, HandlerError,
    HandlerList, Rejected, Signals,
};
use sprat_packet::{Batch, Packet};

const fn class<T: Configure>(name: &'static str) -> Class {
    Class::of::<T>(name).ports("1/1-2").processing("h/lh")
}

pub(super) const SIMPLE_QUEUE: Class = class::<Queue<Simple>>("SimpleQueue");
pub(super) const NOTIFIER_QUEUE: Class = class::<Queue<Notifier>>("NotifierQueue");
pub(super) const FULL_NOTE_QUEUE: Class = class::<Queue<FullNote>>("FullNoteQueue");
pub(super) const QUEUE: Class = FULL_NOTE_QUEUE.named("Queue");
pub(super) const QUICK_NOTE_QUEUE: Class = FULL_NOTE_QUEUE.named("QuickNoteQueue");
pub(super) const THREAD_SAFE_QUEUE: Class = FULL_NOTE_QUEUE.named("ThreadSafeQueue");
pub(super) const MS_QUEUE: Class = FULL_NOTE_QUEUE.named("MSQueue");
pub(super) const CPU_QUEUE: Class = FULL_NOTE_QUEUE
    .named("CPUQueue")
    .ports("1/1-")
    .processing("h/l");
pub(super) const FRONT_DROP_QUEUE: Class = class::<Queue<FrontDrop>>("FrontDropQueue");
pub(super) const MIXED_QUEUE: Class = class::<Queue<Mixed>>("MixedQueue").ports("2/1-2");

/// What a queue tells its neighbours, and what becomes of packets that find it full.
trait Policy: 'static {
    /// It says when it has packets.
    const NONEMPTY: bool = true;
    /// It says when it has room.
    const NONFULL: bool = false;

    /// Puts packets that came in at `port` into the queue, which may hold up to `capacity`; leaves
    /// in `batch` those that are dropped.
    fn insert(packets: &mut VecDeque<Packet>, capacity: usize, _port: usize, batch: &mut Batch) {
        let room = capacity - packets.len();
        packets.extend(batch.drain_front(room));
    }
}

struct Simple;
struct Notifier;
struct FullNote;
struct FrontDrop;
struct Mixed;

impl Policy for Simple {
    const NONEMPTY: bool = false;
}

impl Policy for Notifier {}

impl Policy for FullNote {
    const NONFULL: bool = true;
}

impl Policy for FrontDrop {
    fn insert(packets: &mut VecDeque<Packet>, capacity: usize, _: usize, batch: &mut Batch) {
        let excess = (packets.len() + batch.len()).saturating_sub(capacity);
        packets.extend(batch.drain());
        batch.extend(packets.drain(..excess));
    }
}

impl Policy for Mixed {
    fn insert(packets: &mut VecDeque<Packet>, capacity: usize, port: usize, batch: &mut Batch) {
        if port == 0 {
            return FullNote::insert(packets, capacity, port, batch);
        }
        for packet in batch.drain() {
            packets.push_front(packet);
        }
        let kept = capacity.min(packets.len());
        batch.extend(packets.drain(kept..).rev());
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
/// beyond a smaller one are dropped; `reset_counts` (write) zeroes drops and highwater;
/// `reset` (write) drops all packets.
///
/// See Click's manual pages Queue(n), FrontDropQueue(n), MixedQueue(n) and CPUQueue(n).
struct Queue<P> {
    packets: VecDeque<Packet>,
    capacity: usize,
    /// Whether the capacity is no longer what the configuration said.
    resized: bool,
    highwater: usize,
    drops: u64,
    /// The length, for elements that watch it.
    length: Rc<Cell<usize>>,
    policy: PhantomData<P>,
}

/// The length of the queue that `id` is, to be looked at from now on; `None` where it is none.
pub(crate) fn length_of(context: &Context<'_>, id: ElementId) -> Option<Rc<Cell<usize>>> {
    fn of<P: Policy>(context: &Context<'_>, id: ElementId) -> Option<Rc<Cell<usize>>> {
        context.with::<Queue<P>, _>(id, |queue, _| queue.length.clone())
    }
    of::<FullNote>(context, id)
        .or_else(|| of::<Notifier>(context, id))
        .or_else(|| of::<Simple>(context, id))
        .or_else(|| of::<FrontDrop>(context, id))
        .or_else(|| of::<Mixed>(context, id))
}

impl<P: Policy> Configure for Queue<P> {
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
            resized: false,
            highwater: 0,
            drops: 0,
            length: Rc::default(),
            policy: PhantomData,
        })
    }
}

impl<P: Policy> Queue<P> {
    #[inline]
    fn signal(&self, context: &Context<'_>) {
        self.length.set(self.packets.len());
        if P::NONEMPTY && !self.packets.is_empty() {
            context.set_nonempty(true);
        }
        if P::NONFULL {
            context.set_room(self.capacity.saturating_sub(self.packets.len()));
        }
    }

    /// Drops all packets but the first `kept`.
    fn cut(&mut self, context: &mut Context<'_>, kept: usize) {
        let kept = kept.min(self.packets.len());
        let mut dropped: Batch = self.packets.drain(kept..).collect();
        self.drops += dropped.len() as u64;
        context.forward(1, &mut dropped);
    }
}

impl<P: Policy> Element for Queue<P> {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.signal(context);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        P::insert(&mut self.packets, self.capacity, port, batch);
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
        Signals {
            nonempty: P::NONEMPTY,
            nonfull: P::NONFULL,
        }
    }

    fn configuration(&self) -> Option<String> {
        self.resized.then(|| format!("CAPACITY {}", self.capacity))
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
                self.capacity = crate::handler_value::<u32>(context, value)? as usize;
                self.resized = true;
                self.cut(context, self.capacity);
            }
            "reset_counts" => {
                self.drops = 0;
                self.highwater = 0;
            }
            "reset" => self.cut(context, 0),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        self.signal(context);
        Ok(())
    }

    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.packets.append(&mut old.packets);
            self.highwater = old.highwater.max(self.packets.len());
            self.drops += old.drops;
            self.cut(context, self.capacity);
            self.signal(context);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

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

    /// What is left of frames 0 to 3 pushed into a queue of two, in the order they come out.
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
            assert_eq!(bench.read("q.highwater_length"), "0", "{queue}");
            bench.write("q.capacity", "1");
            bench.run();
            assert_eq!(bench.sent("lost").len(), 1, "{queue}");
            bench.write("q.reset", "");
            bench.run();
            assert_eq!(bench.sent("lost").len(), 1, "{queue}");
            assert_eq!(bench.read("q.drops"), "2", "{queue}");
        }
    }

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
