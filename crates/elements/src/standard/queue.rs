use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected, Signals,
};
use sprat_packet::{Batch, Packet};

const fn class<T: Configure>(name: &'static str) -> Class {
    Class::of::<T>(name).processing("h/l")
}

pub(super) const SIMPLE_QUEUE: Class = class::<Queue<SIMPLE>>("SimpleQueue");
pub(super) const NOTIFIER_QUEUE: Class = class::<Queue<NOTIFIER>>("NotifierQueue");
pub(super) const FULL_NOTE_QUEUE: Class = class::<Queue<FULL_NOTE>>("FullNoteQueue");
pub(super) const QUEUE: Class = FULL_NOTE_QUEUE.named("Queue");
pub(super) const THREAD_SAFE_QUEUE: Class = FULL_NOTE_QUEUE.named("ThreadSafeQueue");

/// Says nothing to its neighbours.
const SIMPLE: u8 = 0;
/// Says when it has packets.
const NOTIFIER: u8 = 1;
/// Says when it has packets and when it has room.
const FULL_NOTE: u8 = 2;

const DEFAULT_CAPACITY: usize = 1000;

/// Queue: stores packets, first in, first out, between a push and a pull path.
///
/// ```click
/// Queue([CAPACITY])
/// SimpleQueue([CAPACITY])
/// NotifierQueue([CAPACITY])
/// FullNoteQueue([CAPACITY])
/// ThreadSafeQueue([CAPACITY])
/// ```
///
/// Holds up to CAPACITY packets (1,000); those that come while it is full are dropped. `Queue`,
/// `FullNoteQueue` and `ThreadSafeQueue` tell elements before them when they are full and
/// elements after them when they are empty, `NotifierQueue` the latter only, `SimpleQueue`
/// neither.
///
/// Handlers: `length`, `highwater_length`, `drops` (read); `capacity` (read, write): packets
/// beyond a smaller one are dropped; `reset_counts` (write) zeroes drops and highwater;
/// `reset` (write) drops all packets.
///
/// See Click's manual page Queue(n).
struct Queue<const KIND: u8> {
    packets: VecDeque<Packet>,
    capacity: usize,
    /// Whether the capacity is no longer what the configuration said.
    resized: bool,
    highwater: usize,
    drops: u64,
}

impl<const KIND: u8> Configure for Queue<KIND> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let capacity = arguments
            .position::<u32>("CAPACITY")
            .map_or(DEFAULT_CAPACITY, |capacity| capacity as usize);
        arguments.finish()?;
        Ok(Self {
            packets: VecDeque::new(),
            capacity,
            resized: false,
            highwater: 0,
            drops: 0,
        })
    }
}

impl<const KIND: u8> Queue<KIND> {
    fn signal(&self, context: &Context<'_>) {
        if KIND >= NOTIFIER && !self.packets.is_empty() {
            context.set_nonempty(true);
        }
        if KIND >= FULL_NOTE {
            context.set_nonfull(self.packets.len() < self.capacity);
        }
    }

    fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.resized = true;
        let excess = self.packets.len().saturating_sub(capacity);
        self.drops += excess as u64;
        self.packets.truncate(capacity);
    }
}

impl<const KIND: u8> Element for Queue<KIND> {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.signal(context);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let room = self.capacity - self.packets.len();
        self.drops += batch.len().saturating_sub(room) as u64;
        self.packets.extend(batch.drain_front(room));
        self.highwater = self.highwater.max(self.packets.len());
        self.signal(context);
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
            nonempty: KIND >= NOTIFIER,
            nonfull: KIND >= FULL_NOTE,
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
            "capacity" => self.resize(crate::handler_value::<u32>(context, value)? as usize),
            "reset_counts" => {
                self.drops = 0;
                self.highwater = self.packets.len();
            }
            "reset" => {
                self.drops += self.packets.len() as u64;
                self.packets.clear();
            }
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
            let excess = self.packets.len().saturating_sub(self.capacity);
            self.drops += excess as u64;
            self.packets.truncate(self.capacity);
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
}
