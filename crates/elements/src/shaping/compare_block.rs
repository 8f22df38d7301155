use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::{FORWARD_RATE, REVERSE_RATE};
use sprat_packet::{Batch, Packet};

pub(super) const COMPARE_BLOCK: Class = Class::of::<CompareBlock>("CompareBlock")
    .ports("1/2")
    .processing("h/h");

/// CompareBlock: diverts packets of which far more go one way than the other.
///
/// ```click
/// CompareBlock(FWD_WEIGHT, REV_WEIGHT, THRESH)
/// ```
///
/// Reads the rates with which IPRateMonitor has annotated packets. Where either is above THRESH and
/// FWD_WEIGHT times the forward rate is above REV_WEIGHT times the reverse rate, the packet goes to
/// output 1; else to output 0.
///
/// Handlers: `fwd_weight`, `rev_weight`, `thresh` (read, write).
///
/// See Click's manual page CompareBlock(n).
pub(crate) struct CompareBlock {
    values: [i32; 3],
}

/// The arguments, and the handlers of the same order.
const ARGUMENTS: [(&str, &str); 3] = [
    ("FWD_WEIGHT", "fwd_weight"),
    ("REV_WEIGHT", "rev_weight"),
    ("THRESH", "thresh"),
];

fn place(name: &str) -> Result<usize, HandlerError> {
    ARGUMENTS
        .iter()
        .position(|(_, handler)| *handler == name)
        .ok_or_else(|| HandlerError::NoHandler(name.into()))
}

impl Configure for CompareBlock {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let [forward, reverse, threshold] =
            ARGUMENTS.map(|(name, _)| arguments.required::<i32>(name));
        arguments.finish()?;
        Ok(Self {
            values: [forward?, reverse?, threshold?],
        })
    }
}

impl CompareBlock {
    fn diverts(&self, packet: &Packet) -> bool {
        let [forward_weight, reverse_weight, threshold] = self.values.map(i64::from);
        let forward = i64::from(packet.annotations().word(FORWARD_RATE));
        let reverse = i64::from(packet.annotations().word(REVERSE_RATE));
        forward.max(reverse) > threshold && forward_weight * forward > reverse_weight * reverse
    }
}

impl Element for CompareBlock {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            let port = usize::from(self.diverts(&packet));
            context.emit(port, packet);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        for (_, handler) in ARGUMENTS {
            list.read_write(handler);
        }
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        Ok(self.values[place(name)?].to_string())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.values[place(name)?] = crate::handler_value(context, value)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    /// Whether a packet with these rates is diverted.
    fn diverted(forward: u8, reverse: u8) -> bool {
        let bench = Bench::new(&std::format!(
            "RatedSource(x, 1000, 1) -> SetAnnoByte(20, {forward}) -> SetAnnoByte(24, {reverse})
             -> b :: CompareBlock(5, 2, 100) -> Discard; b[1] -> c :: Counter -> Discard"
        ));
        bench.run();
        bench.read("c.count") == "1"
    }

    #[test]
    fn a_rate_above_the_threshold_that_outweighs_the_other_diverts() {
        for (forward, reverse, expected) in [
            (101, 10, true),
            (100, 10, false),
            (101, 253, false),
            (90, 200, true),
            (10, 200, false),
        ] {
            assert_eq!(diverted(forward, reverse), expected, "{forward} {reverse}");
        }
    }

    #[test]
    fn the_weights_can_be_changed() {
        let bench = Bench::new("Idle -> b :: CompareBlock(5, 2, 100) -> Discard; b[1] -> Discard");
        bench.write("b.rev_weight", "7");
        assert_eq!(bench.read("b.rev_weight"), "7");
        assert_eq!(bench.read("b.thresh"), "100");
    }
}
