//! Connections between the elements of two stages, and the ports of groups.

use alloc::format;
use alloc::vec::Vec;

use super::super::program::{Connection, End};
use super::super::syntax::{Link, Ports};
use super::Reader;
use super::elements::Place;

/// The most connections a configuration may have, before and after expansion: a few ranges such as
/// `[0-65535]` could otherwise ask for billions.
pub(in super::super) const MOST_CONNECTIONS: usize = 1 << 18;

/// Ports of one node on one side of a link.
struct Stretch {
    node: usize,
    ports: Ports,
    /// The configuration names no ports here.
    unnamed: bool,
}

impl Stretch {
    fn new(node: usize, ports: Option<&Ports>) -> Self {
        Self {
            node,
            ports: ports.cloned().unwrap_or_else(|| Ports::one(0)),
            unnamed: ports.is_none(),
        }
    }
}

/// How many ports there are.
fn total(stretches: &[Stretch]) -> usize {
    stretches.iter().map(|stretch| stretch.ports.count()).sum()
}

/// The ports in order.
fn ends(stretches: &[Stretch]) -> impl Iterator<Item = End> + Clone + '_ {
    stretches.iter().flat_map(|stretch| {
        stretch.ports.iter().map(|port| End {
            node: stretch.node,
            port,
        })
    })
}

/// Lets the first stretch that is open, or without named ports, have `missing` ports more.
fn widen(stretches: &mut [Stretch], missing: usize) {
    let open = |stretch: &&mut Stretch| stretch.ports.open || stretch.unnamed;
    if let Some(stretch) = stretches.iter_mut().find(open) {
        // More than there can be are reported as too few.
        stretch.ports.extend(missing);
    }
}

impl Reader<'_> {
    /// Makes the connections of a link between two stages, as far as they are right.
    pub(super) fn connect(&mut self, left: &[Place], link: &Link, right: &[Place]) {
        let leaving = |place: &Place| Stretch::new(place.from, place.outputs.as_ref());
        let entering = |place: &Place| Stretch::new(place.to, place.inputs.as_ref());
        let mut from: Vec<Stretch> = left.iter().map(leaving).collect();
        let mut to: Vec<Stretch> = right.iter().map(entering).collect();
        let (outputs, inputs) = (total(&from), total(&to));
        let open = |stretches: &[Stretch]| stretches.iter().filter(|s| s.ports.open).count();
        let (mut wide_from, mut wide_to) = (open(&from) > 0, open(&to) > 0);
        if open(&from) + open(&to) > 1 {
            let message = "at most one expandable port allowed per connection";
            self.error(message);
            let narrowed = if inputs < outputs {
                &mut wide_from
            } else {
                &mut wide_to
            };
            *narrowed = false;
        }
        if link.pairwise {
            // An element alone and without ports has as many as the other side.
            let alone = |stretches: &[Stretch]| matches!(stretches, [only] if only.unnamed);
            wide_from |= alone(&from) && inputs > 1;
            wide_to |= alone(&to) && outputs > 1;
        }
        if wide_from {
            widen(&mut from, inputs.saturating_sub(outputs));
        }
        if wide_to {
            widen(&mut to, outputs.saturating_sub(inputs));
        }
        let paired = (outputs > 1 || wide_from) && (inputs > 1 || wide_to);
        if paired && !link.pairwise {
            let message = "syntax error: many-to-many connections require '=>'";
            self.error(message);
        }
        if paired && total(&from) != total(&to) {
            let or_more = |wide| if wide { " or more" } else { "" };
            let message = format!(
                "connection mismatch: {outputs}{} outputs connected to {inputs}{} inputs",
                or_more(wide_from),
                or_more(wide_to)
            );
            self.error(message);
        }
        // Where ports are not paired, one side has at most one.
        let (outputs, inputs) = (total(&from), total(&to));
        let count = if paired {
            outputs.min(inputs)
        } else {
            outputs * inputs
        };
        if self.connections_made + count > MOST_CONNECTIONS {
            return self.error(format!("more than {MOST_CONNECTIONS} connections"));
        }
        self.connections_made += count;
        let make = |(from, to)| Connection {
            from,
            to,
            at: link.at.clone(),
        };
        let connections = &mut self.frame().scope.connections;
        if paired {
            connections.extend(ends(&from).zip(ends(&to)).map(make));
        } else if count > 0 {
            let to = ends(&to);
            let pairs = ends(&from).flat_map(|from| to.clone().map(move |to| (from, to)));
            connections.extend(pairs.map(make));
        }
    }
}
