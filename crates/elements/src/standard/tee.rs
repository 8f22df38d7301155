use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

pub(super) const TEE: Class = Class::of::<Tee>("Tee").ports("1/1-").processing("h/h");
pub(super) const PULL_TEE: Class = Class::of::<PullTee>("PullTee")
    .ports("1/1-")
    .processing("l/lh");
pub(super) const HUB: Class = Class::of::<Hub>("Hub")
    .ports("-/=")
    .processing("h/h")
    .flow("#/[^#]");

/// Reads the argument N, which must agree with the outputs in use.
fn check_outputs(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
) -> Result<(), Rejected> {
    if let Some(outputs) = arguments.position::<usize>("N")
        && outputs != configuration.outputs()
    {
        let outputs = configuration.outputs();
        arguments.error(alloc::format!("{outputs} outputs implies {outputs} arms"));
    }
    arguments.finish()
}

/// Sends copies of the packets out of each of `ports`.
fn copy_to(context: &mut Context<'_>, ports: core::ops::Range<usize>, batch: &Batch) {
    for port in ports {
        for packet in batch {
            let copy = context.duplicate(packet);
            context.emit(port, copy);
        }
    }
}

/// Tee: sends a copy of each packet out of every output.
///
/// ```click
/// Tee
/// Tee(N)
/// ```
///
/// N, where given, must be the number of outputs in use. The copies are whole: what is done to
/// one does not show in another.
///
/// See Click's manual page Tee(n).
struct Tee;

impl Configure for Tee {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        check_outputs(arguments, configuration)?;
        Ok(Self)
    }
}

impl Element for Tee {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let last = context.outputs() - 1;
        copy_to(context, 0..last, batch);
        context.forward(last, batch);
    }
}

/// Hub: sends a copy of each packet out of every output but that of the input's number.
///
/// ```click
/// Hub
/// ```
///
/// As a hub for Ethernet does, whatever packets hold. It has as many outputs as inputs.
///
/// See Click's manual page Hub(n).
struct Hub;

impl Configure for Hub {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for Hub {
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        let mut others = (0..context.outputs()).filter(|other| *other != port);
        let Some(last) = others.next_back() else {
            return;
        };
        for other in others {
            copy_to(context, other..other + 1, batch);
        }
        context.forward(last, batch);
    }
}

/// PullTee: pushes a copy of each packet pulled through it out of every other output.
///
/// ```click
/// PullTee
/// PullTee(N)
/// ```
///
/// Output 0 is pull; outputs 1 to N-1 push a copy of each packet that passes. N, where given,
/// must be the number of outputs in use.
///
/// See Click's manual page PullTee(n).
struct PullTee;

impl Configure for PullTee {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        check_outputs(arguments, configuration)?;
        Ok(Self)
    }
}

impl Element for PullTee {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        copy_to(context, 1..context.outputs(), batch);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn tee_sends_whole_copies_out_of_every_output() {
        let bench = Bench::new(
            "FromDevice(in) -> t :: Tee -> Strip(2) -> ToDevice(a); t[1] -> ToDevice(b)",
        );
        bench.arrive("in", b"frame");
        bench.run();
        assert_eq!(bench.sent("a"), [b"ame"]);
        assert_eq!(bench.sent("b"), [b"frame"]);
    }

    #[test]
    fn hub_sends_nothing_back() {
        let bench = Bench::new(
            "FromDevice(a) -> h :: Hub -> ToDevice(a);
             FromDevice(b) -> [1] h [1] -> ToDevice(b);
             FromDevice(c) -> [2] h [2] -> ToDevice(c)",
        );
        for device in ["a", "b", "c"] {
            bench.arrive(device, device.as_bytes());
        }
        bench.run();
        for (device, expected) in [
            ("a", [b"b", b"c"]),
            ("b", [b"a", b"c"]),
            ("c", [b"a", b"b"]),
        ] {
            let mut sent = bench.sent(device);
            sent.sort();
            assert_eq!(sent, expected, "{device}");
        }
        let alone = Bench::new("InfiniteSource(LIMIT 1) -> h :: Hub -> c :: Counter -> Discard");
        alone.run();
        assert_eq!(alone.read("c.count"), "0");
    }

    #[test]
    fn pull_tee_pushes_copies_of_what_is_pulled() {
        let bench = Bench::new(
            "FromDevice(in) -> Queue -> t :: PullTee -> Unqueue -> Strip(2) -> ToDevice(a);
             t[1] -> ToDevice(b)",
        );
        bench.arrive("in", b"frame");
        bench.run();
        assert_eq!(bench.sent("a"), [b"ame"]);
        assert_eq!(bench.sent("b"), [b"frame"]);
    }

    #[test]
    fn tee_refuses_a_number_that_is_not_that_of_its_outputs() {
        let errors = Bench::errors("Idle -> t :: Tee(3) -> Idle");
        assert_eq!(
            errors,
            "config:1: While configuring 't :: Tee':\n  1 outputs implies 1 arms\n"
        );
    }
}
