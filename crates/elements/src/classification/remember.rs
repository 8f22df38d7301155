//! Classifying by what is remembered of flows.

use super::expression::Headers;
use super::flow_cache::{FlowCache, Key};
use super::flow_key::KeyLayout;
use super::program::{NO_RULE, Outcome, Program};
use super::records::Records;
use super::terms::DIMENSIONS;
use super::workspace::{LANES, Workspace, lanes};

/// Packets looked up together of those that are not known.
const MISSED: usize = 8;

/// Fewer than this are looked up one by one.
const FEW: usize = 4;

/// What is remembered, and by what.
pub(super) struct Memory {
    layout: KeyLayout,
    cache: FlowCache,
}

impl Memory {
    /// Whether to look at all; see [`FlowCache::is_consulted`].
    #[inline]
    pub(super) fn is_consulted(&mut self) -> bool {
        self.cache.is_consulted()
    }

    /// The memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.cache.bytes()
    }
}

impl Program {
    /// Room for [`Program::classify_batch`] to work in.
    #[must_use]
    pub fn workspace(&self) -> Workspace {
        Workspace::new(self.memory())
    }

    /// What to remember flows in, or `None` where it would not pay: where the program is cheap
    /// already, looks at too many fields, or at more than fields.
    fn memory(&self) -> Option<Memory> {
        self.records.as_ref()?;
        let layout = KeyLayout::new(&self.dimensions)?;
        let worthwhile = match &self.outcome {
            Outcome::Intersect(intersection) => !intersection.checks(),
            Outcome::Constant(_) => false,
            // Two fields are looked up in the time that making a key takes, and more in the time that
            // making it of fields one by one does; not where looking up takes a walk.
            Outcome::Table { .. } => {
                let mut dimensions = self.dimensions.iter();
                layout.is_direct() && dimensions.len() > 2
                    || dimensions.any(|dimension| dimension.map.is_tree())
            }
        };
        if !worthwhile {
            return None;
        }
        let mut rule = [NO_RULE];
        self.look_up_keys::<1>(&layout, &[[0; 2]], &mut rule);
        Some(Memory {
            layout,
            cache: FlowCache::new(rule[0]),
        })
    }

    /// Finds the rules of so many packets in memory, and those that are not there by classifying.
    /// Returns a bit for each packet that cannot be told by the values of its fields.
    #[inline]
    pub(super) fn remember<'p>(
        &self,
        packets: usize,
        headers: &impl Fn(usize) -> Headers<'p>,
        records: &mut Records<LANES>,
        rules: &mut [u16],
        memory: &mut Memory,
    ) -> u64 {
        let mut keys = [[0; 2]; LANES];
        let layout = &memory.layout;
        let incomplete = layout.keys_of_packets(packets, headers, &mut keys);
        let incomplete = incomplete.unwrap_or_else(|| {
            if let Some(layout) = &self.records {
                layout.fill(packets, headers, records);
            }
            layout.keys_of_records(&self.dimensions, records, &mut keys);
            records.incomplete
        });
        let mut unknown = 0;
        for (lane, (rule, key)) in rules.iter_mut().zip(&keys).enumerate() {
            match memory.cache.get(*key) {
                Some(known) => *rule = known,
                None => unknown |= 1 << lane,
            }
        }
        self.learn(&keys, unknown & !incomplete, rules, memory);
        incomplete
    }

    /// Classifies packets that are not known, by their keys, and remembers them.
    fn learn(&self, keys: &[Key; LANES], unknown: u64, rules: &mut [u16], memory: &mut Memory) {
        let count = unknown.count_ones() as usize;
        memory.cache.note(count, rules.len());
        let mut unknown = lanes(unknown);
        if count < FEW {
            return unknown.for_each(|lane| self.learn_some(&[lane], keys, rules, memory));
        }
        while let Some(first) = unknown.next() {
            // What is left over repeats the first.
            let some = [(); MISSED];
            let mut next = Some(first);
            let some = some.map(|()| next.take().or_else(|| unknown.next()).unwrap_or(first));
            self.learn_some(&some, keys, rules, memory);
        }
    }

    fn learn_some<const N: usize>(
        &self,
        some: &[usize; N],
        keys: &[Key; LANES],
        rules: &mut [u16],
        memory: &mut Memory,
    ) {
        let keys = some.map(|lane| keys[lane]);
        let mut found = [NO_RULE; N];
        self.look_up_keys(&memory.layout, &keys, &mut found);
        for ((lane, key), rule) in some.iter().zip(keys).zip(found) {
            rules[*lane] = rule;
            if memory.cache.get(key).is_none() {
                memory.cache.insert(key, rule);
            }
        }
    }

    /// Classifies by keys.
    fn look_up_keys<const N: usize>(
        &self,
        layout: &KeyLayout,
        keys: &[Key; N],
        rules: &mut [u16; N],
    ) {
        self.look_up::<N>(
            |dimension, at, values| {
                for (value, key) in values.iter_mut().zip(keys) {
                    *value = layout.places[at].read(dimension.field, key);
                }
            },
            &mut [[0; N]; DIMENSIONS],
            &|_| Headers::default(),
            rules,
        );
    }
}
