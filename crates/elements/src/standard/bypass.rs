use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

pub(super) const BYPASS: Class = Class::of::<Bypass>("Bypass")
    .ports("1-2/1-2")
    .processing("a/a")
    .flow("xy/[xy]x");

/// Bypass: sends packets along a way that can be switched on and off.
///
/// ```click
/// Bypass([ACTIVE])
/// ```
///
/// While it is not ACTIVE (false), packets pass from input 0 to output 0. While it is, a push
/// element sends them to output 1 instead, and a pull element pulls them from input 1. Where
/// both ends of the way are connected, it leads back: what is pushed to input 1 leaves by output
/// 0, and who pulls at output 1 gets what waits at input 0.
///
/// ```click
/// ... -> b :: Bypass -> ...;
/// b[1] -> Print(Debug) -> [1]b;
/// ```
///
/// Handlers: `active` (read, write).
///
/// See Click's manual page Bypass(n).
struct Bypass {
    active: bool,
}

impl Configure for Bypass {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let active = arguments.position("ACTIVE").unwrap_or(false);
        arguments.finish()?;
        Ok(Self { active })
    }
}

impl Element for Bypass {
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        let output = usize::from(self.active && port == 0);
        context.forward(output, batch);
    }

    fn pull(&mut self, context: &mut Context<'_>, port: usize, limit: usize, batch: &mut Batch) {
        let input = usize::from(self.active && port == 0);
        context.pull(input, limit, batch);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("active");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
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
            "active" => self.active = crate::value_or(context, value, "syntax error")?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn a_push_bypass_leads_out_and_back() {
        let bench = Bench::new(
            "FromDevice(in) -> b :: Bypass -> ToDevice(out); b[1] -> c :: Counter -> [1] b",
        );
        for active in ["false", "true", "false"] {
            bench.write("b.active", active);
            bench.arrive("in", active.as_bytes());
            bench.run();
        }
        assert_eq!(bench.sent("out"), [&b"false"[..], b"true", b"false"]);
        assert_eq!(bench.read("c.count"), "1");
    }

    #[test]
    fn a_pull_bypass_pulls_from_its_second_input() {
        let bench = Bench::new(
            "InfiniteSource(a, LIMIT 2) -> b :: Bypass(true) -> u :: Unqueue(LIMIT 1) -> ToDevice(out);
             InfiniteSource(b, LIMIT 2) -> [1] b",
        );
        bench.run();
        bench.write("b.active", "false");
        bench.write("u.reset", "");
        bench.run();
        assert_eq!(bench.sent("out"), [b"b", b"a"]);
    }
}
