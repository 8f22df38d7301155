use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

pub(super) const DISCARD: Class = Class::of::<Discard>("Discard")
    .ports("1/0")
    .processing("a/a");

pub(super) const DISCARD_NO_FREE: Class = DISCARD.named("DiscardNoFree");

/// Discard, DiscardNoFree: drops every packet.
///
/// ```click
/// Discard([keywords ACTIVE, BURST])
/// DiscardNoFree([keywords ACTIVE, BURST])
/// ```
///
/// At a pull input it pulls BURST packets (1) at a time, while it is ACTIVE (true).
///
/// Handlers: `count` (read) packets dropped; `reset_counts` (write); `active` (read, write);
/// those of its task.
///
/// Click's DiscardNoFree never gives the memory of packets back, which no router would live long with; here
/// it is the same as Discard.
///
/// See Click's manual pages Discard(n) and DiscardNoFree(n).
struct Discard {
    burst: Option<usize>,
    active: bool,
    count: u64,
    batch: Batch,
}

impl Configure for Discard {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let burst = arguments.keyword("BURST").filter(|burst| *burst > 0);
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        arguments.finish()?;
        Ok(Self {
            burst,
            active,
            count: 0,
            batch: Batch::new(),
        })
    }
}

impl Element for Discard {
    fn push(&mut self, _: &mut Context<'_>, _: usize, batch: &mut Batch) {
        self.count += batch.len() as u64;
        batch.clear();
    }

    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if context.input_pulls(0) {
            context.wake_when_nonempty(0);
            if self.active {
                context.schedule_task();
            }
        }
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        if !self.active {
            return false;
        }
        context.pull(0, context.burst(self.burst), &mut self.batch);
        let worked = !self.batch.is_empty();
        self.count += self.batch.len() as u64;
        self.batch.clear();
        if worked || context.upstream_nonempty(0) {
            context.schedule_task();
        }
        worked
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .button("reset_counts")
            .read_write("active")
            .task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "active" => Ok(self.active.to_string()),
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
            "reset_counts" => self.count = 0,
            "active" => {
                self.active = crate::value_or(context, value, "syntax error")?;
                if self.active && context.input_pulls(0) {
                    context.schedule_task();
                }
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
