use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::Bandwidth;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::annotations::EXTRA_LENGTH;
use sprat_packet::{Batch, Packet};

use super::bucket::in_words;
use crate::quantity_text::interval_text;

pub(super) const LINK_UNQUEUE: Class = Class::of::<LinkUnqueue>("LinkUnqueue").processing("l/h");

/// LinkUnqueue: emulates a serial link.
///
/// ```click
/// LinkUnqueue(LATENCY, BANDWIDTH)
/// ```
///
/// Pulls a packet when the link has sent the one before, takes as many whole microseconds to send it
/// as BANDWIDTH (such as `384 kbps`, 100 bytes a second at least, in whole hundreds) needs for its
/// length, extra length annotation included, and pushes it on LATENCY later, its timestamp set to
/// that moment. Packets on the link are held here; `Queue -> LinkUnqueue` is a link with a queue
/// before it.
///
/// Handlers: `latency`, `bandwidth` (read, write); `size` (read) packets on the link; `reset`
/// (write). Writing any of them drops the packets on the link. Those of its task.
///
/// See Click's manual page LinkUnqueue(n).
struct LinkUnqueue {
    latency: Duration,
    bandwidth: Hundreds,
    /// The packets on the link and when each arrives at its end, which is its timestamp by the wall
    /// clock that there was when it was sent. That clock may be set back, so nothing waits for it.
    flight: VecDeque<(Instant, Packet)>,
    /// Whether the link had something to send whenever it was free.
    busy: bool,
    pulled: Batch,
}

/// A bandwidth in hundreds of bytes a second.
#[derive(Clone, Copy)]
struct Hundreds(u32);

impl Hundreds {
    /// What is too little for a link, in words.
    const TOO_SMALL: &str = "bandwidth too small, minimum 100Bps";

    fn of(bandwidth: Bandwidth) -> Option<Self> {
        match in_words(bandwidth) / 100 {
            0 => None,
            hundreds => Some(Self(hundreds)),
        }
    }

    /// How long it takes to send so many bytes.
    fn sending(self, bytes: u64) -> Duration {
        Duration::from_micros(bytes * 10_000 / u64::from(self.0))
    }
}

/// Packets taken onto a link without letting others work: one that is fast enough takes no time for
/// them.
const BURST: usize = 1024;

impl Configure for LinkUnqueue {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let latency = arguments.required("LATENCY");
        let bandwidth = arguments.required("BANDWIDTH");
        arguments.finish()?;
        let Some(bandwidth) = Hundreds::of(bandwidth?) else {
            return Err(arguments.error(Hundreds::TOO_SMALL));
        };
        Ok(Self {
            latency: latency?,
            bandwidth,
            flight: VecDeque::new(),
            busy: false,
            pulled: Batch::new(),
        })
    }
}

impl LinkUnqueue {
    /// Takes packets onto the link while it is free; returns whether there were any.
    fn load(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        // What is sent now begins to arrive then.
        let begun = now + self.latency;
        let timestamp = context.timestamp().0;
        let mut loaded = false;
        for _ in 0..BURST {
            let last = self.flight.back().map(|(arrival, _)| *arrival);
            if last.is_some_and(|last| last > begun) {
                break;
            }
            context.pull(0, 1, &mut self.pulled);
            let Some(mut packet) = self.pulled.drain().next() else {
                self.busy = false;
                break;
            };
            let begun = last.filter(|_| self.busy).unwrap_or(begun);
            let extra = packet.annotations().word(EXTRA_LENGTH);
            let sending = self
                .bandwidth
                .sending(packet.len() as u64 + u64::from(extra));
            let arrival = begun + sending;
            let left = i64::try_from(arrival.since(now).as_nanos()).unwrap_or(i64::MAX);
            packet.set_timestamp(timestamp.saturating_add(left));
            self.flight.push_back((arrival, packet));
            self.busy = true;
            loaded = true;
        }
        loaded
    }

    /// Pushes on what has arrived; returns whether anything has.
    fn unload(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        let mut arrived = false;
        while let Some((_, packet)) = self.flight.pop_front_if(|(arrival, _)| *arrival <= now) {
            context.emit(0, packet);
            arrived = true;
        }
        arrived
    }

    fn work(&mut self, context: &mut Context<'_>) -> bool {
        let now = context.now();
        let loaded = self.load(context, now);
        let arrived = self.unload(context, now);
        let more = context.upstream_nonempty(0);
        let (Some((first, _)), Some((last, _))) = (self.flight.front(), self.flight.back()) else {
            if more {
                context.schedule_task();
            }
            return loaded || arrived;
        };
        let mut next = *first;
        if more {
            // The link is free when what it sent last has left it.
            let sent = last.since(Instant(0)).saturating_sub(self.latency);
            next = next.min(Instant(0) + sent);
        }
        if next > now {
            context.set_timer(0, next);
        } else {
            context.schedule_task();
        }
        loaded || arrived
    }
}

impl Element for LinkUnqueue {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.wake_when_nonempty(0);
        context.schedule_task();
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        self.work(context)
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.work(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("latency")
            .read_write("bandwidth")
            .read("size")
            .button("reset")
            .task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "latency" => Ok(interval_text(self.latency)),
            "bandwidth" => Ok((u64::from(self.bandwidth.0) * 100).to_string()),
            "size" => Ok(self.flight.len().to_string()),
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
            "latency" => {
                self.latency = crate::value_or(context, value, "latency must be a timestamp")?;
            }
            "bandwidth" => {
                let bandwidth = crate::value_or(context, value, "invalid bandwidth")?;
                let bandwidth = Hundreds::of(bandwidth);
                self.bandwidth = bandwidth.ok_or(HandlerError::failed(Hundreds::TOO_SMALL))?;
            }
            _ => {}
        }
        self.flight.clear();
        context.cancel_timer(0);
        context.schedule_task();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use sprat_click::simulation::START;

    use crate::testing::Bench;

    #[test]
    fn packets_are_sent_one_after_the_other_and_arrive_a_latency_later() {
        let bench = Bench::new(
            "FromDevice(in) -> Queue -> l :: LinkUnqueue(50ms, 10kBps) -> ToDevice(out)",
        );
        // 10 ms, 20 ms and 1 ms to send.
        for length in [100, 200, 10] {
            bench.arrive("in", &[0; 200][..length]);
        }
        bench.run_for(Duration::from_millis(35));
        assert_eq!(bench.read("l.size"), "3");
        bench.run_for(Duration::from_millis(100));
        let sent = bench.simulation.simulated_device("out").take_sent();
        let times: std::vec::Vec<_> = sent
            .iter()
            .map(|(_, time)| (time.0 - START.0) / 1_000_000)
            .collect();
        assert_eq!(times, [60, 80, 81]);
        assert_eq!(bench.read("l.size"), "0");
    }

    #[test]
    fn a_wall_clock_that_is_set_back_holds_nothing_up() {
        let bench = Bench::new(
            "FromDevice(in) -> Queue -> l :: LinkUnqueue(1s, 1kBps) -> c :: Counter -> Discard",
        );
        (0..3).for_each(|_| bench.arrive("in", &[0; 100]));
        bench.run_for(Duration::from_millis(150));
        bench.simulation.step_wall_clock(-START.0 / 2);
        bench.run_for(Duration::from_millis(1200));
        assert_eq!(bench.read("c.count"), "3");
    }

    #[test]
    fn a_busy_link_carries_its_bandwidth() {
        // 7 bytes at 3,000 bytes a second take 2,333 whole microseconds.
        let bench = Bench::new(
            "InfiniteSource(LENGTH 7) -> Queue(9) -> LinkUnqueue(0, 3000Bps) -> c :: Counter -> Discard",
        );
        bench.run_for(Duration::from_micros(2333 * 1000 + 1));
        assert_eq!(bench.read("c.count"), "1000");
    }

    #[test]
    fn what_is_written_begins_the_link_anew() {
        let bench = Bench::new(
            "FromDevice(in) -> Queue -> l :: LinkUnqueue(1s, 10kBps) -> c :: Counter -> Discard",
        );
        bench.arrive("in", &[0; 100]);
        bench.run();
        assert_eq!(
            (&*bench.read("l.latency"), &*bench.read("l.bandwidth")),
            ("1.000000s", "10000")
        );
        assert_eq!(bench.read("l.size"), "1");
        bench.write("l.latency", "5ms");
        assert_eq!(bench.read("l.size"), "0");
        bench.write("l.bandwidth", "20kBps");
        bench.arrive("in", &[0; 100]);
        bench.run_for(Duration::from_millis(11));
        assert_eq!(bench.read("c.count"), "1");
        for (handler, value, complaint) in [
            ("l.latency", "x", "latency must be a timestamp"),
            ("l.bandwidth", "x", "invalid bandwidth"),
            ("l.bandwidth", "99", "bandwidth too small, minimum 100Bps"),
        ] {
            assert_eq!(
                bench.write_fails(handler, value).as_deref(),
                Some(complaint)
            );
        }
        let errors = Bench::errors("Idle -> LinkUnqueue(1, 99Bps) -> Idle");
        assert!(
            errors.contains("bandwidth too small, minimum 100Bps"),
            "{errors}"
        );
    }
}
