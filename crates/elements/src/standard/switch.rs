use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected, Signals,
};
use sprat_packet::Batch;

pub(super) const SWITCH: Class = Class::of::<Switch<true>>("Switch")
    .ports("1/-")
    .processing("h/h")
    .reconfigurable();
pub(super) const STATIC_SWITCH: Class = Class::of::<Switch<false>>("StaticSwitch")
    .ports("1/-")
    .processing("h/h");
pub(super) const INPUT_SWITCH: Class = Class::of::<InputSwitch>("InputSwitch")
    .ports("-/1")
    .processing("h/h");
pub(super) const PULL_SWITCH: Class = Class::of::<PullSwitch<true, true>>("PullSwitch")
    .ports("-/1")
    .processing("l/l")
    .reconfigurable();
pub(super) const SIMPLE_PULL_SWITCH: Class =
    Class::of::<PullSwitch<true, false>>("SimplePullSwitch")
        .ports("-/1")
        .processing("l/l")
        .reconfigurable();
pub(super) const STATIC_PULL_SWITCH: Class =
    Class::of::<PullSwitch<false, true>>("StaticPullSwitch")
        .ports("-/1")
        .processing("l/l");

/// Reads the port to switch to: one of `ports`, or a negative number, which is none.
fn chosen(value: i32, ports: usize) -> Option<usize> {
    usize::try_from(value).ok().filter(|port| *port < ports)
}

/// Reads the argument `name`; `otherwise` where it may be missing. A port that is not there is none,
/// or an error.
fn configure_port(
    arguments: &mut Arguments<'_>,
    name: &str,
    otherwise: Option<i32>,
    ports: usize,
    refuses_beyond: bool,
) -> Result<Option<usize>, Rejected> {
    let value = match otherwise {
        Some(otherwise) => Ok(arguments.position(name).unwrap_or(otherwise)),
        None => arguments.required(name),
    };
    arguments.finish()?;
    let value = value?;
    let port = chosen(value, ports);
    if value >= 0 && port.is_none() && refuses_beyond {
        let name = name.to_ascii_lowercase();
        return Err(arguments.error(format!("{name} must be < {ports}")));
    }
    Ok(port)
}

fn port_text(port: Option<usize>) -> String {
    port.map_or_else(|| "-1".into(), |port| port.to_string())
}

fn written_port(
    context: &Context<'_>,
    value: &str,
    ports: usize,
    complaint: &'static str,
) -> Result<Option<usize>, HandlerError> {
    Ok(chosen(crate::value_or(context, value, complaint)?, ports))
}

/// Switch: sends all packets to one output, which can be chosen while it runs.
///
/// ```click
/// Switch([OUTPUT])
/// StaticSwitch(OUTPUT)
/// ```
///
/// OUTPUT is 0 where it is missing; a negative one drops all packets. A `StaticSwitch` keeps its
/// OUTPUT and has no handlers.
///
/// Handlers: `switch` (read, write): OUTPUT. One that is not there drops all packets.
///
/// See Click's manual page Switch(n).
struct Switch<const SETTABLE: bool> {
    output: Option<usize>,
}

impl<const SETTABLE: bool> Configure for Switch<SETTABLE> {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let otherwise = SETTABLE.then_some(0);
        let output = configure_port(
            arguments,
            "OUTPUT",
            otherwise,
            configuration.outputs(),
            SETTABLE,
        )?;
        Ok(Self { output })
    }
}

impl<const SETTABLE: bool> Element for Switch<SETTABLE> {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        if let Some(output) = self.output {
            context.forward(output, batch);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        if SETTABLE {
            list.read_write("switch");
        }
    }

    fn configuration(&self) -> Option<String> {
        SETTABLE.then(|| port_text(self.output))
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(port_text(self.output))
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let complaint = "Switch output must be integer";
        self.output = written_port(context, value, context.outputs(), complaint)?;
        Ok(())
    }
}

/// InputSwitch: takes packets from one input, which can be chosen while it runs.
///
/// ```click
/// InputSwitch([INPUT])
/// ```
///
/// Packets pushed to inputs other than INPUT (0) are dropped; all are where it is negative.
///
/// Handlers: `switch` (read, write): INPUT.
///
/// See Click's manual page InputSwitch(n).
struct InputSwitch {
    input: Option<usize>,
}

impl Configure for InputSwitch {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let input = configure_port(arguments, "INPUT", Some(0), configuration.inputs(), true)?;
        Ok(Self { input })
    }
}

impl Element for InputSwitch {
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        if self.input == Some(port) {
            context.forward(0, batch);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("switch");
    }

    fn configuration(&self) -> Option<String> {
        Some(port_text(self.input))
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(port_text(self.input))
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let complaint = "InputSwitch input must be integer";
        self.input = written_port(context, value, context.inputs(), complaint)?;
        Ok(())
    }
}

/// PullSwitch: pulls all packets from one input, which can be chosen while it runs.
///
/// ```click
/// PullSwitch([INPUT])
/// SimplePullSwitch([INPUT])
/// StaticPullSwitch(INPUT)
/// ```
///
/// INPUT is 0 where it is missing; with a negative one every pull comes back empty. It says that
/// it has packets where the chosen input does, so that who pulls from it sleeps meanwhile. A
/// `StaticPullSwitch` keeps its INPUT and has no handlers; of a `SimplePullSwitch` any of its inputs
/// wakes who pulls from it.
///
/// Handlers: `switch` (read, write): INPUT.
///
/// See Click's manual pages PullSwitch(n), SimplePullSwitch(n) and StaticPullSwitch(n).
struct PullSwitch<const SETTABLE: bool, const SIGNALS: bool> {
    input: Option<usize>,
}

impl<const SETTABLE: bool, const SIGNALS: bool> PullSwitch<SETTABLE, SIGNALS> {
    /// Says what the chosen input says.
    fn signal(&self, context: &Context<'_>) {
        if !SIGNALS {
            return;
        }
        let nonempty = self
            .input
            .is_some_and(|input| context.upstream_nonempty(input));
        context.set_nonempty(nonempty);
    }
}

impl<const SETTABLE: bool, const SIGNALS: bool> Configure for PullSwitch<SETTABLE, SIGNALS> {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let otherwise = SETTABLE.then_some(0);
        let input = configure_port(arguments, "INPUT", otherwise, configuration.inputs(), false)?;
        Ok(Self { input })
    }
}

impl<const SETTABLE: bool, const SIGNALS: bool> Element for PullSwitch<SETTABLE, SIGNALS> {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let inputs = if SIGNALS { context.inputs() } else { 0 };
        for input in 0..inputs {
            context.wake_when_nonempty(input);
        }
        self.signal(context);
        Ok(())
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        if let Some(input) = self.input {
            context.pull(input, limit, batch);
        }
        if batch.is_empty() {
            self.signal(context);
        }
    }

    /// Something before one of the inputs has packets again.
    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        self.signal(context);
        false
    }

    fn signals(&self) -> Signals {
        if SIGNALS {
            Signals::NONEMPTY
        } else {
            Signals::NONE
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        if SETTABLE {
            list.read_write("switch");
        }
    }

    fn configuration(&self) -> Option<String> {
        SETTABLE.then(|| port_text(self.input))
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(port_text(self.input))
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let complaint = "syntax error";
        self.input = written_port(context, value, context.inputs(), complaint)?;
        self.signal(context);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn switch_sends_packets_where_it_was_last_told() {
        let bench =
            Bench::new("FromDevice(in) -> s :: Switch -> ToDevice(zero); s[1] -> ToDevice(one)");
        for (output, frame) in [("1", b"a"), ("-1", b"b"), ("0", b"c"), ("2", b"d")] {
            bench.write("s.switch", output);
            bench.arrive("in", frame);
            bench.run();
        }
        assert_eq!(bench.read("s.switch"), "-1");
        assert_eq!(bench.sent("zero"), [b"c"]);
        assert_eq!(bench.sent("one"), [b"a"]);
    }

    #[test]
    fn static_switch_needs_an_output_and_drops_all_for_one_that_is_not_there() {
        let errors = Bench::errors("Idle -> s :: StaticSwitch -> Idle");
        assert!(
            errors.contains("OUTPUT: required argument missing"),
            "{errors}"
        );
        let errors = Bench::errors("Idle -> s :: Switch(1) -> Idle");
        assert!(errors.contains("output must be < 1"), "{errors}");
        let bench = Bench::new("FromDevice(in) -> StaticSwitch(1) -> ToDevice(out)");
        bench.arrive("in", b"a");
        bench.run();
        assert!(bench.sent("out").is_empty());
    }

    #[test]
    fn input_switch_drops_what_comes_by_the_other_inputs() {
        let bench = Bench::new(
            "FromDevice(a) -> s :: InputSwitch(1) -> ToDevice(out); FromDevice(b) -> [1] s",
        );
        bench.arrive("a", b"a");
        bench.arrive("b", b"b");
        bench.run();
        assert_eq!(bench.sent("out"), [b"b"]);
    }

    #[test]
    fn a_simple_pull_switch_pulls_from_the_chosen_input_alone() {
        let bench = Bench::new(
            "FromDevice(a) -> Queue -> s :: SimplePullSwitch -> Unqueue -> ToDevice(out);
             FromDevice(b) -> Queue -> [1] s",
        );
        for (input, sent) in [("0", &b"a"[..]), ("1", b"b")] {
            bench.write("s.switch", input);
            assert_eq!(bench.read("s.config"), input);
            bench.arrive("a", b"a");
            bench.arrive("b", b"b");
            bench.run();
            let frames = bench.sent("out");
            assert!(frames.iter().all(|frame| frame == sent) && !frames.is_empty());
        }
        bench.write("s.switch", "2");
        assert_eq!(bench.read("s.switch"), "-1");
        assert_eq!(
            bench.write_fails("s.switch", "x").as_deref(),
            Some("syntax error")
        );
    }

    #[test]
    fn a_pull_switch_lets_its_consumer_sleep_and_wakes_it_when_switched() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 3) -> q :: Queue -> s :: PullSwitch(1) -> d :: Discard;
             Idle -> [1] s",
        );
        bench.run();
        assert_eq!(bench.read("d.count"), "0");
        assert_eq!(bench.read("d.scheduled"), "false");
        bench.write("s.switch", "0");
        bench.run();
        assert_eq!(bench.read("d.count"), "3");
        assert_eq!(bench.read("d.scheduled"), "false");
    }
}
