//! Connections between the elements of two stages, and the ports of groups.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::collections::Map;

use super::super::program::{Connection, End, UsedPorts};
use super::super::syntax::{Link, Ports};
use super::operands::Place;
use super::{Builder, GAPS, Group};
use crate::diagnostics::Landmark;

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

impl Builder<'_> {
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
            self.error(&link.at, message.to_string());
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
            self.error(&link.at, message.to_string());
        }
        if paired && total(&from) != total(&to) {
            let or_more = |wide| if wide { " or more" } else { "" };
            let message = format!(
                "connection mismatch: {outputs}{} outputs connected to {inputs}{} inputs",
                or_more(wide_from),
                or_more(wide_to)
            );
            self.error(&link.at, message);
        }
        // Where ports are not paired, one side has at most one.
        let (outputs, inputs) = (total(&from), total(&to));
        let count = if paired {
            outputs.min(inputs)
        } else {
            outputs * inputs
        };
        if self.connections_made + count > MOST_CONNECTIONS {
            return self.error(
                &link.at,
                format!("more than {MOST_CONNECTIONS} connections"),
            );
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

    /// Once the statement around groups is done, each of their ports must be in use on both sides.
    pub(super) fn check_groups(&mut self, groups: &[Group]) {
        let scope = &self.frame().scope;
        let first = groups
            .iter()
            .map(|(tunnel, ..)| tunnel.first)
            .min()
            .unwrap_or(0);
        let mut used: Map<usize, (UsedPorts, UsedPorts)> = Map::new();
        for (tunnel, ..) in groups {
            used.get_or_insert_with(tunnel.input, Default::default);
            used.get_or_insert_with(tunnel.output, Default::default);
        }
        for connection in &scope.connections[first..] {
            if let Some((entering, _)) = used.get_mut(&connection.to.node) {
                entering.insert(connection.to.port);
            }
            if let Some((_, leaving)) = used.get_mut(&connection.from.node) {
                leaving.insert(connection.from.port);
            }
        }
        for (tunnel, name, at) in groups {
            let (outside, inside) = used.remove(&tunnel.input).unwrap_or_default();
            self.check_group(("input", name), &inside, &outside, at);
            let (inside, outside) = used.remove(&tunnel.output).unwrap_or_default();
            self.check_group(("output", name), &inside, &outside, at);
        }
    }

    fn check_group(
        &mut self,
        (side, name): (&str, &str),
        inside: &UsedPorts,
        outside: &UsedPorts,
        at: &Landmark,
    ) {
        for port in inside.gaps(inside.count()).take(GAPS) {
            self.error(at, format!("'<anonymous group>' {side} {port} missing"));
        }
        // Ports in use within that nothing leads to, and the other way round.
        for port in outside.gaps(inside.count()).take(GAPS) {
            self.error(at, format!("'{name}' {side} {port} unused"));
        }
        for port in inside.gaps(outside.count()).take(GAPS) {
            if port >= inside.count() {
                self.error(at, format!("'{name}' has no {side} {port}"));
            }
        }
    }
}
