use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::byte_pattern::parse_byte_pattern;
use super::dispatch::{Dispatch, Rule, pattern_error, patterns};
use super::{Headers, Layout, pattern_handlers};

pub(super) const CLASSIFIER: Class = Class::of::<Classifier>("Classifier")
    .ports("1/-")
    .processing("h/h")
    .reconfigurable();

/// Classifier: sorts packets by their bytes.
///
/// ```click
/// Classifier(PATTERN_1, ..., PATTERN_N)
/// ```
///
/// Has an output for each pattern. Patterns are tried in order, and a packet leaves by the output
/// of the first one that matches; a packet that none matches is dropped.
///
/// A pattern is a list of clauses `OFFSET/VALUE` or `OFFSET/VALUE%MASK` with spaces between, all
/// of which must hold. OFFSET is decimal and counts bytes from the start of the packet; VALUE and
/// MASK are hexadecimal, two digits a byte, and equally long. Only bits set in MASK are compared,
/// and a `?` in VALUE or MASK stands for any digit. A clause that reaches past the end of the packet
/// does not hold. `!` before a clause turns it round. The pattern `-` matches every packet, and so
/// does an empty one.
///
/// ARP requests, ARP replies, IP, and the rest, on Ethernet:
///
/// ```click
/// Classifier(12/0806 20/0001, 12/0806 20/0002, 12/0800, -)
/// ```
///
/// Handlers: `program` (read) shows the patterns as steps that compare four bytes each;
/// `pattern0`, `pattern1`, ... (read) each pattern; `counts` (read) the packets each pattern
/// took, `-` standing for none of them; `reset_counts` (write); `memory` (read) the bytes of the
/// compiled program.
///
/// See Click's manual page Classifier(n).
struct Classifier {
    dispatch: Dispatch,
}

impl Configure for Classifier {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let patterns = patterns(arguments);
        if patterns.len() != configuration.outputs() {
            return Err(arguments.error(format!(
                "need {} arguments, one per output port",
                configuration.outputs()
            )));
        }
        let mut rules = Vec::new();
        for (number, text) in patterns.into_iter().enumerate() {
            match parse_byte_pattern(&text) {
                Ok(expression) => rules.push(Rule {
                    text,
                    expression,
                    output: Some(number),
                }),
                Err(error) => pattern_error(arguments, number, &error),
            }
        }
        let dispatch = Dispatch::new(rules, Layout::Packet, arguments)?;
        dispatch.warn_of_unused(arguments);
        Ok(Self { dispatch })
    }
}

impl Element for Classifier {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        self.dispatch
            .send(context, batch, |packet| Headers::packet(packet.data()));
    }

    fn configuration(&self) -> Option<String> {
        Some(self.dispatch.configuration())
    }

    fn handlers(&self, list: &mut HandlerList) {
        pattern_handlers::list(&self.dispatch, list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        pattern_handlers::read(&self.dispatch, name)
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        pattern_handlers::write(&mut self.dispatch, name)
    }

    fn take_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.dispatch.take_state(&old.dispatch);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::testing::Bench;

    fn ethernet(kind: u16, rest: &[u8]) -> Vec<u8> {
        let mut frame = alloc::vec![0; 12];
        frame.extend(kind.to_be_bytes());
        frame.extend(rest);
        frame
    }

    #[test]
    fn packets_leave_by_the_first_pattern_that_matches_and_keep_their_order() {
        let bench = Bench::new(
            "FromDevice(in) -> c :: Classifier(12/0806, 12/0800 14/4?, -) -> ToDevice(arp); \
             c[1] -> ToDevice(ip); c[2] -> ToDevice(rest)",
        );
        let frames = [
            ethernet(0x0800, &[0x45, 1]),
            ethernet(0x0806, &[1]),
            ethernet(0x0800, &[0x65]),
            ethernet(0x0800, &[0x46, 2]),
        ];
        for frame in &frames {
            bench.arrive("in", frame);
        }
        bench.run();
        assert_eq!(bench.sent("arp"), [frames[1].clone()]);
        assert_eq!(bench.sent("ip"), [frames[0].clone(), frames[3].clone()]);
        assert_eq!(bench.sent("rest"), [frames[2].clone()]);
        assert_eq!(
            bench.read("c.counts"),
            "1\t12/0806\n2\t12/0800 14/4?\n1\t-\n0\t-\n"
        );
        assert_eq!(bench.read("c.pattern1"), "12/0800 14/4?");
        bench.write("c.reset_counts", "");
        assert!(bench.read("c.counts").starts_with("0\t12/0806"));
    }

    #[test]
    fn packets_that_no_pattern_matches_are_dropped() {
        let bench = Bench::new("FromDevice(in) -> Classifier(12/0806) -> ToDevice(arp)");
        bench.arrive("in", &ethernet(0x0800, &[]));
        bench.arrive("in", &[1, 2, 3]);
        bench.run();
        assert!(bench.sent("arp").is_empty());
    }

    #[test]
    fn every_output_needs_a_pattern_and_every_pattern_an_output() {
        assert_eq!(
            Bench::errors("Idle -> c :: Classifier(12/0806, 12/08, x) -> Idle; c[1] -> Idle"),
            "config:1: While configuring 'c :: Classifier':\n  \
             need 2 arguments, one per output port\n"
        );
        assert_eq!(
            Bench::errors("Idle -> c :: Classifier(12/0806, x) -> Idle; c[1] -> Idle"),
            "config:1: While configuring 'c :: Classifier':\n  \
             pattern 1: expected a digit\n"
        );
    }
}
