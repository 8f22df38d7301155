use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

pub(super) const TEE: Class = Class::of::<Tee>("Tee").ports("1/1-").processing("h/h");

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
        if let Some(outputs) = arguments.position::<usize>("N")
            && outputs != configuration.outputs()
        {
            arguments.error(alloc::format!(
                "{outputs} outputs implied, {} in use",
                configuration.outputs()
            ));
        }
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for Tee {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let last = context.outputs() - 1;
        for port in 0..last {
            for packet in batch.iter() {
                let copy = context.duplicate(packet);
                context.emit(port, copy);
            }
        }
        context.forward(last, batch);
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
    fn tee_refuses_a_number_that_is_not_that_of_its_outputs() {
        let errors = Bench::errors("Idle -> t :: Tee(3) -> Idle");
        assert_eq!(
            errors,
            "config:1: While configuring 't :: Tee':\n  3 outputs implied, 1 in use\n"
        );
    }
}
