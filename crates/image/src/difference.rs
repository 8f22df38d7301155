//! Where two builds of one image differ.

use std::fmt;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::elf;
use crate::sizes::origin;

/// The first byte that two files do not share.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Where it is, from the beginning of the files.
    pub offset: usize,
    /// What the first file has there; nothing where it has ended.
    pub first: Option<u8>,
    /// What the second file has there; nothing where it has ended.
    pub second: Option<u8>,
    /// The section that it is in, where the file has sections.
    pub section: Option<String>,
    /// The function, constant or variable that it is in, where one has a name.
    pub symbol: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "byte {}", self.offset)?;
        if let Some(section) = &self.section {
            write!(out, " in {section}")?;
        }
        if let Some(symbol) = &self.symbol {
            write!(out, ", {symbol}")?;
        }
        match (self.first, self.second) {
            (Some(first), Some(second)) => write!(out, ": {first:#04x} and {second:#04x}"),
            (Some(_), None) => out.write_str(": the second ends there"),
            _ => out.write_str(": the first ends there"),
        }
    }
}

/// Compares two files; nothing if they are the same. `linked` is the linked file of the first, which
/// says what lies where.
#[must_use]
pub fn difference(first: &[u8], second: &[u8], linked: &[u8]) -> Option<Difference> {
    let differs = first
        .iter()
        .zip(second)
        .position(|(one, other)| one != other);
    let offset = match differs {
        Some(offset) => offset,
        None if first.len() == second.len() => return None,
        None => first.len().min(second.len()),
    };
    let before = elf::before_split(first, linked, offset as u64);
    let (section, symbol) = place(linked, before.unwrap_or(offset as u64));
    Some(Difference {
        offset,
        first: first.get(offset).copied(),
        second: second.get(offset).copied(),
        section,
        symbol,
    })
}

/// The section and the symbol that a byte of a linked file belongs to.
fn place(linked: &[u8], offset: u64) -> (Option<String>, Option<String>) {
    let Ok(file) = object::File::parse(linked) else {
        return (None, None);
    };
    for section in file.sections() {
        let Some((start, size)) = section.file_range() else {
            continue;
        };
        if !(start..start.saturating_add(size)).contains(&offset) {
            continue;
        }
        let address = section.address().saturating_add(offset - start);
        let symbol = file.symbols().find(|symbol| {
            let end = symbol.address().saturating_add(symbol.size());
            section.address() > 0 && (symbol.address()..end).contains(&address)
        });
        let symbol = symbol.and_then(|symbol| Some(origin(symbol.name().ok()?).function));
        return (section.name().ok().map(str::to_owned), symbol);
    }
    (None, None)
}
