//! What is to run: functions, the ports they lead to, and how both are joined.
//!
//! A person writes it as one TOML file ([`crate::file`]). Once read it holds everything that a lane
//! needs, the text of configurations included: a file that changes later changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What is to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Functions by name.
    pub functions: BTreeMap<String, Function>,
    /// What each port is, by name, as `sprat run --port` takes it.
    pub ports: BTreeMap<String, String>,
    /// Chains of functions between two ports.
    pub chains: Vec<Chain>,
    /// Bridges by name.
    pub bridges: BTreeMap<String, Bridge>,
    /// Functions that are not to run for now.
    #[serde(default)]
    pub stopped: BTreeSet<String>,
}

/// A function: one program, as one instance or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// What runs.
    pub program: Program,
    /// Its network devices. In a chain frames enter by the first and leave by the second.
    pub devices: Vec<String>,
    /// Its parameters.
    pub parameters: Vec<(String, String)>,
    /// Bytes of heap, where the program's own wish is not enough.
    pub memory: Option<u64>,
    /// Whose it is: functions of different tenants never share a lane.
    pub tenant: String,
    /// How many instances it has.
    pub replicas: u32,
    /// When an instance that ended is replaced.
    pub restart: Restart,
    /// When it begins to run.
    pub boot: Boot,
}

/// What runs in an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// A Click configuration, in the middlebox image.
    Click {
        /// What it is called in messages.
        name: String,
        /// The text.
        text: String,
    },
    /// An image of its own.
    Image {
        /// Where it is.
        path: String,
        /// The build id it had when it was declared.
        build: String,
    },
}

/// When an instance that ended is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// However it ended.
    #[default]
    Always,
    /// Unless it exited with status 0.
    OnFailure,
    /// It is not.
    Never,
}

/// When a function begins to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// At once.
    #[default]
    Now,
    /// When a frame comes for it; that frame is not lost.
    FirstFrame,
}

/// An ordered list of functions between two ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The port at its beginning.
    pub from: String,
    /// The functions at each place, and their shares of the traffic.
    pub through: Vec<BTreeMap<String, u32>>,
    /// The port at its end.
    pub to: String,
}

/// A learning bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Its members: ports, and devices of functions as `FUNCTION.DEVICE`.
    pub members: Vec<String>,
    /// What VLANs members are in that are not in the default one alone.
    pub vlans: BTreeMap<String, Vlans>,
    /// Functions that may send from addresses that are not their own.
    pub any_source: BTreeSet<String>,
}

/// The VLANs of a bridge's member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vlans {
    /// The one whose frames have no tag here.
    pub untagged: Option<u16>,
    /// Those whose frames have one.
    #[serde(default)]
    pub tagged: Vec<u16>,
}

/// What is wrong with what was declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Mistake {
    /// Where: the key.
    pub place: String,
    /// What, and what was expected.
    pub what: String,
}

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
            if self.ports.contains_key(name) {
                return Err(mistake(place, "a port has this name too"));
            }
            if !(1..=MOST_REPLICAS).contains(&function.replicas) {
                let what = format!("expected 1 to {MOST_REPLICAS}, found {}", function.replicas);
                return Err(mistake(format!("{place}.replicas"), what));
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
        for name in self.ports.keys() {
            check_name(&format!("ports.{name}"), name)?;
        }
        for name in &self.stopped {
            if !self.functions.contains_key(name) {
                return Err(mistake("stopped", format!("no function {name}")));
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
            let mut tenants = BTreeSet::new();
            for port in [&chain.from, &chain.to] {
                if !self.ports.contains_key(port) {
                    return Err(self.unknown(&place, port, "a chain begins and ends with a port"));
                }
                join(&place, port.clone())?;
            }
            for alternatives in &chain.through {
                for (name, share) in alternatives {
                    let Some(function) = self.functions.get(name) else {
                        return Err(self.unknown(&place, name, "between its ends are functions"));
                    };
                    if function.devices.len() < 2 {
                        let what = format!("{name} has one device, and a chain needs two");
                        return Err(mistake(place, what));
                    }
                    if !(1..=1_000_000).contains(share) {
                        return Err(mistake(place, format!("{name}: a share is 1 or more")));
                    }
                    tenants.insert(&function.tenant);
                    for device in &function.devices[..2] {
                        join(&place, format!("{name}.{device}"))?;
                    }
                }
            }
            one_tenant(&place, &tenants)?;
            if tenants.is_empty() {
                return Err(mistake(place, "between its ends is no function"));
            }
        }
        for (name, bridge) in &self.bridges {
            let place = format!("bridges.{name}");
            check_name(&place, name)?;
            let mut tenants = BTreeSet::new();
            for member in &bridge.members {
                match member.split_once('.') {
                    None if self.ports.contains_key(member) => {}
                    Some((function, device)) => {
                        let found = self.functions.get(function);
                        let found = found.filter(|found| found.devices.iter().any(|d| d == device));
                        let Some(found) = found else {
                            return Err(self.unknown(&place, member, "expected FUNCTION.DEVICE"));
                        };
                        tenants.insert(&found.tenant);
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
            one_tenant(&place, &tenants)?;
            if tenants.is_empty() {
                return Err(mistake(place, "no function is a member"));
            }
        }
        Ok(())
    }

    /// An error about a name, with those that there are.
    fn unknown(&self, place: &str, name: &str, expected: &str) -> Mistake {
        let known = self.functions.keys().chain(self.ports.keys());
        let known: Vec<&str> = known.map(String::as_str).collect();
        let what = format!("`{name}`: {expected}; there are {}", known.join(", "));
        mistake(place, what)
    }

    /// All tenants.
    #[must_use]
    pub fn tenants(&self) -> BTreeSet<String> {
        let tenants = self.functions.values();
        tenants.map(|function| function.tenant.clone()).collect()
    }

    /// What a tenant's lane is to do: its functions, and what they are joined by.
    #[must_use]
    pub fn part(&self, tenant: &str) -> Self {
        let functions: BTreeMap<_, _> = self
            .functions
            .iter()
            .filter(|(_, function)| function.tenant == tenant)
            .map(|(name, function)| (name.clone(), function.clone()))
            .collect();
        let chains: Vec<_> = self
            .chains
            .iter()
            .filter(|chain| {
                let mut names = chain.through.iter().flat_map(BTreeMap::keys);
                names.any(|name| functions.contains_key(name))
            })
            .cloned()
            .collect();
        let own = |member: &String| {
            let function = member.split_once('.').map(|(function, _)| function);
            function.is_some_and(|function| functions.contains_key(function))
        };
        let bridges: BTreeMap<_, _> = self
            .bridges
            .iter()
            .filter(|(_, bridge)| bridge.members.iter().any(own))
            .map(|(name, bridge)| (name.clone(), bridge.clone()))
            .collect();
        let ends = chains.iter().flat_map(|chain| [&chain.from, &chain.to]);
        let members = bridges.values().flat_map(|bridge| &bridge.members);
        let used: BTreeSet<&String> = ends.chain(members).collect();
        let ports = self.ports.iter().filter(|(name, _)| used.contains(name));
        let ports = ports.map(|(name, port)| (name.clone(), port.clone()));
        let stopped = self.stopped.iter();
        let stopped = stopped.filter(|name| functions.contains_key(*name));
        Self {
            ports: ports.collect(),
            stopped: stopped.cloned().collect(),
            functions,
            chains,
            bridges,
        }
    }
}

fn one_tenant(place: &str, tenants: &BTreeSet<&String>) -> Result<(), Mistake> {
    let names: Vec<&str> = tenants.iter().map(|tenant| tenant.as_str()).collect();
    match names.len() {
        0 | 1 => Ok(()),
        _ => {
            let what = format!(
                "tenants are kept apart, and it joins {}",
                names.join(" and ")
            );
            Err(mistake(place, what))
        }
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

/// The names of a function's instances.
#[must_use]
pub fn instance_names(function: &str, replicas: u32) -> Vec<String> {
    match replicas {
        1 => vec![function.into()],
        several => (1..=several)
            .map(|number| format!("{function}.{number}"))
            .collect(),
    }
}
