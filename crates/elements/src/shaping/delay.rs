use alloc::string::String;
use core::time::Duration;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected, Signals,
};
use sprat_packet::{Batch, Packet};

use super::gate::Gate;
use crate::quantity_text::interval_text;

pub(super) const DELAY_UNQUEUE: Class = Class::of::<DelayUnqueue>("DelayUnqueue").processing("l/h");
pub(super) const DELAY_SHAPER: Class = Class::of::<DelayShaper>("DelayShaper").processing("l/l");

/// Packets passed on before others have their turn.
const BURST: usize = 32;

/// Timestamps within the first second stand for none.
const FIRST_SECOND: i64 = 1_000_000_000;

/// Holds one packet until its time has come, which its timestamp says then.
struct Delay {
    delay: Duration,
    held: Option<Packet>,
    pulled: Batch,
}

/// What became of an attempt to get a packet.
enum Passage {
    /// Its time has come.
    Due(Packet),
    /// Its time comes at this moment.
    Wait(Instant),
    /// There is none.
    Nothing,
}

impl Delay {
    fn configure(arguments: &mut Arguments<'_>) -> Result<Self, Rejected> {
        let delay = arguments.required("DELAY");
        arguments.finish()?;
        Ok(Self {
            delay: delay?,
            held: None,
            pulled: Batch::new(),
        })
    }

    fn next(&mut self, context: &mut Context<'_>) -> Passage {
        let now = context.timestamp().0;
        if self.held.is_none() {
            context.pull(0, 1, &mut self.pulled);
            self.held = self.pulled.drain().next();
            if let Some(packet) = &mut self.held {
                // A packet that nobody has stamped begins to wait here.
                let since = match packet.timestamp() {
                    0..FIRST_SECOND => now,
                    stamped => stamped,
                };
                let delay = i64::try_from(self.delay.as_nanos()).unwrap_or(i64::MAX);
                packet.set_timestamp(since.saturating_add(delay));
            }
        }
        let Some(packet) = self.held.take() else {
            return Passage::Nothing;
        };
        match u64::try_from(packet.timestamp().saturating_sub(now)) {
            Ok(left) if left > 0 => {
                self.held = Some(packet);
                Passage::Wait(context.now() + Duration::from_nanos(left))
            }
            _ => Passage::Due(packet),
        }
    }

    fn read(&self, name: &str) -> Result<String, HandlerError> {
        match name {
            "delay" => Ok(interval_text(self.delay)),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &Context<'_>,
        value: &str,
        complaint: &'static str,
    ) -> Result<(), HandlerError> {
        self.delay = crate::value_or(context, value, complaint)?;
        Ok(())
    }
}

/// DelayUnqueue: pulls packets and pushes each on when its time has come.
///
/// ```click
/// DelayUnqueue(DELAY)
/// ```
///
/// A packet goes on DELAY after its timestamp and not earlier; that moment is its timestamp then.
/// Packets keep their order. `SetTimestamp` before the queue sets the timestamp; a packet without
/// one, or with one within the first second there was, waits from when it is pulled.
///
/// Handlers: `delay` (read, write), from the next packet on; those of its task.
///
/// See Click's manual page DelayUnqueue(n).
struct DelayUnqueue {
    delay: Delay,
}

impl Configure for DelayUnqueue {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let delay = Delay::configure(arguments)?;
        Ok(Self { delay })
    }
}

impl DelayUnqueue {
    fn unqueue(&mut self, context: &mut Context<'_>) {
        for _ in 0..context.burst(None).min(BURST) {
            match self.delay.next(context) {
                Passage::Due(packet) => context.emit(0, packet),
                Passage::Wait(moment) => {
                    context.set_timer(0, moment);
                    return;
                }
                Passage::Nothing => {
                    if context.upstream_nonempty(0) {
                        context.schedule_task();
                    }
                    return;
                }
            }
        }
        context.schedule_task();
    }
}

impl Element for DelayUnqueue {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.wake_when_nonempty(0);
        context.schedule_task();
        Ok(())
    }

    /// Packets leave by the timer, also those that are due already: what came in one round of
    /// tasks leaves together after it.
    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        if context.timer(0).is_none() {
            context.set_timer(0, context.now());
        }
        true
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.unqueue(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("delay").task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.delay.read(name)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.delay
            .write(context, value, "expected time in seconds")?;
        context.set_timer(0, context.now());
        Ok(())
    }

    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.delay.held = old.delay.held.take();
            context.schedule_task();
        }
    }
}

/// DelayShaper: lets packets be pulled when their time has come.
///
/// ```click
/// DelayShaper(DELAY)
/// ```
///
/// As `DelayUnqueue`, between two pull paths, but that the timestamp is set to the present. While the
/// next packet has to wait it says that it has none, so that who pulls from it sleeps.
///
/// Handlers: `delay` (read, write), from the next packet on.
///
/// See Click's manual page DelayShaper(n).
struct DelayShaper {
    delay: Delay,
    gate: Gate,
}

impl Configure for DelayShaper {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let delay = Delay::configure(arguments)?;
        Ok(Self {
            delay,
            gate: Gate::default(),
        })
    }
}

impl DelayShaper {
    /// Says that there is a packet where one is held, and what is before it otherwise.
    fn open(&mut self, context: &Context<'_>) {
        self.gate.open(context);
        if self.delay.held.is_some() {
            context.set_nonempty(true);
        }
    }
}

impl Element for DelayShaper {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.gate.initialize(context);
        Ok(())
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        while batch.len() < limit {
            match self.delay.next(context) {
                Passage::Due(mut packet) => {
                    packet.set_timestamp(context.timestamp().0);
                    batch.push(packet);
                }
                Passage::Wait(moment) => {
                    self.gate.close(context, moment);
                    return;
                }
                Passage::Nothing => {
                    self.gate.signal(context);
                    return;
                }
            }
        }
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        self.gate.signal(context);
        false
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.open(context);
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("delay");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.delay.read(name)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.delay
            .write(context, value, "delay must be a timestamp")?;
        self.open(context);
        Ok(())
    }

    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.delay.held = old.delay.held.take();
            self.open(context);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use sprat_click::simulation::START;

    use crate::testing::Bench;

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Frames that arrive at 0, 10 and 25 ms, and when each leaves, in milliseconds.
    fn departures(element: &str) -> std::vec::Vec<i64> {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> SetTimestamp -> Queue -> {element} -> ToDevice(out)"
        ));
        for gap in [10, 15, 200] {
            bench.arrive("in", b"frame");
            bench.run_for(milliseconds(gap));
        }
        let sent = bench.simulation.simulated_device("out").take_sent();
        sent.into_iter()
            .map(|(_, time)| (time.0 - START.0) / 1_000_000)
            .collect()
    }

    #[test]
    fn packets_leave_a_delay_after_they_came() {
        assert_eq!(departures("DelayUnqueue(100ms)"), [100, 110, 125]);
        assert_eq!(departures("DelayShaper(0.1) -> Unqueue"), [100, 110, 125]);
        assert_eq!(departures("DelayUnqueue(0)"), [0, 10, 25]);
    }

    #[test]
    fn who_pulls_from_a_delay_shaper_sleeps_meanwhile() {
        let bench = Bench::new(
            "FromDevice(in) -> SetTimestamp -> Queue -> s :: DelayShaper(1) -> d :: Discard",
        );
        bench.arrive("in", b"frame");
        bench.run();
        assert_eq!(bench.read("d.scheduled"), "false");
        assert_eq!(bench.read("d.count"), "0");
        bench.run_for(Duration::from_secs(1));
        assert_eq!(bench.read("d.count"), "1");
        assert_eq!(bench.read("d.scheduled"), "false");
    }

    #[test]
    fn another_delay_counts_for_the_packets_after() {
        let bench = Bench::new(
            "FromDevice(in) -> SetTimestamp -> Queue -> u :: DelayUnqueue(1s) -> ToDevice(out)",
        );
        bench.arrive("in", b"a");
        bench.run();
        assert_eq!(bench.read("u.delay"), "1.000000s");
        bench.write("u.delay", "5ms");
        assert_eq!(bench.read("u.delay"), "5ms");
        bench.arrive("in", b"b");
        bench.run();
        assert!(bench.sent("out").is_empty());
        bench.run_for(Duration::from_secs(1));
        assert_eq!(bench.sent("out"), [b"a", b"b"]);
    }

    /// From Click's source: what is late keeps the moment it was due, but in a shaper.
    #[test]
    fn packets_tell_when_they_were_due() {
        for (element, expected) in [
            ("DelayUnqueue(1s)", "8.000000\n1000000001.000000\n"),
            ("DelayShaper(1s)", "1000000000.000000\n1000000001.000000\n"),
        ] {
            let bench = Bench::new(&std::format!(
                "FromIPSummaryDump(DATA \"!data timestamp\\n7.0\\n0.5\\n\") -> Queue
                 -> {element} -> ToIPSummaryDump(out, FIELDS timestamp, HEADER false)"
            ));
            bench.run_for(Duration::from_secs(3));
            let written = bench.simulation.file("out").expect("a dump");
            assert_eq!(
                std::string::String::from_utf8_lossy(&written),
                expected,
                "{element}"
            );
        }
    }
}
