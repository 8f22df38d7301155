use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::arguments::{Argument, NoNames, split_words};
use sprat_click::collections::sort;
use sprat_click::{Arguments, Class, Configuration, Rejected};

use super::{Mapped, Mapper, Request, class};
use crate::nat::flow_table::Outputs;
use crate::nat::input_spec::{ANY_OUTPUT, Rewriting};

/// SourceIPHashMapper: has rewriters send the flows of one host one way.
///
/// ```click
/// SourceIPHashMapper(NODES SEED, PATTERN1 ID1, ..., PATTERNn IDn)
/// ```
///
/// Used by naming the element as an input specification of IPRewriter or its relatives. Each
/// PATTERN is as in RoundRobinIPMapper, with a number below 65,536 that names it. Which is taken
/// depends on the flow's source address alone: every ID has NODES points on a circle, placed by
/// SEED, and an address takes the pattern of the next point (consistent hashing). So when patterns
/// come or go the other hosts keep theirs. Points and addresses are placed as Click does with the
/// GNU C library, so a Sprat beside a Click balances alike.
///
/// See Click's manual page SourceIPHashMapper(n).
pub(in crate::nat) const SOURCE_IP_HASH_MAPPER: Class = class("SourceIPHashMapper");

struct SourceHash {
    rewritings: Vec<Rewriting>,
    circle: Circle,
}

/// Most points of all patterns: a bound on what a configuration can ask for.
const MOST_POINTS: usize = 1 << 20;

pub(super) fn configure(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
) -> Result<Rc<dyn Mapper>, Rejected> {
    let mut texts = arguments.rest();
    match texts.len() {
        0 => return Err(arguments.error("no hash seed given")),
        1 => return Err(arguments.error("no patterns given")),
        2 => arguments.warning("only one pattern given"),
        _ => {}
    }
    let parameters = split_words(&texts.remove(0));
    let [nodes, seed] = parameters.as_slice() else {
        return Err(arguments.error("requires 2 config params: numnodes seed"));
    };
    let nodes = match u32::parse(nodes, &NoNames) {
        Ok(nodes) if nodes > 0 => nodes as usize,
        _ => return Err(arguments.error("number of nodes must be an integer")),
    };
    let Ok(seed) = i32::parse(seed, &NoNames) else {
        return Err(arguments.error("hash seed must be an integer"));
    };
    let mut rewritings = Vec::new();
    let mut identities = Vec::new();
    for text in &texts {
        let surroundings = (arguments.names(), configuration);
        let read = identified(text).and_then(|(identity, words)| {
            Rewriting::parse(&words, &surroundings, ANY_OUTPUT).map(|it| (identity, it))
        });
        match read {
            Ok((identity, rewriting)) => {
                identities.push(identity);
                rewritings.push(rewriting);
            }
            Err(message) => {
                arguments.error(message);
            }
        }
    }
    let largest = identities.iter().copied().max().unwrap_or(0);
    if nodes.saturating_mul(usize::from(largest) + 1) > MOST_POINTS {
        arguments.error("too many nodes");
    }
    arguments.finish()?;
    Ok(Rc::new(SourceHash {
        rewritings,
        circle: Circle::new(&identities, nodes, seed.cast_unsigned()),
    }))
}

/// Takes the identity from the end of a pattern.
fn identified(text: &str) -> Result<(u16, Vec<String>), String> {
    let mut words = split_words(text);
    let identity = words.pop().filter(|_| !words.is_empty());
    let identity = identity.and_then(|word| u16::parse(&word, &NoNames).ok());
    match identity {
        Some(identity) => Ok((identity, words)),
        None => Err("bad server ID in pattern spec".into()),
    }
}

impl Mapper for SourceHash {
    fn map(&self, request: &Request<'_>) -> Option<Mapped> {
        let pattern = self.circle.pattern_of(request.key.source().to_bits());
        self.rewritings.get(pattern)?.apply(request)
    }

    fn outputs(&self) -> Vec<Outputs> {
        self.rewritings
            .iter()
            .map(|rewriting| rewriting.outputs)
            .collect()
    }
}

/// Points and the patterns they stand for, in order of the points.
struct Circle(Vec<(u32, usize)>);

impl Circle {
    /// Draws `nodes` points for each identity from the least to the largest, and uses those of the
    /// identities that there are. Patterns are counted in the order of their identities.
    fn new(identities: &[u16], nodes: usize, seed: u32) -> Self {
        let mut sorted = identities.to_vec();
        sort(&mut sorted);
        sorted.dedup();
        let mut random = LibraryRandom::new(seed);
        let mut points = Vec::new();
        for identity in 0..=sorted.last().copied().unwrap_or(0) {
            let pattern = sorted.binary_search(&identity);
            for _ in 0..nodes {
                let point = random.next();
                points.extend(pattern.ok().map(|pattern| (point, pattern)));
            }
        }
        sort(&mut points);
        Self(points)
    }

    fn pattern_of(&self, source: u32) -> usize {
        // The address as a little-endian machine reads it from a packet, with its first byte
        // brought to bear on the high bits.
        let address = source.swap_bytes();
        let key = address.wrapping_mul((address & 0xff) << 24 | 1) % LARGEST;
        let place = self.0.partition_point(|(point, _)| *point < key);
        // Beyond the last point Click answers the root of its search tree.
        let (_, pattern) = self.0.get(place).unwrap_or(&self.0[self.root()]);
        *pattern
    }

    /// The root of the balanced search tree whose lowest level is filled from the left.
    fn root(&self) -> usize {
        let count = self.0.len();
        let size = (count + 1).next_power_of_two();
        let missing = (size - 1 - count) / 2;
        // Places before this one are in the tree in full; behind it every other one.
        let full = (2 * count.div_ceil(2) + 1).saturating_sub(2 * missing);
        let middle = size / 2;
        let place = if middle < full {
            middle
        } else {
            (middle + full - 1) / 2
        };
        place.saturating_sub(1).min(count - 1)
    }
}

/// The largest number that the C library's `random` gives.
const LARGEST: u32 = 0x7fff_ffff;

/// The C library's `random`: an additive feedback generator, `x[i] = x[i-3] + x[i-31]`, begun by a
/// multiplicative one (Park and Miller's), without its first 310 numbers.
struct LibraryRandom {
    state: [u32; 31],
    at: usize,
}

impl LibraryRandom {
    fn new(seed: u32) -> Self {
        let mut state = [0; 31];
        let mut word = i64::from(seed.max(1).cast_signed());
        for place in &mut state {
            *place = u32::try_from(word.rem_euclid(1 << 32)).unwrap_or(0);
            word = (word * 16807 % i64::from(LARGEST)).rem_euclid(i64::from(LARGEST));
        }
        // Three words in is where the library begins to add.
        let mut random = Self { state, at: 3 };
        for _ in 0..310 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u32 {
        let three_ago = (self.at + 28) % 31;
        self.state[self.at] = self.state[self.at].wrapping_add(self.state[three_ago]);
        let number = self.state[self.at] >> 1;
        self.at = (self.at + 1) % 31;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_those_of_the_c_library() {
        // The first that glibc's random() gives for these seeds.
        let mut one = LibraryRandom::new(1);
        assert_eq!(
            [one.next(), one.next(), one.next()],
            [1_804_289_383, 846_930_886, 1_681_692_777]
        );
        assert_eq!(LibraryRandom::new(42).next(), 71_876_166);
    }

    #[test]
    fn hosts_keep_their_pattern_when_another_goes() {
        let (all, fewer) = (
            Circle::new(&[0, 1, 2, 3], 40, 7),
            Circle::new(&[0, 1, 3], 40, 7),
        );
        let mut moved = 0;
        for host in 0..4000_u32 {
            let source = 0x0a00_0000 + host * 977;
            let (before, after) = (all.pattern_of(source), fewer.pattern_of(source));
            // The patterns of identities 0, 1 and 3.
            let same = [0, 1, 3].iter().position(|pattern| *pattern == before);
            if let Some(same) = same {
                moved += u32::from(same != after);
            }
        }
        // Those beyond the last point may move; nobody else.
        assert!(moved <= 4000 / 40, "{moved} hosts moved");
    }

    #[test]
    fn hosts_spread_over_all_patterns() {
        let circle = Circle::new(&[0, 1, 2, 3], 100, 7);
        let mut hosts = [0; 4];
        for host in 0..4000_u32 {
            hosts[circle.pattern_of(0x0a00_0000 + host * 977)] += 1;
        }
        assert!(
            hosts.iter().all(|count| (600..=1400).contains(count)),
            "{hosts:?}"
        );
    }
}
