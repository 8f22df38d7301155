use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};

use crate::handler_call::HandlerCall;

pub(super) const NULL_TASK: Class = Class::of::<NullTask>("NullTask").ports("0/0");
pub(super) const HANDLER_TASK: Class = Class::of::<HandlerTask>("HandlerTask").ports("0/0");

/// NullTask: has a task that does nothing.
///
/// ```click
/// NullTask([keywords LIMIT, STOP, ACTIVE])
/// ```
///
/// For measurements of the scheduler.
///
/// - LIMIT: runs so many times; 0, the default: for ever.
/// - STOP: whether the driver stops at LIMIT; false.
/// - ACTIVE: whether it begins at once; true.
///
/// Handlers: `count` (read): how often it ran; `reset` (write) sets that to zero; those of its task, of which `scheduled` can be
/// written.
///
/// See Click's manual page NullTask(n).
struct NullTask {
    limit: u64,
    stop: bool,
    active: bool,
    count: u64,
}

impl Configure for NullTask {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let limit = arguments.keyword::<u32>("LIMIT").unwrap_or(0);
        let stop = arguments.keyword("STOP").unwrap_or(false);
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        arguments.finish()?;
        Ok(Self {
            limit: u64::from(limit),
            stop,
            active,
            count: 0,
        })
    }
}

impl Element for NullTask {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if self.active {
            context.schedule_task();
        }
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        self.count += 1;
        if self.limit == 0 || self.count < self.limit {
            context.schedule_task();
        } else if self.stop {
            context.stop_driver();
        }
        true
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count").button("reset").task().write("scheduled");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
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
            "reset" => self.count = 0,
            "scheduled" => write_scheduled(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

/// Schedules the element's task, or no longer.
fn write_scheduled(context: &Context<'_>, value: &str) -> Result<(), HandlerError> {
    if crate::handler_value(context, value)? {
        context.schedule_task();
    } else {
        context.unschedule_task();
    }
    Ok(())
}

/// HandlerTask: writes a handler each time its task runs.
///
/// ```click
/// HandlerTask(HANDLER [VALUE] [, keywords ACTIVE, RESCHEDULE])
/// ```
///
/// - ACTIVE: whether it runs once at the start; true. Otherwise when `scheduled` is written.
/// - RESCHEDULE: whether it runs again and again; false.
///
/// Handlers: `count` (read): how often it ran; those of its task, of which `scheduled` can be
/// written.
///
/// See Click's manual page HandlerTask(n).
struct HandlerTask {
    call: HandlerCall,
    active: bool,
    again: bool,
    count: u64,
}

impl Configure for HandlerTask {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let call = arguments.required("HANDLER");
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        let again = arguments.keyword("RESCHEDULE").unwrap_or(false);
        arguments.finish()?;
        Ok(Self {
            call: call?,
            active,
            again,
            count: 0,
        })
    }
}

impl Element for HandlerTask {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.call.check(context)?;
        if self.active {
            context.schedule_task();
        }
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        self.count += 1;
        self.call.call(context);
        if self.again {
            context.schedule_task();
        }
        true
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count").task().write("scheduled");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
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
            "scheduled" => write_scheduled(context, value),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn a_null_task_runs_so_often_and_stops_the_driver() {
        let bench = Bench::new("t :: NullTask(LIMIT 7, STOP true)");
        assert!(bench.run());
        assert_eq!(bench.read("t.count"), "7");
        assert_eq!(bench.read("t.scheduled"), "false");
        bench.write("t.reset", "");
        assert_eq!(bench.read("t.count"), "0");
        let bench = Bench::new("t :: NullTask(ACTIVE false, LIMIT 2)");
        bench.run();
        assert_eq!(bench.read("t.count"), "0");
        bench.write("t.scheduled", "true");
        bench.run();
        assert_eq!(bench.read("t.count"), "2");
    }

    #[test]
    fn a_handler_task_writes_its_handler_each_time() {
        let bench = Bench::new(
            "Idle -> s :: Switch(0) -> Idle; s[1] -> Idle; t :: HandlerTask(s.switch 1)",
        );
        bench.run();
        assert_eq!(bench.read("s.switch"), "1");
        assert_eq!(bench.read("t.count"), "1");
        bench.write("s.switch", "0");
        bench.write("t.scheduled", "true");
        bench.run();
        assert_eq!(bench.read("s.switch"), "1");
        let errors = Bench::errors("HandlerTask(a.b)");
        assert!(errors.contains("no element named 'a'"), "{errors}");
    }
}
