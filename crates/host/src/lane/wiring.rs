//! Joining ports as is declared: chains, bridges and flow rules.

use std::collections::BTreeMap;

use sprat_switch::switch::{Membership, PortId, Selection, Side, Vlan};

use super::{Hop, Lane, LaneBridge, LaneJoin};
use crate::desired::{Chain, Desired, Part, device_address, instance_names};

/// A port at a side of a join: its share of conversations, and what it asks for.
struct Joined {
    port: PortId,
    share: u32,
    asks: Selection,
}

impl Lane {
    /// Joins ports as is declared, and leaves alone what is so already.
    pub(super) fn rewire(&mut self, desired: &Desired) {
        let mut joins: BTreeMap<Hop, [Vec<Joined>; 2]> = BTreeMap::new();
        for chain in &desired.chains {
            // Each hop is named after the chain's beginning, so that it is known again.
            let mut left = self.port(&chain.from);
            let mut number = 0;
            let mut hop = |left: Vec<Joined>, right: Vec<Joined>| {
                joins.insert((chain.from.clone(), number), [left, right]);
                number += 1;
            };
            for alternatives in &chain.through {
                hop(left, self.devices(desired, alternatives, 0));
                left = self.devices(desired, alternatives, 1);
            }
            hop(left, self.port(&chain.to));
        }
        let bridges = self.memberships(desired);
        // First out, then in: a port may change its place.
        for (name, join) in &mut self.joins {
            let sides = joins.get(name);
            let stays = |port: &PortId| {
                let mut sides = sides.into_iter().flatten().flatten();
                sides.any(|other| other.port == *port)
            };
            for port in join.members.extract_if(.., |port| !stays(port)) {
                self.switch.leave(port);
            }
        }
        for (name, bridge) in &mut self.bridges {
            let members = bridges.get(name);
            let stays = |port: PortId| {
                let mut members = members.into_iter().flatten();
                members.any(|(other, _)| *other == port)
            };
            for (port, _) in bridge.members.extract_if(.., |(port, _)| !stays(*port)) {
                self.switch.leave(port);
            }
        }
        for chain in &desired.chains {
            self.set_addresses(desired, chain);
        }
        for (name, sides) in joins {
            let line = self.lines.get(&name.0);
            let join = self.joins.entry(name.clone()).or_insert_with(|| {
                let id = self.switch.add_join();
                if let Some(line) = line {
                    self.switch.align(id, *line, name.1);
                }
                LaneJoin {
                    id,
                    members: Vec::new(),
                }
            });
            for (side, members) in [Side::Left, Side::Right].into_iter().zip(sides) {
                for Joined { port, share, asks } in members {
                    self.switch.join(join.id, side, port, share);
                    self.switch.select(join.id, side, port, asks);
                    if !join.members.contains(&port) {
                        join.members.push(port);
                    }
                }
            }
        }
        for (name, members) in bridges {
            let bridge = self.bridges.entry(name).or_insert_with(|| LaneBridge {
                id: self.switch.add_bridge(),
                members: Vec::new(),
            });
            for (port, membership) in members {
                let known = bridge.members.iter_mut().find(|(known, _)| *known == port);
                match known {
                    Some((_, known)) if *known == membership => continue,
                    Some((_, known)) => *known = membership.clone(),
                    None => bridge.members.push((port, membership.clone())),
                }
                self.switch.bridge(bridge.id, port, membership);
            }
        }
    }

    /// Tells the switch which addresses the functions of a chain have, so that none sends from
    /// another's.
    fn set_addresses(&mut self, desired: &Desired, chain: &Chain) {
        let line = match self.lines.get(&chain.from) {
            Some(line) => *line,
            None => self.switch.add_line(),
        };
        self.lines.insert(chain.from.clone(), line);
        let mut own = Vec::new();
        for (place, alternatives) in (1..).zip(&chain.through) {
            for name in alternatives.keys() {
                let devices = desired.functions.get(name).map(|what| &what.devices);
                let devices = devices.into_iter().flatten();
                own.extend(devices.map(|device| (device_address(name, device), place)));
            }
        }
        let trusted = chain
            .any_source
            .iter()
            .map(|name| (name.clone(), 1.into()))
            .collect();
        let trusted = [0, 1].map(|device| self.devices(desired, &trusted, device));
        let trusted = trusted.into_iter().flatten().map(|joined| joined.port);
        self.switch.set_addresses(line, &own, trusted.collect());
    }

    /// Has the switch keep flow rules. What a rule has counted stays, where it is the same.
    pub(super) fn set_flows(&mut self, desired: &Desired) {
        let (mut rules, mut places) = (Vec::new(), Vec::new());
        for (place, flow) in desired.flows.iter().enumerate() {
            for on in self.ports_of(desired, &flow.on) {
                let find = |name: &str| self.ports_of(desired, name).first().copied();
                if let Some(rule) = flow.rule(on, find) {
                    rules.push(rule);
                    places.push(place);
                }
            }
        }
        // Setting them forgets which flows are known.
        if self.switch.rules().map(|(rule, _)| rule).ne(&rules) {
            self.switch.set_rules(rules);
        }
        self.flows = places;
    }

    /// A port, or the ports of a function's device, as FUNCTION.DEVICE.
    fn ports_of(&self, desired: &Desired, name: &str) -> Vec<PortId> {
        let Some((function, device)) = name.split_once('.') else {
            return self
                .ports
                .get(name)
                .map(|port| port.id)
                .into_iter()
                .collect();
        };
        let what = desired.functions.get(function);
        let place = what.and_then(|what| what.devices.iter().position(|d| d == device));
        let units = instance_names(function, what.map_or(0, |what| what.replicas)).into_iter();
        let units = units.filter_map(|unit| self.units.get(&unit));
        units
            .filter_map(|unit| self.switch.devices(unit.place).nth(place?))
            .collect()
    }

    fn port(&self, name: &str) -> Vec<Joined> {
        let port = self.ports.get(name).map(|port| Joined {
            port: port.id,
            share: 1,
            asks: Selection::default(),
        });
        port.into_iter().collect()
    }

    /// The ports of all instances of functions that share a place in a chain: their first devices, or
    /// their second.
    fn devices(
        &self,
        desired: &Desired,
        alternatives: &BTreeMap<String, Part>,
        device: usize,
    ) -> Vec<Joined> {
        let mut ports = Vec::new();
        for (name, part) in alternatives {
            let replicas = desired.functions.get(name).map_or(0, |what| what.replicas);
            for unit in instance_names(name, replicas) {
                let unit = self.units.get(&unit);
                let port = unit.and_then(|unit| self.switch.devices(unit.place).nth(device));
                // A share of the whole is divided among replicas without a rest.
                let each = part.share.saturating_mul(64) / replicas.max(1);
                ports.extend(port.map(|port| Joined {
                    port,
                    share: each.max(part.share.min(1)),
                    asks: part.selection(),
                }));
            }
        }
        ports
    }

    fn memberships(&self, desired: &Desired) -> BTreeMap<String, Vec<(PortId, Membership)>> {
        let mut bridges = BTreeMap::new();
        for (name, bridge) in &desired.bridges {
            let mut members = Vec::new();
            for member in &bridge.members {
                let mut membership = Membership::default();
                if let Some(vlans) = bridge.vlans.get(member) {
                    membership.untagged = vlans.untagged.and_then(Vlan::new);
                    membership.tagged =
                        vlans.tagged.iter().copied().filter_map(Vlan::new).collect();
                }
                if let Some((function, device)) = member.split_once('.')
                    && !bridge.any_source.contains(function)
                {
                    membership.sources = Some(vec![device_address(function, device)]);
                }
                let ports = self.ports_of(desired, member).into_iter();
                members.extend(ports.map(|port| (port, membership.clone())));
            }
            bridges.insert(name.clone(), members);
        }
        bridges
    }
}
