use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::Bandwidth;
use sprat_click::decimal;
use sprat_click::time::SECOND;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::annotations::EXTRA_LENGTH;
use sprat_packet::{Batch, Packet};

pub(super) const LINK_UNQUEUE: Class = Class::of::<LinkUnqueue>("LinkUnqueue").processing("l/h");

/// LinkUnqueue: emulates a serial link.
///
/// ```click
/// LinkUnqueue(LATENCY, BANDWIDTH)
/// ```
///
/// Pulls a packet when the link has sent the one before, takes as long to send it as BANDWIDTH
/// (such as `384 kbps`; 0 is without limit) needs for its length, extra length annotation
/// included, and pushes it on LATENCY later, its timestamp set to the present. Packets on the
/// link are held here; `Queue -> LinkUnqueue` is a link with a queue before it.
///
/// Handlers: `latency`, `bandwidth`, `size` (packets on the link) (read); `reset` (write) drops
/// the packets on the link.
///
/// See Click's manual page LinkUnqueue(n).
struct LinkUnqueue {
    latency: Duration,
    bandwidth: u64,
    /// The packets on the link and when each arrives at its end.
    flight: VecDeque<(Instant, Packet)>,
    /// When the link has sent the last packet it took.
    free: Instant,
    /// What sending took beyond whole nanoseconds, times `bandwidth`.
    remainder: u64,
    /// Whether the link found nothing to send when it was free.
    idle: bool,
    pulled: Batch,
}

impl Configure for LinkUnqueue {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let latency = arguments.required::<Duration>("LATENCY");
        let bandwidth = arguments.required::<Bandwidth>("BANDWIDTH");
        arguments.finish()?;
        Ok(Self {
            latency: latency?,
            bandwidth: bandwidth?.0,
            flight: VecDeque::new(),
            free: Instant(0),
            remainder: 0,
            idle: true,
            pulled: Batch::new(),
        })
    }
}

impl LinkUnqueue {
    /// How long the link takes to send `length` bytes. What is lost to whole nanoseconds is
    /// added to the next.
    fn sending(&mut self, length: u64) -> Duration {
        if self.bandwidth == 0 {
            return Duration::ZERO;
        }
        let work = length * SECOND + self.remainder;
        self.remainder = work % self.bandwidth;
        Duration::from_nanos(work / self.bandwidth)
    }

    /// Takes packets onto the link while it is free.
    fn load(&mut self, context: &mut Context<'_>, now: Instant) {
        while self.free <= now {
            context.pull(0, 1, &mut self.pulled);
            let Some(packet) = self.pulled.drain().next() else {
                self.idle = true;
                self.remainder = 0;
                return;
            };
            // A link that had work all along began this packet when it was free, and not when
            // the timer came to it.
            let begun = if self.idle { now } else { self.free };
            self.idle = false;
            let length = packet.len() as u64;
            let extra = packet.annotations().word(EXTRA_LENGTH);
            self.free = begun + self.sending(length + u64::from(extra));
            self.flight.push_back((self.free + self.latency, packet));
        }
    }

    fn unload(&mut self, context: &mut Context<'_>, now: Instant) {
        let timestamp = context.timestamp().0;
        while self.flight.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, mut packet)) = self.flight.pop_front() {
                packet.set_timestamp(timestamp);
                context.emit(0, packet);
            }
        }
    }

    fn work(&mut self, context: &mut Context<'_>) -> bool {
        let now = context.now();
        let before = self.flight.len();
        self.load(context, now);
        let loaded = self.flight.len() > before;
        self.unload(context, now);
        if self.idle && context.upstream_nonempty(0) {
            context.schedule_task();
        }
        let mut next = self.flight.front().map_or(Instant::NEVER, |(due, _)| *due);
        if !self.idle {
            next = next.min(self.free);
        }
        context.set_timer(0, next);
        loaded
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
        list.read("latency")
            .read("bandwidth")
            .read("size")
            .button("reset")
            .task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "latency" => Ok(decimal::shortest(self.latency.as_secs_f64()) + "s"),
            "bandwidth" => Ok(super::bucket::bandwidth_text(self.bandwidth)),
            "size" => Ok(self.flight.len().to_string()),
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
            "reset" => {
                self.flight.clear();
                self.free = Instant(0);
                self.idle = true;
                context.schedule_task();
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
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
    fn a_busy_link_carries_exactly_its_bandwidth() {
        // 7 bytes at 3,000 bytes a second: a third of a nanosecond is left over each time.
        let bench = Bench::new(
            "InfiniteSource(LENGTH 7) -> Queue(9) -> LinkUnqueue(0, 3000Bps) -> c :: Counter -> Discard",
        );
        bench.run_for(Duration::from_secs(7));
        let count: u32 = bench.read("c.count").parse().unwrap();
        assert!(count.abs_diff(3000) <= 1, "{count}");
    }
}
