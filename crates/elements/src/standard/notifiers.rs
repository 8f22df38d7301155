use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected, Signals,
};
use sprat_packet::Batch;

pub(super) const UPSTREAM_NOTIFIER: Class =
    Class::of::<UpstreamNotifier>("UpstreamNotifier").processing("h/h");
pub(super) const NOTIFIER_DEBUG: Class = Class::of::<NotifierDebug>("NotifierDebug");

/// UpstreamNotifier: passes packets on, and tells sources whether to send any.
///
/// ```click
/// UpstreamNotifier([SIGNAL])
/// ```
///
/// - SIGNAL: whether it says that there is room behind it; true. Sources that listen, such as
///   InfiniteSource, rest while it is false.
///
/// Handlers: `signal` (read, write).
///
/// See Click's manual page UpstreamNotifier(n).
struct UpstreamNotifier {
    signal: bool,
}

impl Configure for UpstreamNotifier {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let signal = arguments.position("SIGNAL").unwrap_or(true);
        arguments.finish()?;
        Ok(Self { signal })
    }
}

impl UpstreamNotifier {
    fn tell(&self, context: &Context<'_>) {
        context.set_room(if self.signal { usize::MAX } else { 0 });
    }
}

impl Element for UpstreamNotifier {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.tell(context);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        context.forward(0, batch);
    }

    fn signals(&self) -> Signals {
        Signals {
            nonempty: false,
            nonfull: true,
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("signal");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "signal" => Ok(self.signal.to_string()),
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
            "signal" => self.signal = crate::handler_value(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        self.tell(context);
        Ok(())
    }
}

/// NotifierDebug: passes packets on, and shows what its neighbours say.
///
/// ```click
/// NotifierDebug
/// ```
///
/// Handlers: `signal` (read): on a push path whether there may be room behind it, on a pull path whether
/// there may be packets before it.
///
/// See Click's manual page NotifierDebug(n), which shows the insides of the signal instead.
struct NotifierDebug;

impl Configure for NotifierDebug {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for NotifierDebug {
    fn process(&mut self, _: &mut Context<'_>, _: &mut Batch) {}

    fn handlers(&self, list: &mut HandlerList) {
        list.read("signal");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "signal" if context.input_pulls(0) => Ok(context.upstream_nonempty(0).to_string()),
            "signal" => Ok(context.downstream_nonfull(0).to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn upstreamnotifier_has_sources_rest() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 50) -> n :: UpstreamNotifier(false) -> c :: Counter -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("c.count"), "0");
        bench.write("n.signal", "true");
        bench.run();
        assert_eq!(bench.read("c.count"), "50");
    }

    #[test]
    fn notifierdebug_shows_room_and_packets() {
        let bench = Bench::new(
            "FromDevice(in) -> push :: NotifierDebug -> FullNoteQueue(1) -> pull :: NotifierDebug
             -> u :: Unqueue(ACTIVE false) -> Discard",
        );
        assert_eq!(bench.read("push.signal"), "true");
        assert_eq!(bench.read("pull.signal"), "false");
        bench.arrive("in", b"x");
        bench.run();
        assert_eq!(bench.read("push.signal"), "false");
        assert_eq!(bench.read("pull.signal"), "true");
    }
}
