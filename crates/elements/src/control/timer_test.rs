use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::{Argument, NoNames, parse_duration};
use sprat_click::time::SECOND;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected, Timestamp,
};

pub(super) const TIMER_TEST: Class = Class::of::<TimerTest>("TimerTest").ports("0/0");

/// TimerTest: says when its timer expires.
///
/// ```click
/// TimerTest([keywords DELAY, SCHEDULE, BENCHMARK])
/// ```
///
/// For looking at timers.
///
/// - DELAY: how long after the start it expires; without it and SCHEDULE, it is not set.
/// - SCHEDULE: whether it is set where DELAY is not given, or zero; false.
/// - BENCHMARK: understood, and without an effect.
///
/// Handlers: `scheduled` (read, write): whether it is set; `expiry` (read): when it expires, or did last;
/// `schedule_after` (write) sets it; `unschedule` (write).
///
/// See Click's manual page TimerTest(n).
struct TimerTest {
    delay: Option<Duration>,
    benchmark: bool,
    expiry: Timestamp,
}

impl Configure for TimerTest {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let benchmark = arguments.keyword::<i32>("BENCHMARK").unwrap_or(0) > 0;
        let delay = arguments.keyword::<Duration>("DELAY").unwrap_or_default();
        let schedule = arguments.keyword("SCHEDULE").unwrap_or(false);
        arguments.finish()?;
        Ok(Self {
            delay: (schedule || !delay.is_zero()).then_some(delay),
            benchmark,
            expiry: Timestamp(0),
        })
    }
}

impl TimerTest {
    fn set(&mut self, context: &Context<'_>, delay: Duration) {
        context.set_timer_after(0, delay);
        let span = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
        self.expiry = Timestamp(context.timestamp().0.saturating_add(span));
    }
}

impl Element for TimerTest {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        match self.delay {
            Some(delay) => self.set(context, delay),
            None if self.benchmark => {}
            // Click has timers that are meant to do nothing, and others, of which it warns.
            None => {
                context.chatter(format_args!("Initializing default_constructor_timer"));
                context.chatter(format_args!(
                    "initializing Timer {} :: TimerTest [0x0], which does nothing",
                    context.name()
                ));
                context.chatter(format_args!("Initializing explicit_do_nothing_timer"));
            }
        }
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        let (name, expiry) = (context.name(), self.expiry);
        context.chatter(format_args!("{expiry}: {name} :: TimerTest fired"));
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("scheduled").read("expiry");
        list.write("schedule_after").write("unschedule");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "scheduled" => Ok(context.timer(0).is_some().to_string()),
            "expiry" => Ok(self.expiry.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let wrong = || HandlerError::failed("syntax error");
        match name {
            "scheduled" if bool::parse(value.trim(), &NoNames).map_err(|_| wrong())? => {
                let left = self.expiry.0.saturating_sub(context.timestamp().0);
                let left = Duration::from_nanos(u64::try_from(left).unwrap_or(0));
                context.set_timer_after(0, left);
            }
            "scheduled" | "unschedule" => context.cancel_timer(0),
            "schedule_after" => {
                let delay = parse_duration(value.trim(), SECOND).map_err(|_| wrong())?;
                self.set(context, delay);
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

    #[test]
    fn a_timer_is_set_told_of_and_taken_back() {
        let bench = Bench::new("t :: TimerTest(DELAY 1s); u :: TimerTest(DELAY 5s)");
        assert_eq!(bench.read("t.scheduled"), "true");
        let expiry = bench.read("t.expiry");
        bench.write("u.unschedule", "");
        bench.run_for(Duration::from_secs(2));
        assert_eq!(bench.read("t.scheduled"), "false");
        assert_eq!(bench.read("t.expiry"), expiry);
        bench.write("t.schedule_after", "0.5");
        bench.write("u.scheduled", "true");
        bench.write("u.scheduled", "false");
        bench.run_for(Duration::from_secs(9));
        let said = bench.simulation.take_errors();
        let later = bench.read("t.expiry");
        assert_eq!(
            said,
            std::format!("{expiry}: t :: TimerTest fired\n{later}: t :: TimerTest fired\n")
        );
        assert_eq!(
            bench.write_fails("t.schedule_after", "x").as_deref(),
            Some("syntax error")
        );
    }
}
