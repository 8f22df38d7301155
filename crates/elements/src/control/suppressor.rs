use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

pub(super) const SUPPRESSOR: Class = Class::of::<Suppressor>("Suppressor")
    .ports("-/=")
    .processing("a/a")
    .flow("#/#");

/// Suppressor: passes packets on, port by port, unless it is told not to.
///
/// ```click
/// Suppressor()
/// ```
///
/// Packets from input N go to output N. Where port N is not active, packets pushed there are
/// dropped and none are pulled.
///
/// Handlers: `active0`, `active1` … (read, write): whether a port passes packets;
/// `reset`, or `allow_all` (write): makes all of them.
///
/// See Click's manual page Suppressor(n).
struct Suppressor {
    active: Vec<bool>,
}

impl Configure for Suppressor {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        // Whatever they are, Click does not look at them.
        arguments.rest();
        Ok(Self {
            active: alloc::vec![true; configuration.inputs()],
        })
    }
}

impl Suppressor {
    fn port(&mut self, handler: &str) -> Result<&mut bool, HandlerError> {
        handler
            .strip_prefix("active")
            .and_then(|port| port.parse::<usize>().ok())
            .and_then(|port| self.active.get_mut(port))
            .ok_or_else(|| HandlerError::NoHandler(handler.into()))
    }
}

impl Element for Suppressor {
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        if self.active.get(port) == Some(&true) {
            context.forward(port, batch);
        }
    }

    fn pull(&mut self, context: &mut Context<'_>, port: usize, limit: usize, batch: &mut Batch) {
        if self.active.get(port) == Some(&true) {
            context.pull(port, limit, batch);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        for port in 0..self.active.len() {
            list.read_write(format!("active{port}"));
        }
        list.button("reset").button("allow_all");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.port(name).map(|active| active.to_string())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        if matches!(name, "reset" | "allow_all") {
            self.active.fill(true);
            return Ok(());
        }
        *self.port(name)? = crate::value_or(context, value, "type mismatch")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn a_suppressed_port_passes_nothing_until_all_are_allowed() {
        let text = "a :: InfiniteSource(LIMIT 3, ACTIVE false) -> [0] s :: Suppressor;
            b :: InfiniteSource(LIMIT 3, ACTIVE false) -> [1] s;
            s [0] -> ca :: Counter -> Discard; s [1] -> cb :: Counter -> Discard";
        let bench = Bench::new(text);
        bench.write("s.active1", "false");
        for source in ["a.active", "b.active"] {
            bench.write(source, "true");
        }
        bench.run();
        let counts = || (bench.read("ca.count"), bench.read("cb.count"));
        assert_eq!(counts(), ("3".into(), "0".into()));
        assert_eq!(bench.read("s.active1"), "false");
        bench.write("s.allow_all", "");
        bench.write("b.reset", "");
        bench.run();
        assert_eq!(counts(), ("3".into(), "3".into()));
    }
}
