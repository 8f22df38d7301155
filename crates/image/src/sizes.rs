//! How many bytes of an image each crate takes.

use std::collections::BTreeMap;

use object::{Object as _, ObjectSymbol as _, SymbolKind};

use crate::ImageError;

/// What one crate takes in an image.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CrateSize {
    /// The crate; in parentheses what belongs to none, such as unnamed constants.
    pub name: String,
    /// Bytes of code.
    pub text: u64,
    /// Bytes of named constants and variables.
    pub data: u64,
}

/// Sums the symbols of a sidecar by the crate that they come from, largest first.
pub(crate) fn by_crate(sidecar: &[u8]) -> Result<Vec<CrateSize>, ImageError> {
    let file = object::File::parse(sidecar).map_err(|error| ImageError::Elf(error.to_string()))?;
    let mut crates: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    // Identical functions are folded into one with several names: count each address once.
    let mut counted = std::collections::BTreeSet::new();
    for symbol in file.symbols() {
        if symbol.size() == 0 || !counted.insert(symbol.address()) {
            continue;
        }
        let Ok(name) = symbol.name() else { continue };
        let sums = crates.entry(crate_of(name)).or_default();
        match symbol.kind() {
            SymbolKind::Text => sums.0 = sums.0.saturating_add(symbol.size()),
            SymbolKind::Data => sums.1 = sums.1.saturating_add(symbol.size()),
            _ => {}
        }
    }
    let mut sizes: Vec<CrateSize> = crates
        .into_iter()
        .filter(|(_, (text, data))| text | data > 0)
        .map(|(name, (text, data))| CrateSize { name, text, data })
        .collect();
    sizes.sort_by_key(|size| std::cmp::Reverse(size.text.saturating_add(size.data)));
    Ok(sizes)
}

/// The crate that a symbol comes from.
fn crate_of(symbol: &str) -> String {
    let Ok(demangled) = rustc_demangle::try_demangle(symbol) else {
        return "(no crate)".to_owned();
    };
    let path = format!("{demangled:#}");
    // `<Type as Trait>::method` belongs to the type's crate, or, where that is a primitive, to the
    // trait's.
    let own = first_segment(&path);
    let of_trait = || path.split(" as ").nth(1).and_then(first_segment);
    own.or_else(of_trait).unwrap_or("(no crate)").to_owned()
}

/// The first name of a path that has more than one, past references, brackets and the like.
fn first_segment(path: &str) -> Option<&str> {
    let mut rest = path;
    loop {
        let shorter = rest.trim_start_matches(['<', '&', '*', '[', '(', ' ']);
        let shorter = ["mut ", "const ", "dyn "]
            .iter()
            .find_map(|word| shorter.strip_prefix(word))
            .unwrap_or(shorter);
        if shorter.len() == rest.len() {
            break;
        }
        rest = shorter;
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0 && rest[end..].starts_with("::")).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_belong_to_the_crate_of_their_type_or_trait() {
        let cases = [
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core"),
            (
                "_ZN56_$LT$sprat_click..Router$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                "sprat_click",
            ),
            (
                "_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                "core",
            ),
            ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate"),
            ("_RNvXCs1234_7mycratehNtB2_3Foo3bar", "mycrate"),
            ("memcpy", "(no crate)"),
        ];
        for (symbol, expected) in cases {
            assert_eq!(crate_of(symbol), expected, "{symbol}");
        }
    }
}
