//! How many bytes of an image each crate, module and function takes.

mod names;
mod treemap;

use std::collections::BTreeMap;

use object::{Object as _, ObjectSymbol as _, SymbolKind};
use serde::Serialize;

use crate::{ImageError, Protection, elf};

pub(crate) use names::{Origin, origin};
pub use treemap::treemap;

/// What one crate takes in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CrateSize {
    /// The crate; in parentheses what belongs to none, such as unnamed constants.
    pub name: String,
    /// Bytes of code.
    pub text: u64,
    /// Bytes of named constants and variables.
    pub data: u64,
}

/// What a part of an image takes, and what that is made of, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// A crate, a module of it, or a function or variable of that; in parentheses what has no name.
    pub name: String,
    /// Bytes of code.
    pub code: u64,
    /// Bytes of constants and variables.
    pub data: u64,
    /// What it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

impl Part {
    /// All its bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.code.saturating_add(self.data)
    }

    fn add(&mut self, kind: SymbolKind, size: u64) {
        let sum = match kind {
            SymbolKind::Text => &mut self.code,
            _ => &mut self.data,
        };
        *sum = sum.saturating_add(size);
    }
}

/// A symbol that takes room in an image.
pub(crate) struct Named<'data> {
    pub(crate) name: &'data str,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) kind: SymbolKind,
}

/// The functions, constants and variables of a linked file. Identical ones are folded into one with
/// several names, of which the first counts; what begins inside another is part of it.
pub(crate) fn named<'data>(file: &object::File<'data>) -> Vec<Named<'data>> {
    let mut symbols: Vec<Named<'data>> = file
        .symbols()
        .filter(|symbol| {
            symbol.size() > 0 && matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data)
        })
        .filter_map(|symbol| {
            // Nothing ends beyond the last address, so what lies apart has a sum.
            symbol.address().checked_add(symbol.size())?;
            Some(Named {
                name: symbol.name().ok()?,
                address: symbol.address(),
                size: symbol.size(),
                kind: symbol.kind(),
            })
        })
        .collect();
    // Stable: of several names for one place the first of the file stays the first.
    symbols.sort_by_key(|symbol| symbol.address);
    let mut end = 0;
    symbols.retain(|symbol| {
        let kept = symbol.address >= end;
        if kept {
            end = symbol.address + symbol.size;
        }
        kept
    });
    symbols
}

/// Sums the symbols of a sidecar by the crate that they come from, largest first.
pub(crate) fn by_crate(sidecar: &[u8]) -> Result<Vec<CrateSize>, ImageError> {
    let file = object::File::parse(sidecar).map_err(|error| ImageError::Elf(error.to_string()))?;
    let crates = tree(&named(&file)).into_iter().map(|part| CrateSize {
        name: part.name,
        text: part.code,
        data: part.data,
    });
    Ok(crates.collect())
}

/// Everything that an image loads, by crate, module and function; the sum is its memory.
///
/// # Errors
/// When the files are not an image that a monitor would load and its symbols.
pub fn measure(image: &[u8], sidecar: &[u8]) -> Result<Part, ImageError> {
    let parsed = elf::parse(image)?;
    parsed.check_sidecar(sidecar)?;
    let file = object::File::parse(sidecar).map_err(|error| ImageError::Elf(error.to_string()))?;
    let symbols = named(&file);
    let mut parts = tree(&symbols);
    for segment in &parsed.segments {
        let range = segment.address..segment.address.saturating_add(segment.memory);
        let named: u64 = symbols
            .iter()
            .filter(|symbol| range.contains(&symbol.address))
            .map(|symbol| symbol.size)
            .sum();
        let rest = segment.memory.saturating_sub(named);
        let (name, kind) = match segment.protection {
            Protection::Execute => ("(between functions)", SymbolKind::Text),
            Protection::Read => ("(constants without a name)", SymbolKind::Data),
            Protection::Write => ("(variables without a name)", SymbolKind::Data),
        };
        if rest > 0 {
            let mut part = Part {
                name: name.to_owned(),
                ..Part::default()
            };
            part.add(kind, rest);
            parts.push(part);
        }
    }
    sort(&mut parts);
    let mut whole = Part {
        name: crate::inspect(image, None)?.name,
        ..Part::default()
    };
    for part in &parts {
        whole.code = whole.code.saturating_add(part.code);
        whole.data = whole.data.saturating_add(part.data);
    }
    whole.parts = parts;
    Ok(whole)
}

/// The crates with their modules and functions, largest first.
fn tree(symbols: &[Named<'_>]) -> Vec<Part> {
    let mut crates: BTreeMap<String, BTreeMap<String, BTreeMap<String, Part>>> = BTreeMap::new();
    for symbol in symbols {
        let Origin {
            krate,
            module,
            function,
        } = origin(symbol.name);
        let modules = crates.entry(krate).or_default();
        let functions = modules.entry(module).or_default();
        functions
            .entry(function)
            .or_default()
            .add(symbol.kind, symbol.size);
    }
    gather(crates, |modules| gather(modules, gather_leaves))
}

/// Names parts, and sums what they are made of.
fn gather<T>(named: BTreeMap<String, T>, parts: impl Fn(T) -> Vec<Part>) -> Vec<Part> {
    let mut gathered: Vec<Part> = named
        .into_iter()
        .map(|(name, inner)| {
            let parts = parts(inner);
            Part {
                name,
                code: parts.iter().map(|part| part.code).sum(),
                data: parts.iter().map(|part| part.data).sum(),
                parts,
            }
        })
        .collect();
    sort(&mut gathered);
    gathered
}

fn gather_leaves(functions: BTreeMap<String, Part>) -> Vec<Part> {
    let mut leaves: Vec<Part> = functions
        .into_iter()
        .map(|(name, part)| Part { name, ..part })
        .collect();
    sort(&mut leaves);
    leaves
}

/// Largest first, and by name where they are equal.
fn sort(parts: &mut [Part]) {
    parts.sort_by(|left, right| (right.bytes(), &left.name).cmp(&(left.bytes(), &right.name)));
}
