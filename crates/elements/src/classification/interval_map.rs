//! A map from the values of one field to classes of values, constant on intervals.
//!
//! Three forms, by how many boundaries there are between classes. A *table* for one-byte fields.
//! A *list* where there are few: each boundary is compared with the values of a whole group of
//! packets, which vector units do several at a time. A *tree* else: a radix tree of 256-way
//! chunks that goes no deeper than it must. A stretch of values that holds few boundaries is a
//! narrow node, one cache line of boundaries; a stretch with none is the class itself. With many
//! boundaries the root has 65,536 entries. A lookup in the tree is one to four dependent loads.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::workspace::LaneList;

/// The most boundaries in a list; one less than a power of two, so that indexes can be masked.
const LISTED: usize = 15;

/// Boundaries in a narrow node: they and their classes fill a cache line.
const NARROW: usize = 8;

/// With more boundaries than this, the root of a tree covers 16 bits of a four-byte field, not 8.
const BOUNDARIES_FOR_WIDE_ROOT: usize = 512;

/// Entries: two bits of kind, thirty of class or index.
const INDEX: u32 = (1 << 30) - 1;
const NARROW_NODE: u32 = 1 << 30;
const CHUNK: u32 = 2 << 30;

/// Boundaries with the classes between them.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Narrow {
    /// Where the next class begins, as `signed` orders. Unused ones repeat the greatest.
    starts: [i32; NARROW],
    /// The class below the first boundary, then the class from each boundary on.
    classes: [u16; NARROW + 1],
}

impl Narrow {
    /// The class of a key.
    #[inline]
    fn class(&self, key: u32) -> u16 {
        let key = signed(key);
        let mut passed = [0u32; NARROW];
        for (passed, start) in passed.iter_mut().zip(&self.starts) {
            *passed = u32::from(*start <= key);
        }
        let passed: u32 = passed.iter().sum();
        self.classes[passed as usize]
    }
}

/// The map.
#[derive(Clone, Debug)]
pub(super) enum IntervalMap {
    /// The class of each value of a byte.
    Table(Box<[u16; 256]>),
    /// Where each class but the first begins, as `signed` orders; and the classes.
    List {
        starts: Vec<i32>,
        classes: [u16; LISTED + 1],
    },
    /// Too many for a list.
    Tree(Tree),
}

impl IntervalMap {
    /// Builds the map of a field of `width` bytes from the value at which each stretch of one
    /// class begins, ascending from 0.
    pub(super) fn new(width: u8, starts: &[(u32, u16)]) -> Self {
        if width == 1 {
            let mut table = Box::new([0; 256]);
            for (start, class) in starts {
                table[(start & 0xff) as usize..].fill(*class);
            }
            return Self::Table(table);
        }
        if starts.len() <= LISTED + 1 {
            let mut classes = [0; 16];
            for (class, (_, given)) in classes.iter_mut().zip(starts) {
                *class = *given;
            }
            return Self::List {
                starts: starts[1..]
                    .iter()
                    .map(|(start, _)| signed(*start))
                    .collect(),
                classes,
            };
        }
        Self::Tree(Tree::new(width, starts))
    }

    /// The classes of the values of a group of packets.
    #[inline]
    pub(super) fn classes<const N: usize>(&self, values: &[u32; N], classes: &mut [u16; N]) {
        match self {
            Self::Table(table) => {
                for (class, value) in classes.iter_mut().zip(values) {
                    *class = table[(value & 0xff) as usize];
                }
            }
            Self::List {
                starts,
                classes: listed,
            } => {
                let mut ordered = [0; N];
                for (ordered, value) in ordered.iter_mut().zip(values) {
                    *ordered = signed(*value);
                }
                let mut passed = [0u32; N];
                for start in starts {
                    for (passed, value) in passed.iter_mut().zip(&ordered) {
                        *passed += u32::from(start <= value);
                    }
                }
                for (class, passed) in classes.iter_mut().zip(passed) {
                    *class = listed[passed as usize & LISTED];
                }
            }
            Self::Tree(tree) => tree.classes(values, classes),
        }
    }

    /// Whether looking up takes a walk.
    pub(super) fn is_tree(&self) -> bool {
        matches!(self, Self::Tree(_))
    }

    /// The memory the map takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Table(table) => size_of_val(&**table),
            Self::List { starts, .. } => size_of_val(&**starts),
            Self::Tree(tree) => tree.bytes(),
        }
    }
}

/// The tree form.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// Keys are moved to the top of 32 bits.
    align: u32,
    /// How far the aligned key is shifted to index the root.
    root_shift: u32,
    root: Vec<u32>,
    chunks: Vec<[u32; 256]>,
    narrow: Vec<Narrow>,
}

/// Maps unsigned to signed numbers in the same order: that is the comparison vector units have.
#[inline]
fn signed(value: u32) -> i32 {
    (value ^ 0x8000_0000).cast_signed()
}

impl Tree {
    fn new(width: u8, starts: &[(u32, u16)]) -> Self {
        let align = 32 - 8 * u32::from(width);
        let root_bits = match width {
            4 if starts.len() > BOUNDARIES_FOR_WIDE_ROOT => 16,
            _ => 8,
        };
        let aligned: Vec<(u32, u16)> = starts
            .iter()
            .map(|(start, class)| (start << align, *class))
            .collect();
        let mut map = Self {
            align,
            root_shift: 32 - root_bits,
            root: Vec::new(),
            chunks: Vec::new(),
            narrow: Vec::new(),
        };
        let mut root = vec![0; 1 << root_bits];
        map.fill(&mut root, 0, map.root_shift, &aligned);
        map.root = root;
        map
    }

    /// Fills the entries of one node. Each covers `1 << shift` keys from `base` on; `starts`
    /// holds the stretches that overlap the node.
    fn fill(&mut self, entries: &mut [u32], base: u32, shift: u32, starts: &[(u32, u16)]) {
        let mut from = 0;
        for (index, entry) in (0u64..).zip(entries.iter_mut()) {
            let low = u64::from(base) + (index << shift);
            let high = low + ((1u64 << shift) - 1);
            // The stretch that holds the first key, then all that begin inside.
            while from + 1 < starts.len() && u64::from(starts[from + 1].0) <= low {
                from += 1;
            }
            let mut to = from + 1;
            while to < starts.len() && u64::from(starts[to].0) <= high {
                to += 1;
            }
            // Both fit: `low` lies in the key space of 32 bits.
            let low = u32::try_from(low).unwrap_or(u32::MAX);
            *entry = self.entry(low, shift, &starts[from..to]);
            from = to - 1;
        }
    }

    /// The entry for `1 << shift` keys from `low` on.
    fn entry(&mut self, low: u32, shift: u32, starts: &[(u32, u16)]) -> u32 {
        let first = starts[0].1;
        if starts.iter().all(|(_, class)| *class == first) {
            return u32::from(first);
        }
        if starts.len() <= NARROW + 1 {
            let mut node = Narrow {
                starts: [i32::MAX; NARROW],
                classes: [starts[starts.len() - 1].1; NARROW + 1],
            };
            node.classes[0] = first;
            for (at, (start, class)) in starts[1..].iter().enumerate() {
                node.starts[at] = signed(*start);
                node.classes[at + 1] = *class;
            }
            self.narrow.push(node);
            return NARROW_NODE | index(self.narrow.len() - 1);
        }
        let at = self.chunks.len();
        self.chunks.push([0; 256]);
        let mut entries = [0; 256];
        self.fill(&mut entries, low, shift - 8, starts);
        self.chunks[at] = entries;
        CHUNK | index(at)
    }

    /// The classes of the values of a group of packets.
    ///
    /// They go down the tree together: where each of them ends is different every time, and a
    /// branch on it would be guessed wrong as often as right.
    #[inline]
    fn classes<const N: usize>(&self, values: &[u32; N], classes: &mut [u16; N]) {
        let mut shift = self.root_shift;
        let mut entries = [0; N];
        let mut list = LaneList::<N>::new();
        for ((lane, value), entry) in values.iter().enumerate().zip(&mut entries) {
            *entry = self.root[(value << self.align >> shift) as usize];
            classes[lane] = (*entry & 0xffff) as u16;
            list.add_if(lane, *entry & !INDEX != 0);
        }
        while !list.is_empty() {
            shift = shift.saturating_sub(8);
            let (mut narrow, mut deeper) = (LaneList::<N>::new(), LaneList::<N>::new());
            for lane in list.lanes() {
                let lane = usize::from(*lane);
                narrow.add_if(lane, entries[lane] & NARROW_NODE != 0);
                deeper.add_if(lane, entries[lane] & CHUNK != 0);
            }
            for lane in narrow.lanes() {
                let lane = usize::from(*lane);
                let node = &self.narrow[(entries[lane] & INDEX) as usize];
                classes[lane] = node.class(values[lane] << self.align);
            }
            list = LaneList::new();
            for lane in deeper.lanes() {
                let lane = usize::from(*lane);
                let chunk = &self.chunks[(entries[lane] & INDEX) as usize];
                entries[lane] = chunk[(values[lane] << self.align >> shift & 0xff) as usize];
                classes[lane] = (entries[lane] & 0xffff) as u16;
                list.add_if(lane, entries[lane] & !INDEX != 0);
            }
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.root) + size_of_val(&*self.chunks) + size_of_val(&*self.narrow)
    }
}

/// An index into a node list. There are fewer nodes than boundaries, hence than 2^30.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(INDEX) & INDEX
}
