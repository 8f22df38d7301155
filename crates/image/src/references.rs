//! Which function, constant or variable of an image refers to which other.
//!
//! The linker keeps no record of that, but everything lies at a fixed address: an instruction that
//! calls, loads or names an address says it in full, and so does each pointer in the constants.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind};
use object::SymbolKind;

use crate::sizes::{Named, named};
use crate::{ImageError, Protection, Segment, elf};

/// Something that refers and is referred to.
pub(crate) struct Thing<'data> {
    /// Its symbol; constants often have none.
    pub(crate) symbol: Option<&'data str>,
    pub(crate) kind: SymbolKind,
    pub(crate) size: u64,
    /// What it refers to: indexes of other things, in order.
    pub(crate) to: BTreeSet<usize>,
}

/// Everything in an image, in order of address.
pub(crate) struct References<'data> {
    pub(crate) things: Vec<Thing<'data>>,
    /// What runs first.
    pub(crate) entry: Option<usize>,
}

/// Reads who refers to whom.
pub(crate) fn references<'data>(
    image: &[u8],
    sidecar: &'data [u8],
) -> Result<References<'data>, ImageError> {
    let parsed = elf::parse(image)?;
    parsed.check_sidecar(sidecar)?;
    let file = object::File::parse(sidecar).map_err(|error| ImageError::Elf(error.to_string()))?;
    let memory = Memory {
        image,
        segments: &parsed.segments,
    };
    let symbols = named(&file);
    let found = Found::new(&memory, &symbols);
    let mut things = found.things(&memory, &symbols);
    let places: BTreeMap<u64, usize> = (0..)
        .zip(&things)
        .map(|(index, (at, _))| (*at, index))
        .collect();
    let at = |address: u64| {
        let (start, index) = places.range(..=address).next_back()?;
        let size = things[*index].1.size;
        (address - start < size).then_some(*index)
    };
    let mut edges = Vec::new();
    for (index, (start, thing)) in things.iter().enumerate() {
        let targets: Vec<u64> = match thing.kind {
            SymbolKind::Text => memory.named_by_code(*start, thing.size),
            _ => memory
                .pointers(*start, thing.size)
                .map(|(_, to)| to)
                .collect(),
        };
        let to = targets.into_iter().filter_map(at);
        edges.push(to.filter(|to| *to != index).collect());
    }
    let entry = at(parsed.entry);
    for ((_, thing), to) in things.iter_mut().zip(edges) {
        thing.to = to;
    }
    Ok(References {
        things: things.into_iter().map(|(_, thing)| thing).collect(),
        entry,
    })
}

impl References<'_> {
    /// The shortest way from what runs first to one of some things; empty if there is none.
    ///
    /// A constant without a name ends, for all that can be seen, where something refers to what may
    /// be its middle. Only where that leaves no way do neighbours count as one.
    pub(crate) fn way_to(&self, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let way = self.shortest(&wanted, false);
        match way.is_empty() {
            true => self.shortest(&wanted, true),
            false => way,
        }
    }

    fn shortest(&self, wanted: &dyn Fn(usize) -> bool, joined: bool) -> Vec<usize> {
        let Some(entry) = self.entry else {
            return Vec::new();
        };
        let mut came_from = BTreeMap::from([(entry, entry)]);
        let mut queue = VecDeque::from([entry]);
        while let Some(at) = queue.pop_front() {
            if wanted(at) {
                let mut way = vec![at];
                let mut last = at;
                while let Some(before) = came_from.get(&last).filter(|before| **before != last) {
                    way.push(*before);
                    last = *before;
                }
                way.reverse();
                return way;
            }
            let unnamed = |index: usize| {
                let thing = self.things.get(index);
                thing.is_some_and(|thing| thing.symbol.is_none())
            };
            let neighbour = (joined && unnamed(at) && unnamed(at + 1)).then_some(at + 1);
            for next in self.things[at].to.iter().copied().chain(neighbour) {
                came_from.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    at
                });
            }
        }
        Vec::new()
    }
}

/// What an image holds, by address.
struct Memory<'a> {
    image: &'a [u8],
    segments: &'a [Segment],
}

impl Memory<'_> {
    fn segment(&self, address: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| {
            address
                .checked_sub(segment.address)
                .is_some_and(|offset| offset < segment.memory)
        })
    }

    /// The bytes at an address, without those that are zero and not in the file.
    fn bytes(&self, address: u64, size: u64) -> &[u8] {
        let range = || {
            let segment = self.segment(address)?;
            let offset = address - segment.address;
            let size = size.min(segment.file.checked_sub(offset)?);
            let start = usize::try_from(segment.offset + offset).ok()?;
            self.image.get(start..start + usize::try_from(size).ok()?)
        };
        range().unwrap_or(&[])
    }

    /// The addresses in the image that the instructions of a function name.
    fn named_by_code(&self, address: u64, size: u64) -> Vec<u64> {
        let code = self.bytes(address, size);
        let decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
        let mut targets = Vec::new();
        for instruction in decoder {
            targets.extend(addresses(&instruction).filter(|to| self.segment(*to).is_some()));
        }
        targets
    }

    /// The pointers into the image in a stretch of data: where each is, and where to.
    fn pointers(&self, address: u64, size: u64) -> impl Iterator<Item = (u64, u64)> {
        let first = address.next_multiple_of(8);
        let size = size.saturating_sub(first - address);
        let words = self.bytes(first, size).chunks_exact(8);
        (first..).step_by(8).zip(words).filter_map(|(at, word)| {
            let to = u64::from_le_bytes(word.try_into().ok()?);
            self.segment(to).map(|_| (at, to))
        })
    }
}

/// The numbers in an instruction that may be addresses.
fn addresses(instruction: &Instruction) -> impl Iterator<Item = u64> {
    (0..instruction.op_count()).filter_map(|operand| match instruction.op_kind(operand) {
        OpKind::NearBranch64 => Some(instruction.near_branch64()),
        OpKind::Memory => Some(instruction.memory_displacement64()),
        OpKind::Immediate32 | OpKind::Immediate64 | OpKind::Immediate32to64 => {
            Some(instruction.immediate(operand))
        }
        _ => None,
    })
}

/// Where the things without a symbol begin: wherever something refers to outside of every symbol.
struct Found(BTreeSet<u64>);

impl Found {
    fn new(memory: &Memory<'_>, symbols: &[Named<'_>]) -> Self {
        let mut begins = BTreeSet::new();
        let unnamed = |to: u64| {
            let before = symbols.partition_point(|symbol| symbol.address <= to);
            let inside = before
                .checked_sub(1)
                .is_some_and(|index| to - symbols[index].address < symbols[index].size);
            let code = memory
                .segment(to)
                .is_none_or(|segment| segment.protection == Protection::Execute);
            !inside && !code
        };
        for symbol in symbols
            .iter()
            .filter(|symbol| symbol.kind == SymbolKind::Text)
        {
            let named = memory.named_by_code(symbol.address, symbol.size);
            begins.extend(named.into_iter().filter(|to| unnamed(*to)));
        }
        for segment in memory.segments {
            if segment.protection != Protection::Execute {
                let pointers = memory.pointers(segment.address, segment.memory);
                begins.extend(pointers.map(|(_, to)| to).filter(|to| unnamed(*to)));
            }
        }
        Self(begins)
    }

    /// All things in order of address, which refer to nothing yet.
    fn things<'data>(
        &self,
        memory: &Memory<'_>,
        symbols: &[Named<'data>],
    ) -> Vec<(u64, Thing<'data>)> {
        let mut things: BTreeMap<u64, Thing<'data>> = BTreeMap::new();
        for symbol in symbols {
            let thing = Thing {
                symbol: Some(symbol.name),
                kind: symbol.kind,
                size: symbol.size,
                to: BTreeSet::new(),
            };
            things.insert(symbol.address, thing);
        }
        let starts: BTreeSet<u64> = things.keys().chain(&self.0).copied().collect();
        for start in &self.0 {
            let Some(segment) = memory.segment(*start) else {
                continue;
            };
            let limit = segment.address.saturating_add(segment.memory);
            let next = starts.range(start + 1..).next().copied();
            let end = next.map_or(limit, |next| next.min(limit));
            things.entry(*start).or_insert(Thing {
                symbol: None,
                kind: SymbolKind::Data,
                size: end - start,
                to: BTreeSet::new(),
            });
        }
        things.into_iter().collect()
    }
}
