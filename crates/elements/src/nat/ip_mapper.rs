use alloc::format;
use alloc::vec::Vec;
use sprat_click::collections::sort;

use sprat_click::arguments::split_words;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Phase, Rejected};
use sprat_packet::flow::{FlowHash, FlowKey};

use super::input_spec::{Rewriting, rewrite_with};

pub(super) const ROUND_ROBIN_IP_MAPPER: Class =
    Class::of::<RoundRobinIpMapper>("RoundRobinIPMapper")
        .ports("0/0")
        .phase(Phase::Early);
pub(super) const SOURCE_IP_HASH_MAPPER: Class =
    Class::of::<SourceIpHashMapper>("SourceIPHashMapper")
        .ports("0/0")
        .phase(Phase::Early);

/// RoundRobinIPMapper, SourceIPHashMapper: tell a rewriter how to rewrite new flows.
///
/// ```click
/// RoundRobinIPMapper(PATTERN1, ..., PATTERNn)
/// SourceIPHashMapper(NODES SEED, PATTERN1 ID1, ..., PATTERNn IDn)
/// ```
///
/// Used by naming the element as an input specification of IPRewriter or its relatives. Each
/// PATTERN is `SADDR SPORT DADDR DPORT FOUTPUT ROUTPUT`, or the name of a pattern and the outputs.
/// RoundRobinIPMapper takes them in turn, one for each new flow, skipping those that have no
/// address or port free. SourceIPHashMapper picks by a hash of the source address, so that a host
/// keeps its server; NODES and SEED spread the hosts over the IDs by consistent hashing.
///
/// See Click's manual pages RoundRobinIPMapper(n) and SourceIPHashMapper(n).
pub(super) struct IpMapper<const HASH: bool> {
    pub(super) rewritings: Vec<Rewriting>,
    next: usize,
    /// Points of the circle and whose they are, sorted, for consistent hashing.
    circle: Vec<(u64, usize)>,
    hash: FlowHash,
}

pub(super) type RoundRobinIpMapper = IpMapper<false>;
pub(super) type SourceIpHashMapper = IpMapper<true>;

/// Outputs a mapper may name: it does not know who will use it.
const ANY_OUTPUT: usize = 256;

impl<const HASH: bool> Configure for IpMapper<HASH> {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut texts = arguments.rest();
        let mut nodes = 1;
        let mut seed = 0;
        if HASH && !texts.is_empty() {
            let words = split_words(&texts.remove(0));
            let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok());
            match (number(0), number(1), words.len()) {
                (Some(count @ 1..=65_536), Some(value), 2) => (nodes, seed) = (count, value),
                _ => {
                    arguments.error("first argument should be number of nodes and hash seed");
                }
            }
        }
        let mut mapper = Self {
            rewritings: Vec::new(),
            next: 0,
            circle: Vec::new(),
            hash: FlowHash::new(seed),
        };
        if texts.is_empty() {
            arguments.error("no patterns given");
        }
        for (number, text) in texts.iter().enumerate() {
            let mut words = split_words(text);
            let id = if HASH {
                words.pop().and_then(|word| word.parse::<u64>().ok())
            } else {
                Some(0)
            };
            let read = match id {
                Some(_) => Rewriting::parse(&words, arguments.names(), configuration, ANY_OUTPUT),
                None => Err("bad pattern ID".into()),
            };
            match (read, id) {
                (Ok(rewriting), Some(id)) => mapper.add(rewriting, id, nodes),
                (Err(message), _) => {
                    arguments.error(format!("pattern {number}: {message}"));
                }
                _ => {}
            }
        }
        sort(&mut mapper.circle);
        arguments.finish()?;
        Ok(mapper)
    }
}

impl<const HASH: bool> IpMapper<HASH> {
    fn add(&mut self, rewriting: Rewriting, id: u64, nodes: u64) {
        let place = self.rewritings.len();
        self.rewritings.push(rewriting);
        if HASH {
            let point = |node| (self.hash.of_words(id, node), place);
            self.circle.extend((0..nodes).map(point));
        }
    }

    /// The rewriting to try first for a flow.
    pub(super) fn start(&self, key: &FlowKey) -> usize {
        if !HASH {
            return self.next;
        }
        let point = self.hash.of_words(u64::from(key.tuple().source), u64::MAX);
        let after = self.circle.partition_point(|(at, _)| *at < point);
        self.circle
            .get(after)
            .or(self.circle.first())
            .map_or(0, |(_, place)| *place)
    }

    /// Notes which rewriting a flow got.
    pub(super) fn chosen(&mut self, place: usize) {
        self.next = (place + 1) % self.rewritings.len();
    }

    pub(super) fn rewrite(
        &mut self,
        key: &FlowKey,
        context: &Context<'_>,
        free: &dyn Fn(&FlowKey) -> bool,
    ) -> Option<(FlowKey, [u16; 2])> {
        rewrite_with(self, key, context, free)
    }
}

impl<const HASH: bool> Element for IpMapper<HASH> {}
