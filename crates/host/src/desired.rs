//! What is to run: functions, the ports they lead to, and how both are joined.
//!
//! A person writes it as one TOML file ([`crate::file`]). Once read it holds everything that a lane
//! needs, the text of configurations included: a file that changes later changes nothing.

mod check;
mod part;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::flows::FlowRule;
pub(crate) use part::PartWritten;
pub use part::{Hashes, Part};

/// What is to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Desired {
    /// Functions by name.
    pub functions: BTreeMap<String, Function>,
    /// What each port is, by name, as `sprat run --port` takes it.
    pub ports: BTreeMap<String, String>,
    /// Chains of functions between two ports.
    pub chains: Vec<Chain>,
    /// Bridges by name.
    pub bridges: BTreeMap<String, Bridge>,
    /// Flow rules: the first that fits a frame counts.
    #[serde(default)]
    pub flows: Vec<FlowRule>,
    /// What tenants may take of the machine, where that is limited.
    #[serde(default)]
    pub tenants: BTreeMap<String, Limits>,
    /// Functions that are not to run for now.
    #[serde(default)]
    pub stopped: BTreeSet<String>,
}

/// What all lanes of a tenant together may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processors, in thousandths of one.
    pub processors: Option<u32>,
}

/// A function: one program, as one instance or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Which of its tenant's lanes it runs in, where that has several. Lanes are joined by ports
    /// `ring:NAME`.
    #[serde(default)]
    pub lane: Option<String>,
    /// Whether its lane is its alone and never sleeps, so that no frame waits for a wake-up.
    #[serde(default)]
    pub dedicated: bool,
    /// How many instances it has.
    pub replicas: u32,
    /// When an instance that ended is replaced.
    pub restart: Restart,
    /// When it begins to run.
    pub boot: Boot,
    /// For how many seconds it may have no frame before it is put away, where it begins with one.
    #[serde(default = "Function::usual_idle")]
    pub idle: u32,
    /// Whether an instance hands over what it holds to the one that replaces it.
    #[serde(default = "Function::carries")]
    pub carry_state: bool,
}

impl Function {
    /// Seconds without a frame after which a function is put away, where nobody says otherwise.
    pub(crate) fn usual_idle() -> u32 {
        60
    }

    /// Functions hand over what they hold, where nobody says otherwise.
    pub(crate) fn carries() -> bool {
        true
    }

    /// The name of the lane that it runs in: `TENANT`, or `TENANT.LANE`.
    #[must_use]
    pub fn lane_name(&self) -> String {
        match &self.lane {
            Some(lane) => format!("{}.{lane}", self.tenant),
            None => self.tenant.clone(),
        }
    }
}

/// What runs in an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// At once.
    #[default]
    Now,
    /// When a frame comes for it; that frame is not lost.
    FirstFrame,
}

/// An ordered list of functions between two ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Chain {
    /// The port at its beginning.
    pub from: String,
    /// The functions at each place, and what each gets of the traffic.
    #[schema(value_type = Vec<BTreeMap<String, PartWritten>>)]
    pub through: Vec<BTreeMap<String, Part>>,
    /// The port at its end.
    pub to: String,
    /// Functions that may send from addresses of hosts and functions that they speak to.
    #[serde(default)]
    pub any_source: BTreeSet<String>,
}

/// A learning bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bridge {
    /// Its members: ports, and devices of functions as `FUNCTION.DEVICE`.
    pub members: Vec<String>,
    /// What VLANs members are in that are not in the default one alone.
    pub vlans: BTreeMap<String, Vlans>,
    /// Functions that may send from addresses that are not their own.
    pub any_source: BTreeSet<String>,
}

/// The VLANs of a bridge's member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

impl Desired {
    /// Changes what functions get at their place in a chain: those that are not there come to it, and
    /// those that get nothing leave it.
    ///
    /// # Errors
    /// They are not at one place.
    pub fn steer(&mut self, shares: &BTreeMap<String, Part>) -> Result<(), String> {
        for name in shares.keys() {
            self.known(name)?;
        }
        let mut places = (1..).zip(&mut self.chains).flat_map(|(number, chain)| {
            let through = chain.through.iter_mut();
            through.map(move |place| (number, place))
        });
        let named =
            |place: &BTreeMap<String, Part>| place.keys().any(|name| shares.contains_key(name));
        let Some((number, place)) = places.find(|(_, place)| named(place)) else {
            let names: Vec<&str> = shares.keys().map(String::as_str).collect();
            return Err(format!("no chain has {}", names.join(" or ")));
        };
        if let Some((other, _)) = places.find(|(_, place)| named(place)) {
            let names: Vec<&str> = shares.keys().map(String::as_str).collect();
            let names = names.join(" and ");
            return Err(match other == number {
                true => format!("{names} stand one after another in chain {number}"),
                false => format!("{names} stand in chains {number} and {other}"),
            });
        }
        for (name, part) in shares {
            match part.is_none() {
                true => place.remove(name),
                false => place.insert(name.clone(), part.clone()),
            };
        }
        match place.is_empty() {
            true => Err(format!(
                "nobody would be left at this place of chain {number}"
            )),
            false => Ok(()),
        }
    }

    /// A function, or which there are.
    pub(crate) fn known(&self, name: &str) -> Result<&Function, String> {
        self.functions.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.functions.keys().map(String::as_str).collect();
            format!("no function {name}; there are: {}", known.join(", "))
        })
    }

    /// The names of all lanes.
    #[must_use]
    pub fn lanes(&self) -> BTreeSet<String> {
        let functions = self.functions.values();
        functions.map(Function::lane_name).collect()
    }

    /// What a lane is to do: its functions, and what they are joined by.
    #[must_use]
    pub fn part(&self, lane: &str) -> Self {
        let functions: BTreeMap<_, _> = self
            .functions
            .iter()
            .filter(|(_, function)| function.lane_name() == lane)
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
        let flows = self.flows.iter();
        let flows = flows.filter(|flow| used.contains(&flow.on) || own(&flow.on));
        Self {
            flows: flows.cloned().collect(),
            ports: ports.collect(),
            stopped: stopped.cloned().collect(),
            functions,
            chains,
            bridges,
            // Lanes do not limit themselves.
            tenants: BTreeMap::new(),
        }
    }
}

/// Whose a lane is.
pub(crate) fn tenant_of(lane: &str) -> &str {
    lane.split_once('.').map_or(lane, |(tenant, _)| tenant)
}

/// The name of the rings that a port is an end of, where it is: what was declared as `ring:NAME`.
#[must_use]
pub fn ring_name(spec: &str) -> Option<&str> {
    spec.strip_prefix("ring:")
}

/// A device's Ethernet address: the same wherever and whenever the function runs. Replicas have it
/// in common, for they stand for one function.
#[must_use]
pub fn device_address(function: &str, device: &str) -> [u8; 6] {
    // FNV-1a, whose figures are fixed.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in function.bytes().chain([0]).chain(device.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let [a, b, c, d, e, ..] = (hash ^ (hash >> 40)).to_le_bytes();
    [2, a, b, c, d, e]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Two places of one chain, and a function at none.
    fn chained() -> Desired {
        let function = Function {
            program: Program::Click {
                name: "pass.click".into(),
                text: String::new(),
            },
            devices: vec!["eth0".into(), "eth1".into()],
            parameters: Vec::new(),
            memory: None,
            tenant: "default".into(),
            lane: None,
            dedicated: false,
            replicas: 1,
            restart: Restart::Always,
            boot: Boot::Now,
            idle: 60,
            carry_state: true,
        };
        let names = ["fw", "nat", "next"];
        let ports = ["wan", "lan"].map(|name| (name.into(), format!("tap:{name}")));
        Desired {
            functions: names.map(|name| (name.into(), function.clone())).into(),
            ports: ports.into(),
            chains: vec![Chain {
                from: "wan".into(),
                through: ["fw", "nat"]
                    .map(|name| [(name.into(), 1.into())].into())
                    .into(),
                to: "lan".into(),
                any_source: BTreeSet::new(),
            }],
            ..Desired::default()
        }
    }

    #[test]
    fn shares_are_changed_at_one_place_and_functions_come_to_it_and_leave() {
        let steer = |desired: &mut Desired, shares: &[(&str, u32)]| {
            let shares = shares.iter();
            let shares = shares.map(|(name, share)| ((*name).into(), (*share).into()));
            let steered = desired.steer(&shares.collect());
            assert_eq!(desired.check(), Ok(()));
            steered.map(|()| desired.chains[0].through[0].clone())
        };
        let mut desired = chained();
        let both = steer(&mut desired, &[("fw", 90), ("next", 10)]).expect("one place");
        let place = |parts: &[(&str, u32)]| -> BTreeMap<String, Part> {
            let parts = parts.iter();
            parts
                .map(|(name, share)| ((*name).into(), (*share).into()))
                .collect()
        };
        assert_eq!(both, place(&[("fw", 90), ("next", 10)]));
        let other = steer(&mut desired, &[("next", 50)]).expect("one place");
        assert_eq!(other, place(&[("fw", 90), ("next", 50)]));
        let alone = steer(&mut desired, &[("fw", 0)]).expect("one is left");
        assert_eq!(alone, place(&[("next", 50)]));
        for (shares, expected) in [
            (
                &[("none", 1)][..],
                "no function none; there are: fw, nat, next",
            ),
            (&[("fw", 1)], "no chain has fw"),
            (
                &[("nat", 1), ("next", 1)],
                "nat and next stand one after another in chain 1",
            ),
        ] {
            assert_eq!(steer(&mut desired, shares), Err(expected.into()));
        }
    }

    #[test]
    fn nobody_left_at_a_place_is_refused() {
        let shares = [("fw".to_string(), 0.into())].into();
        let error = chained().steer(&shares).expect_err("nobody");
        assert_eq!(error, "nobody would be left at this place of chain 1");
    }
}
