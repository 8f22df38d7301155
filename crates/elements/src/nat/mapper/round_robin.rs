use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use sprat_click::arguments::split_words;
use sprat_click::{Arguments, Class, Configuration, Rejected};

use super::{Mapped, Mapper, Request, class};
use crate::nat::flow_table::Outputs;
use crate::nat::input_spec::{ANY_OUTPUT, Rewriting};

/// RoundRobinIPMapper: has rewriters treat new flows one way after the other.
///
/// ```click
/// RoundRobinIPMapper(PATTERN1, ..., PATTERNn)
/// ```
///
/// Used by naming the element as an input specification of IPRewriter or its relatives. Each
/// PATTERN is `SADDR SPORT DADDR DPORT FOUTPUT ROUTPUT`, or the name of a pattern and the outputs,
/// as in IPRewriter. They take turns, one new flow each; one that has no address or port free is
/// passed over.
///
/// See Click's manual page RoundRobinIPMapper(n).
pub(in crate::nat) const ROUND_ROBIN_IP_MAPPER: Class = class("RoundRobinIPMapper");

struct RoundRobin {
    rewritings: Vec<Rewriting>,
    next: Cell<usize>,
}

pub(super) fn configure(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
) -> Result<Rc<dyn Mapper>, Rejected> {
    let texts = arguments.rest();
    match texts.len() {
        0 => {
            arguments.error("no patterns given");
        }
        1 => arguments.warning("only one pattern given"),
        _ => {}
    }
    let mut rewritings = Vec::new();
    for text in &texts {
        let surroundings = (arguments.names(), configuration);
        match Rewriting::parse(&split_words(text), &surroundings, ANY_OUTPUT) {
            Ok(rewriting) => rewritings.push(rewriting),
            Err(message) => {
                arguments.error(message);
            }
        }
    }
    arguments.finish()?;
    Ok(Rc::new(RoundRobin {
        rewritings,
        next: Cell::new(0),
    }))
}

impl Mapper for RoundRobin {
    fn map(&self, request: &Request<'_>) -> Option<Mapped> {
        let count = self.rewritings.len();
        (0..count).find_map(|_| {
            let place = self.next.get();
            self.next.set((place + 1) % count);
            self.rewritings[place].apply(request)
        })
    }

    fn outputs(&self) -> Vec<Outputs> {
        self.rewritings
            .iter()
            .map(|rewriting| rewriting.outputs)
            .collect()
    }
}
