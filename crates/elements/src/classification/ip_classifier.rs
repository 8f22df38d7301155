use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::dispatch::{Dispatch, Rule, ip_pattern, patterns};
use super::ip_filter::ip_headers;
use super::{Layout, pattern_handlers};

pub(super) const IP_CLASSIFIER: Class = Class::of::<IpClassifier>("IPClassifier")
    .ports("1/-")
    .processing("h/h")
    .reconfigurable();

/// IPClassifier: sorts IP packets by their contents.
///
/// ```click
/// IPClassifier(PATTERN_1, ..., PATTERN_N)
/// ```
///
/// Has an output for each pattern. Patterns are tried in order, and a packet leaves by the output
/// of the first one that matches; a packet that none matches is dropped. The packets' network
/// header must be set: CheckIPHeader and MarkIPHeader do that. A warning names the outputs that
/// no packet can reach.
///
/// Patterns are written as for IPFilter, whose page describes them. What a packet costs does not
/// grow with their number.
///
/// ```click
/// IPClassifier(10.0.0.0/24 and syn,
///              10.0.0.0/24 and fin ack,
///              dst tcp port 8000 or 8080,
///              -)
/// ```
///
/// Handlers: `program` (read) shows the patterns as steps that compare four bytes each;
/// `pattern0`, `pattern1`, ... (read) each pattern; `counts` (read) the packets each pattern
/// took, `-` standing for none of them; `reset_counts` (write); `memory` (read) the bytes of the
/// compiled program.
///
/// See Click's manual page IPClassifier(n).
struct IpClassifier {
    dispatch: Dispatch,
}

impl Configure for IpClassifier {
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
            if let Some(expression) = ip_pattern(arguments, number, &text) {
                rules.push(Rule {
                    text,
                    expression,
                    output: Some(number),
                });
            }
        }
        let dispatch = Dispatch::new(rules, Layout::Ip, arguments)?;
        dispatch.warn_of_unused(arguments);
        Ok(Self { dispatch })
    }
}

impl Element for IpClassifier {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        self.dispatch.send(context, batch, ip_headers);
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
    use crate::testing::Bench;

    #[test]
    fn patterns_are_shown_one_by_one() {
        let bench = Bench::new("Idle -> c :: IPClassifier(tcp && syn, -) -> Idle; c[1] -> Idle");
        assert_eq!(bench.read("c.pattern0"), "tcp && syn");
        assert_eq!(bench.read("c.pattern1"), "-");
    }
}
