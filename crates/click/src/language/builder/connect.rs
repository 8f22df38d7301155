//! Connections between the elements of two stages, and the ports of groups.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::collections::{Map, sort};

use super::super::program::{Connection, End, UsedPorts};
use super::super::syntax::{Link, Ports};
use super::operands::Place;
use super::{Builder, GAPS, Tunnel};
use crate::diagnostics::Landmark;

/// The most connections a configuration may have, before and after expansion: a few ranges such as
/// `[0-65535]` could otherwise ask for billions.
pub(in super::super) const MOST_CONNECTIONS: usize = 1 << 18;

/// Ports of one node on one side of a link.
struct Stretch {
    node: usize,
    ports: Ports,
    /// The configuration names no ports here: they may be as many as the other side has.
    open: bool,
}

impl Stretch {
    fn new(node: usize, ports: Option<&Ports>, expandable: bool) -> Self {
        let open = expandable && ports.is_none();
        Self {
            node,
            ports: ports.cloned().unwrap_or_else(|| Ports::one(0)),
            open,
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

/// Gives the one open stretch, if there is just one, enough ports to make `wanted` in all.
fn widen(stretches: &mut [Stretch], wanted: usize) {
    let missing = wanted.saturating_sub(total(stretches));
    let mut open = stretches.iter_mut().filter(|stretch| stretch.open);
    if missing > 0
        && let (Some(stretch), None) = (open.next(), open.next())
        && let Some(ports) = Ports::first(stretch.ports.count() + missing)
    {
        stretch.ports = ports;
    }
}

impl Builder<'_> {
    /// Makes the connections of a link between two stages.
    pub(super) fn connect(&mut self, left: &[Place], link: &Link, right: &[Place]) {
        let leaving =
            |place: &Place| Stretch::new(place.from, place.outputs.as_ref(), place.expandable);
        let entering =
            |place: &Place| Stretch::new(place.to, place.inputs.as_ref(), place.expandable);
        let mut from: Vec<Stretch> = left.iter().map(leaving).collect();
        let mut to: Vec<Stretch> = right.iter().map(entering).collect();
        if link.pairwise {
            widen(&mut from, total(&to));
            widen(&mut to, total(&from));
        }
        let (outputs, inputs) = (total(&from), total(&to));
        if link.pairwise && outputs != inputs {
            let message =
                format!("connection mismatch: {outputs} outputs connected to {inputs} inputs");
            return self.error(&link.at, message);
        }
        if !link.pairwise && outputs > 1 && inputs > 1 {
            let message = "many-to-many connections require '=>'";
            return self.error(&link.at, message.to_string());
        }
        // With `->` one side has at most one port, so the product is the number of connections.
        let count = if link.pairwise {
            outputs
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
        if link.pairwise {
            connections.extend(ends(&from).zip(ends(&to)).map(make));
        } else if count > 0 {
            let to = ends(&to);
            let pairs = ends(&from).flat_map(|from| to.clone().map(move |to| (from, to)));
            connections.extend(pairs.map(make));
        }
    }

    /// Once the statement around groups is done, each of their ports must be in use on both sides.
    pub(super) fn check_groups(&mut self, groups: &[(Tunnel, Landmark)]) {
        let scope = &self.frame().scope;
        let first = groups
            .iter()
            .map(|(tunnel, _)| tunnel.first)
            .min()
            .unwrap_or(0);
        let mut used: Map<usize, (UsedPorts, UsedPorts)> = Map::new();
        for (tunnel, _) in groups {
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
        for (tunnel, at) in groups {
            let (outside, inside) = used.remove(&tunnel.input).unwrap_or_default();
            self.check_group("input", &inside, &outside, at);
            let (inside, outside) = used.remove(&tunnel.output).unwrap_or_default();
            self.check_group("output", &inside, &outside, at);
        }
    }

    fn check_group(&mut self, side: &str, inside: &UsedPorts, outside: &UsedPorts, at: &Landmark) {
        // Nothing around the group at all on this side: the chain begins or ends with it.
        let count = if outside.count() == 0 {
            inside.count()
        } else {
            inside.count().max(outside.count())
        };
        let mut unused: Vec<usize> = inside.gaps(count).take(GAPS).collect();
        unused.extend(outside.gaps(count).take(GAPS));
        sort(&mut unused);
        unused.dedup();
        for port in unused {
            self.error(at, format!("element group {side} {port} unused"));
        }
    }
}
