//! Flow rules: what is done with frames of certain headers before they go their usual way.
//!
//! The first rule that fits a frame counts. Rules are searched one after another, but only for the
//! first frame of a flow: a cache of exact headers knows the rest.

use std::hash::BuildHasher as _;

use super::PortId;
use super::bridge::Vlan;
use super::flow::{EthernetAddress, Flow, Secret};

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// An address among them, IPv4 addresses mapped.
    pub address: [u8; 16],
    /// How many bits count, of 128.
    pub length: u8,
}

impl Prefix {
    pub(super) fn holds(&self, address: &[u8; 16]) -> bool {
        let mask = match self.length {
            0 => 0,
            length => u128::MAX << (128 - u32::from(length.min(128))),
        };
        (u128::from_be_bytes(self.address) ^ u128::from_be_bytes(*address)) & mask == 0
    }
}

/// What a frame has to be like. What is `None` may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Where it comes in.
    pub port: Option<PortId>,
    /// The Ethernet address it comes from.
    pub source: Option<EthernetAddress>,
    /// The Ethernet address it goes to.
    pub destination: Option<EthernetAddress>,
    /// Its tag.
    pub vlan: Option<Vlan>,
    /// Its EtherType, behind the tag.
    pub ether_type: Option<u16>,
    /// Where its packet comes from.
    pub from: Option<Prefix>,
    /// Where its packet goes.
    pub to: Option<Prefix>,
    /// The protocol over IP.
    pub protocol: Option<u8>,
    /// First and last of the ports it may come from.
    pub source_ports: Option<(u16, u16)>,
    /// First and last of the ports it may go to.
    pub destination_ports: Option<(u16, u16)>,
}

fn fits<T: PartialEq>(wanted: Option<T>, found: T) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

impl Match {
    fn fits(&self, port: PortId, flow: &Flow) -> bool {
        let address = |wanted: &Option<Prefix>, index: usize| match (wanted, &flow.addresses) {
            (None, _) => true,
            (Some(prefix), Some(addresses)) => prefix.holds(&addresses[index]),
            (Some(_), None) => false,
        };
        let within = |wanted: Option<(u16, u16)>, index: usize| match (wanted, flow.ports) {
            (None, _) => true,
            (Some((first, last)), Some(ports)) => (first..=last).contains(&ports[index]),
            (Some(_), None) => false,
        };
        fits(self.port, port)
            && fits(self.source, flow.source)
            && fits(self.destination, flow.destination)
            && self
                .vlan
                .is_none_or(|vlan| flow.vlan == Some(vlan.number()))
            && fits(self.ether_type, flow.ether_type)
            && address(&self.from, 0)
            && address(&self.to, 1)
            && self
                .protocol
                .is_none_or(|wanted| flow.addresses.is_some() && wanted == flow.protocol)
            && within(self.source_ports, 0)
            && within(self.destination_ports, 1)
    }
}

/// A limit on bytes in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Bytes each second.
    pub rate: u64,
    /// Bytes that may come at once after a pause.
    pub burst: u64,
}

/// Where a frame goes that a rule fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Where it would have gone.
    Pass,
    /// Out by this port.
    Forward(PortId),
    /// Nowhere.
    Drop,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The frames it is for.
    pub fits: Match,
    /// What more comes than this is dropped.
    pub limit: Option<Limit>,
    /// Writes this address over the one it goes to.
    pub set_destination: Option<EthernetAddress>,
    /// Writes this address over the one it comes from.
    pub set_source: Option<EthernetAddress>,
    /// A copy leaves by this port too.
    pub copy: Option<PortId>,
    /// Where it goes.
    pub then: Then,
}

/// What a rule did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounters {
    /// Frames that it fitted.
    pub frames: u64,
    /// Of those, how many were over its limit.
    pub over_limit: u64,
}

#[derive(Clone, Debug)]
struct Held {
    rule: Rule,
    counters: RuleCounters,
    /// Bytes that may still pass, times 10⁹, at the moment `filled`.
    tokens: u128,
    filled: u64,
}

/// What is to be done with a frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict<'a> {
    /// No rule is about it.
    Usual,
    /// It is dropped: it is over the limit.
    OverLimit,
    /// A rule is about it.
    Rule(&'a Rule),
}

/// Places in the cache: a power of two. Each holds the flow that was looked up last.
const CACHE: usize = 1 << 14;

#[derive(Clone, Copy)]
struct Cached {
    port: PortId,
    flow: Flow,
    rule: Option<u32>,
}

/// The rules of a switch.
pub(super) struct Rules {
    held: Vec<Held>,
    cache: Vec<Option<Cached>>,
    secret: Secret,
    misses: u64,
}

impl Rules {
    pub(super) fn new() -> Self {
        Self {
            held: Vec::new(),
            cache: Vec::new(),
            secret: Secret::new(),
            misses: 0,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Sets the rules. Those that were there before go on counting.
    pub(super) fn set(&mut self, rules: Vec<Rule>, now: u64) {
        let mut old = std::mem::take(&mut self.held);
        self.held = rules
            .into_iter()
            .map(|rule| match old.iter().position(|held| held.rule == rule) {
                Some(index) => old.swap_remove(index),
                None => Held {
                    tokens: rule.limit.map_or(0, |limit| u128::from(limit.burst) * NANO),
                    rule,
                    counters: RuleCounters::default(),
                    filled: now,
                },
            })
            .collect();
        self.cache.clear();
        if !self.held.is_empty() {
            self.cache.resize(CACHE, None);
        }
    }

    pub(super) fn counters(&self) -> impl Iterator<Item = (&Rule, RuleCounters)> {
        self.held.iter().map(|held| (&held.rule, held.counters))
    }

    /// Frames that the cache did not know.
    pub(super) fn misses(&self) -> u64 {
        self.misses
    }

    /// Finds what is to be done with a frame of `bytes`.
    pub(super) fn judge(
        &mut self,
        port: PortId,
        flow: &Flow,
        bytes: usize,
        now: u64,
    ) -> Verdict<'_> {
        let Some(rule) = self.find(port, flow) else {
            return Verdict::Usual;
        };
        let Some(held) = self.held.get_mut(rule as usize) else {
            return Verdict::Usual;
        };
        held.counters.frames += 1;
        if let Some(limit) = held.rule.limit {
            let passed = now.saturating_sub(held.filled);
            let most = u128::from(limit.burst) * NANO;
            let grown = held.tokens + u128::from(passed) * u128::from(limit.rate);
            held.tokens = grown.min(most);
            held.filled = now;
            match held.tokens.checked_sub(bytes as u128 * NANO) {
                Some(rest) => held.tokens = rest,
                None => {
                    held.counters.over_limit += 1;
                    return Verdict::OverLimit;
                }
            }
        }
        Verdict::Rule(&held.rule)
    }

    fn find(&mut self, port: PortId, flow: &Flow) -> Option<u32> {
        let hash = self.secret.hash_one((port.0, flow));
        let place = usize::try_from(hash >> 32).unwrap_or(0) & (CACHE - 1);
        if let Some(Some(cached)) = self.cache.get(place)
            && cached.port == port
            && cached.flow == *flow
        {
            return cached.rule;
        }
        self.misses += 1;
        let rule = self
            .held
            .iter()
            .position(|held| held.rule.fits.fits(port, flow));
        let rule = rule.and_then(|rule| u32::try_from(rule).ok());
        if let Some(entry) = self.cache.get_mut(place) {
            *entry = Some(Cached {
                port,
                flow: *flow,
                rule,
            });
        }
        rule
    }
}

/// Tokens are bytes in billionths, so that nanoseconds times bytes a second need no division.
const NANO: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::super::flow::mapped;
    use super::*;

    const PORT: PortId = PortId(0);

    fn flow(to: [u8; 4], port: u16) -> Flow {
        Flow {
            ether_type: 0x0800,
            addresses: Some([mapped([10, 0, 0, 1]), mapped(to)]),
            protocol: 6,
            ports: Some([40_000, port]),
            ..Flow::default()
        }
    }

    fn rule(fits: Match, then: Then) -> Rule {
        Rule {
            fits,
            limit: None,
            set_destination: None,
            set_source: None,
            copy: None,
            then,
        }
    }

    fn then(rules: &mut Rules, flow: &Flow) -> Option<Then> {
        match rules.judge(PORT, flow, 60, 0) {
            Verdict::Rule(rule) => Some(rule.then),
            Verdict::Usual | Verdict::OverLimit => None,
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let net = Prefix {
            address: mapped([192, 0, 2, 0]),
            length: 96 + 24,
        };
        let web = Match {
            destination_ports: Some((80, 80)),
            ..Match::default()
        };
        let to_net = Match {
            to: Some(net),
            ..Match::default()
        };
        let mut rules = Rules::new();
        let other = PortId(7);
        rules.set(
            vec![rule(web, Then::Forward(other)), rule(to_net, Then::Drop)],
            0,
        );
        for _ in 0..2 {
            assert_eq!(
                then(&mut rules, &flow([192, 0, 2, 9], 80)),
                Some(Then::Forward(other))
            );
            assert_eq!(
                then(&mut rules, &flow([192, 0, 2, 9], 81)),
                Some(Then::Drop)
            );
            assert_eq!(then(&mut rules, &flow([192, 0, 3, 9], 81)), None);
        }
        assert_eq!(rules.misses(), 3, "the second time they were known");
        let frames: Vec<_> = rules
            .counters()
            .map(|(_, counted)| counted.frames)
            .collect();
        assert_eq!(frames, [2, 2]);
    }

    #[test]
    fn rules_that_change_are_not_answered_from_what_was_known() {
        let mut rules = Rules::new();
        rules.set(vec![rule(Match::default(), Then::Drop)], 0);
        assert_eq!(then(&mut rules, &flow([1, 1, 1, 1], 1)), Some(Then::Drop));
        rules.set(vec![rule(Match::default(), Then::Pass)], 0);
        assert_eq!(then(&mut rules, &flow([1, 1, 1, 1], 1)), Some(Then::Pass));
    }

    #[test]
    fn what_a_frame_lacks_no_rule_about_it_fits() {
        let about = [
            Match {
                protocol: Some(0),
                ..Match::default()
            },
            Match {
                source_ports: Some((0, u16::MAX)),
                ..Match::default()
            },
            Match {
                from: Some(Prefix {
                    address: [0; 16],
                    length: 0,
                }),
                ..Match::default()
            },
            Match {
                vlan: Some(Vlan::DEFAULT),
                ..Match::default()
            },
        ];
        let mut rules = Rules::new();
        rules.set(about.map(|fits| rule(fits, Then::Drop)).to_vec(), 0);
        let bare = Flow {
            ether_type: 0x88cc,
            ..Flow::default()
        };
        assert_eq!(then(&mut rules, &bare), None);
    }

    /// 1,000 bytes a second, 3,000 at once: three frames of 1,000 pass, then one each second.
    #[test]
    fn a_limit_lets_its_burst_pass_and_then_its_rate() {
        const SECOND: u64 = 1_000_000_000;
        let mut limited = rule(Match::default(), Then::Pass);
        limited.limit = Some(Limit {
            rate: 1000,
            burst: 3000,
        });
        let mut rules = Rules::new();
        rules.set(vec![limited], 0);
        let mut passes = |now| {
            let verdict = rules.judge(PORT, &flow([1, 1, 1, 1], 1), 1000, now);
            matches!(verdict, Verdict::Rule(_))
        };
        assert_eq!([0; 4].map(&mut passes), [true, true, true, false]);
        assert!(!passes(SECOND - 1));
        assert!(passes(SECOND));
        assert!(!passes(SECOND + 1));
        // A long pause brings no more than the burst.
        assert_eq!(
            [100 * SECOND; 4].map(&mut passes),
            [true, true, true, false]
        );
    }
}
