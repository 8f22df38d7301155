//! Whether all that is declared means something.

use std::collections::{BTreeMap, BTreeSet};

use sprat_switch::port::PortSpec;

use super::{Desired, Function, Mistake, Part, ring_name};
use crate::flows::FlowRule;

fn mistake(place: impl Into<String>, what: impl Into<String>) -> Mistake {
    Mistake {
        place: place.into(),
        what: what.into(),
    }
}

/// Longest name of a function, tenant or port.
const NAME_LIMIT: usize = 32;

/// Most instances of a function.
const MOST_REPLICAS: u32 = 64;

impl Desired {
    /// Checks that all names mean something and that nothing is joined twice.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Mistake> {
        for (name, function) in &self.functions {
            let place = format!("functions.{name}");
            check_name(&place, name)?;
            check_name(&format!("{place}.tenant"), &function.tenant)?;
            if let Some(lane) = &function.lane {
                check_name(&format!("{place}.lane"), lane)?;
            }
            self.check_dedicated(&place, name, function)?;
            if self.ports.contains_key(name) {
                return Err(mistake(place, "a port has this name too"));
            }
            if !(1..=MOST_REPLICAS).contains(&function.replicas) {
                let what = format!("expected 1 to {MOST_REPLICAS}, found {}", function.replicas);
                return Err(mistake(format!("{place}.replicas"), what));
            }
            if function.idle == 0 {
                let what = "expected a number of seconds, found 0";
                return Err(mistake(format!("{place}.idle"), what));
            }
            let mut devices = BTreeSet::new();
            if let Some(twice) = function
                .devices
                .iter()
                .find(|device| !devices.insert(*device))
            {
                let what = format!("{twice} is named twice");
                return Err(mistake(format!("{place}.devices"), what));
            }
        }
        for (name, spec) in &self.ports {
            let place = format!("ports.{name}");
            check_name(&place, name)?;
            if let Some(ring) = ring_name(spec) {
                check_name(&place, ring)?;
                let named = self.ports.values().filter(|other| *other == spec).count();
                if named != 2 {
                    let what = format!("a ring has two ports, and {spec} has {named}");
                    return Err(mistake(place, what));
                }
            } else {
                check_port(spec).map_err(|what| mistake(place, what))?;
            }
        }
        for name in &self.stopped {
            if !self.functions.contains_key(name) {
                return Err(mistake("stopped", format!("no function {name}")));
            }
        }
        for tenant in self.tenants.keys() {
            if self
                .functions
                .values()
                .all(|function| function.tenant != *tenant)
            {
                let what = "no function is this tenant's";
                return Err(mistake(format!("tenants.{tenant}"), what));
            }
        }
        let mut joined = BTreeMap::new();
        let mut join =
            |place: &str, end: String| match joined.insert(end.clone(), place.to_string()) {
                Some(other) => Err(mistake(
                    place,
                    format!("{end} is part of {other} already, and can be joined once"),
                )),
                None => Ok(()),
            };
        for (number, chain) in (1..).zip(&self.chains) {
            let place = format!("chain {number}");
            let mut lanes = BTreeSet::new();
            for port in [&chain.from, &chain.to] {
                if !self.ports.contains_key(port) {
                    return Err(self.unknown(&place, port, "a chain begins and ends with a port"));
                }
                join(&place, port.clone())?;
            }
            for alternatives in &chain.through {
                for (name, part) in alternatives {
                    let Some(function) = self.functions.get(name) else {
                        return Err(self.unknown(&place, name, "between its ends are functions"));
                    };
                    if function.devices.len() < 2 {
                        let what = format!("{name} has one device, and a chain needs two");
                        return Err(mistake(place, what));
                    }
                    if part.is_none() || part.share > 1_000_000 {
                        let what = format!("{name}: a share is 1 to 1000000");
                        return Err(mistake(place, what));
                    }
                    lanes.insert(function.lane_name());
                    for device in &function.devices[..2] {
                        join(&place, format!("{name}.{device}"))?;
                    }
                }
                check_parts(alternatives).map_err(|what| mistake(&place, what))?;
            }
            for function in &chain.any_source {
                if !self.functions.contains_key(function) {
                    let place = format!("{place}.any-source");
                    return Err(self.unknown(&place, function, "expected functions"));
                }
            }
            one_lane(&place, &lanes)?;
            if lanes.is_empty() {
                return Err(mistake(place, "between its ends is no function"));
            }
        }
        for (name, bridge) in &self.bridges {
            let place = format!("bridges.{name}");
            check_name(&place, name)?;
            let mut lanes = BTreeSet::new();
            for member in &bridge.members {
                match member.split_once('.') {
                    None if self.ports.contains_key(member) => {}
                    Some((function, device)) => {
                        let found = self.functions.get(function);
                        let found = found.filter(|found| found.devices.iter().any(|d| d == device));
                        let Some(found) = found else {
                            return Err(self.unknown(&place, member, "expected FUNCTION.DEVICE"));
                        };
                        lanes.insert(found.lane_name());
                    }
                    None => {
                        let expected = "members are ports and FUNCTION.DEVICE";
                        return Err(self.unknown(&place, member, expected));
                    }
                }
                join(&place, member.clone())?;
            }
            for (member, vlans) in &bridge.vlans {
                let place = format!("{place}.vlans.{member}");
                if !bridge.members.contains(member) {
                    return Err(mistake(place, "it is no member of the bridge"));
                }
                let mut numbers = vlans.untagged.iter().chain(&vlans.tagged);
                if let Some(wrong) = numbers.find(|number| !(1..=4094).contains(*number)) {
                    return Err(mistake(place, format!("expected 1 to 4094, found {wrong}")));
                }
            }
            for function in &bridge.any_source {
                if !self.functions.contains_key(function) {
                    let place = format!("{place}.any-source");
                    return Err(self.unknown(&place, function, "expected functions"));
                }
            }
            one_lane(&place, &lanes)?;
            if lanes.is_empty() {
                return Err(mistake(place, "no function is a member"));
            }
        }
        for (number, flow) in (1..).zip(&self.flows) {
            self.check_flow(&format!("flow {number}"), flow)?;
        }
        Ok(())
    }

    /// Checks that a dedicated function has its lane to itself.
    fn check_dedicated(&self, place: &str, name: &str, function: &Function) -> Result<(), Mistake> {
        if !function.dedicated {
            return Ok(());
        }
        let place = format!("{place}.dedicated");
        if function.lane.is_none() {
            return Err(mistake(
                place,
                "a dedicated function has a lane of its own: name it",
            ));
        }
        let lane = function.lane_name();
        let mut others = self.functions.iter();
        match others.find(|(other, its)| *other != name && its.lane_name() == lane) {
            Some((other, _)) => Err(mistake(place, format!("{other} is in the lane {lane} too"))),
            None => Ok(()),
        }
    }

    /// Checks what a flow rule names: places of one lane, where frames come in and may go.
    fn check_flow(&self, place: &str, flow: &FlowRule) -> Result<(), Mistake> {
        let mut lanes = BTreeSet::new();
        for end in std::iter::once(&flow.on).chain(flow.targets()) {
            let owner = match end.split_once('.') {
                None => self.lane_of_port(end),
                Some((function, device)) => {
                    let found = self.functions.get(function);
                    let found = found.filter(|found| found.devices.iter().any(|d| d == device));
                    if *end != flow.on && found.is_some_and(|found| found.replicas > 1) {
                        let what = format!("{function} has several instances: which is meant?");
                        return Err(mistake(place, what));
                    }
                    found.map(Function::lane_name)
                }
            };
            let Some(owner) = owner else {
                let expected = "expected a port that is joined, or FUNCTION.DEVICE";
                return Err(self.unknown(place, end, expected));
            };
            lanes.insert(owner);
        }
        if let Some(vlan) = flow.vlan.filter(|vlan| !(1..=4094).contains(vlan)) {
            return Err(mistake(
                place,
                format!("vlan: expected 1 to 4094, found {vlan}"),
            ));
        }
        one_lane(place, &lanes)
    }

    /// The other port of a ring, and how it was declared.
    pub(crate) fn other_end(&self, port: &str, ring: &str) -> Option<(&str, &str)> {
        let mut ports = self.ports.iter();
        let (name, spec) =
            ports.find(|(name, spec)| *name != port && ring_name(spec) == Some(ring))?;
        Some((name, spec))
    }

    /// The lane of the functions that a port leads to.
    pub(crate) fn lane_of_port(&self, port: &str) -> Option<String> {
        let chains = self.chains.iter();
        let chained = chains.filter(|chain| chain.from == port || chain.to == port);
        let chained = chained.flat_map(|chain| chain.through.iter().flat_map(BTreeMap::keys));
        let bridges = self.bridges.values();
        let bridged = bridges.filter(|bridge| bridge.members.iter().any(|member| member == port));
        let bridged = bridged.flat_map(|bridge| &bridge.members);
        let bridged = bridged.filter_map(|member| member.split_once('.'));
        let bridged = bridged.map(|(function, _)| function);
        let mut functions = chained.map(String::as_str).chain(bridged);
        functions.find_map(|name| Some(self.functions.get(name)?.lane_name()))
    }

    /// An error about a name, with those that there are.
    fn unknown(&self, place: &str, name: &str, expected: &str) -> Mistake {
        let known = self.functions.keys().chain(self.ports.keys());
        let known: Vec<&str> = known.map(String::as_str).collect();
        let what = format!("`{name}`: {expected}; there are {}", known.join(", "));
        mistake(place, what)
    }
}

/// Checks that somebody gets what nobody asks for, and that no two functions ask for the same.
fn check_parts(parts: &BTreeMap<String, Part>) -> Result<(), String> {
    let names = || parts.keys().map(String::as_str).collect::<Vec<_>>();
    if !parts.is_empty() && parts.values().all(|part| part.share == 0) {
        return Err(format!(
            "{}: one has to have a share, for what nobody asks for",
            names().join(" and ")
        ));
    }
    for (number, (name, part)) in parts.iter().enumerate() {
        for (other, its) in parts.iter().skip(number + 1) {
            let alike = |network| its.prefixes.contains(network);
            if let Some(network) = part.prefixes.iter().find(|network| alike(*network)) {
                return Err(format!("{name} and {other} both ask for {network}"));
            }
            if let (Some(one), Some(two)) = (part.hashes, its.hashes)
                && one.0 <= two.1
                && two.0 <= one.1
            {
                return Err(format!(
                    "{name} and {other} both ask for hashes: {one} and {two} have some in common"
                ));
            }
        }
    }
    Ok(())
}

fn one_lane(place: &str, lanes: &BTreeSet<String>) -> Result<(), Mistake> {
    let names: Vec<&str> = lanes.iter().map(String::as_str).collect();
    match names.len() {
        0 | 1 => Ok(()),
        _ => {
            let what = format!(
                "lanes are kept apart, and it joins {}: two ports `ring:NAME` lead from one to the \
                 other",
                names.join(" and ")
            );
            Err(mistake(place, what))
        }
    }
}

/// Checks that a lane can have such a port, whether or not the interface is there.
fn check_port(spec: &str) -> Result<(), String> {
    let kind = spec.split_once(':').map(|(kind, _)| kind);
    match PortSpec::parse(spec) {
        Err(wrong) if matches!(kind, Some("tap" | "packet" | "xdp")) => Err(wrong),
        Ok(port) if !port.is_user() => Ok(()),
        _ => Err(format!(
            "expected tap:INTERFACE, packet:INTERFACE, xdp:INTERFACE or ring:NAME, found `{spec}`"
        )),
    }
}

fn check_name(place: &str, name: &str) -> Result<(), Mistake> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > NAME_LIMIT || !name.chars().all(fits) {
        let what = format!("expected up to {NAME_LIMIT} letters, digits, - and _, found `{name}`");
        return Err(mistake(place, what));
    }
    Ok(())
}
