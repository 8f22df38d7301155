use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::{Batch, Packet};

pub(super) const TIME_SORTED_SCHED: Class = Class::of::<TimeSortedSched>("TimeSortedSched")
    .ports("1-/1")
    .processing("l/l");

/// TimeSortedSched: merges its inputs in the order of their timestamps.
///
/// ```click
/// TimeSortedSched([keywords STOP, BUFFER])
/// ```
///
/// Each pull gives the packet with the earliest timestamp among the first BUFFER (1) packets of
/// every input; which of equal ones, the heap that they stand in says. What comes out is in order if
/// each input is, or is out of order by less than BUFFER packets. With STOP true (false) the driver
/// stops when no packet is left and no input says that it has any.
///
/// Handlers: `well_ordered` (read): whether all packets came out in order so far.
///
/// See Click's manual page TimeSortedSched(n).
struct TimeSortedSched {
    stop: bool,
    /// Packets and their inputs, as a heap like Click's: of equal ones the same goes first.
    heap: Vec<(Packet, usize)>,
    /// How many more packets of each input may stand there.
    space: Vec<usize>,
    /// The inputs of which that is any, the next at the end.
    ready: Vec<usize>,
    pulled: Batch,
    last: i64,
    well_ordered: bool,
}

impl Configure for TimeSortedSched {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let stop = arguments.keyword("STOP").unwrap_or(false);
        let buffer = arguments.keyword::<u32>("BUFFER").unwrap_or(1);
        if buffer == 0 {
            arguments.error("BUFFER must be at least 1");
        }
        arguments.finish()?;
        let inputs = configuration.inputs();
        Ok(Self {
            stop,
            heap: Vec::new(),
            space: alloc::vec![buffer as usize; inputs],
            ready: (0..inputs).collect(),
            pulled: Batch::new(),
            last: i64::MIN,
            well_ordered: true,
        })
    }
}

impl TimeSortedSched {
    /// Sees to it that each input has its first packets here.
    fn fill(&mut self, context: &mut Context<'_>) {
        for place in (0..self.ready.len()).rev() {
            let input = self.ready[place];
            while self.space[input] > 0 && context.upstream_nonempty(input) {
                context.pull(input, 1, &mut self.pulled);
                let pulled = self.pulled.drain().next();
                let Some(packet) = pulled else {
                    break;
                };
                self.put(packet, input);
            }
            if self.space[input] == 0 {
                self.ready.swap_remove(place);
            }
        }
    }

    fn put(&mut self, packet: Packet, input: usize) {
        self.space[input] -= 1;
        self.heap.push((packet, input));
        let mut place = self.heap.len() - 1;
        while place > 0 && self.is_earlier(place, (place - 1) / 2) {
            self.heap.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
    }

    fn is_earlier(&self, place: usize, other: usize) -> bool {
        self.heap[place].0.timestamp() < self.heap[other].0.timestamp()
    }

    /// Takes out the packet with the earliest timestamp.
    fn earliest(&mut self) -> Option<Packet> {
        let last = self.heap.len().checked_sub(1)?;
        self.heap.swap(0, last);
        let mut place = 0;
        loop {
            let mut first = place;
            for below in [2 * place + 1, 2 * place + 2] {
                if below < last && self.is_earlier(below, first) {
                    first = below;
                }
            }
            if first == place {
                break;
            }
            self.heap.swap(place, first);
            place = first;
        }
        let (packet, input) = self.heap.pop()?;
        self.space[input] += 1;
        if self.space[input] == 1 {
            self.ready.push(input);
        }
        // A packet without a timestamp comes neither before nor after others.
        let timestamp = packet.timestamp();
        if timestamp != 0 {
            self.well_ordered &= timestamp >= self.last;
            self.last = timestamp;
        }
        Some(packet)
    }
}

impl Element for TimeSortedSched {
    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        while batch.len() < limit {
            self.fill(context);
            match self.earliest() {
                Some(packet) => batch.push(packet),
                None => break,
            }
        }
        let waiting = |context: &Context<'_>| {
            (0..context.inputs()).any(|input| context.upstream_nonempty(input))
        };
        if batch.is_empty() && self.stop && !waiting(context) {
            context.stop_driver();
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("well_ordered");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "well_ordered" => Ok(self.well_ordered.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn take_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            for (packet, input) in old.heap.drain(..) {
                if self.space.get(input).is_some_and(|space| *space > 0) {
                    self.put(packet, input);
                }
            }
            self.ready.retain(|input| self.space[*input] > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use std::vec::Vec;

    /// Runs packets that carry their timestamp, in tenths of a second, as their only byte.
    fn merge(config: &str, first: &[u8], second: &[u8]) -> (Vec<u8>, std::string::String) {
        let bench = Bench::new(&std::format!(
            "FromDevice(a) -> Queue -> t :: TimeSortedSched({config}) -> u :: Unqueue(ACTIVE false) \
             -> ToDevice(out); FromDevice(b) -> Queue -> [1] t"
        ));
        for (device, times) in [("a", first), ("b", second)] {
            for time in times {
                bench.simulation.simulated_device(device).arrive(
                    &[*time],
                    sprat_click::Timestamp(i64::from(*time) * 100_000_000),
                );
            }
        }
        bench.run();
        bench.write("u.active", "true");
        bench.run();
        (bench.sent("out").concat(), bench.read("t.well_ordered"))
    }

    #[test]
    fn inputs_in_order_come_out_in_order() {
        let (order, well_ordered) = merge("", &[1, 2, 10, 12, 55], &[3, 8, 9, 14]);
        assert_eq!(order, [1, 2, 3, 8, 9, 10, 12, 14, 55]);
        assert_eq!(well_ordered, "true");
    }

    #[test]
    fn disorder_within_an_input_is_told_and_a_buffer_mends_it() {
        let (order, well_ordered) = merge("", &[1, 10, 2, 12], &[3, 8]);
        assert_eq!(order, [1, 3, 8, 10, 2, 12]);
        assert_eq!(well_ordered, "false");
        let errors = Bench::errors("Idle -> TimeSortedSched(BUFFER 0) -> Discard");
        assert!(errors.contains("BUFFER must be at least 1"), "{errors}");
        let (order, well_ordered) = merge("BUFFER 2", &[1, 10, 2, 12], &[3, 8]);
        assert_eq!(order, [1, 2, 3, 8, 10, 12]);
        assert_eq!(well_ordered, "true");
    }

    // By hand, after Click's heap: what comes in goes to its end, and what was there to its top.
    #[test]
    fn of_equal_timestamps_those_go_first_that_do_in_clicks_heap() {
        let bench = Bench::new(
            "InfiniteSource(a, 2, TIMESTAMP false) -> t :: TimeSortedSched -> Unqueue -> ToDevice(out);
             InfiniteSource(b, 2, TIMESTAMP false) -> [1] t; InfiniteSource(c, 2, TIMESTAMP false) -> [2] t",
        );
        bench.run();
        assert_eq!(bench.sent("out").concat(), b"cacabb");
    }

    #[test]
    fn stop_waits_until_every_input_is_empty() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 3) -> t :: TimeSortedSched(STOP true) -> d :: Discard;
             InfiniteSource(LIMIT 40) -> [1] t",
        );
        assert!(bench.run());
        assert_eq!(bench.read("d.count"), "43");
    }
}
