//! Why a crate is in an image: who calls it.

use std::collections::BTreeSet;

use object::SymbolKind;
use serde::Serialize;

use crate::ImageError;
use crate::references::references;
use crate::sizes::{by_crate, origin};

/// Why a crate is in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The crate.
    #[serde(rename = "crate")]
    pub name: String,
    /// Its bytes of code.
    pub code: u64,
    /// Its bytes of constants and variables.
    pub data: u64,
    /// The shortest way from the first instruction to something of the crate, by function.
    pub way: Vec<String>,
    /// Who of other crates refers to what of the crate, in the order of the names.
    pub uses: Vec<Use>,
}

/// One reference from another crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Use {
    /// The function or constant that refers.
    pub by: String,
    /// What it refers to.
    pub of: String,
}

/// Says why a crate is in an image. Nothing if no function, constant or variable of that name is: a
/// crate nobody calls, or one whose every call was replaced by what it does.
///
/// # Errors
/// When the files are not an image that a monitor would load and its symbols.
pub fn why(image: &[u8], sidecar: &[u8], name: &str) -> Result<Option<Why>, ImageError> {
    // Packages write a dash where the compiler writes an underscore.
    let name = name.replace('-', "_");
    let references = references(image, sidecar)?;
    let origins: Vec<_> = references
        .things
        .iter()
        .map(|thing| thing.symbol.map(origin))
        .collect();
    let of_crate = |index: usize| {
        let origin = origins[index].as_ref();
        origin.is_some_and(|origin| origin.krate == name)
    };
    let size = by_crate(sidecar)?
        .into_iter()
        .find(|size| size.name == name);
    let Some(size) = size else {
        return Ok(None);
    };
    let function = |index: usize| {
        let origin = origins[index].as_ref();
        origin.map(|origin| origin.function.clone())
    };
    let way = references.way_to(of_crate);
    let mut uses = BTreeSet::new();
    for (index, thing) in references.things.iter().enumerate() {
        // Who refers through a constant without a name, such as a table of methods, refers.
        let Some(by) = function(index).filter(|_| !of_crate(index)) else {
            continue;
        };
        let mut seen = BTreeSet::new();
        let mut rest: Vec<usize> = thing.to.iter().copied().collect();
        while let Some(to) = rest.pop() {
            if !seen.insert(to) {
                continue;
            }
            if of_crate(to) {
                let by = by.clone();
                uses.extend(function(to).map(|of| Use { by, of }));
            } else if references.things[to].symbol.is_none()
                && references.things[to].kind == SymbolKind::Data
            {
                rest.extend(&references.things[to].to);
            }
        }
    }
    Ok(Some(Why {
        name,
        code: size.text,
        data: size.data,
        way: way.into_iter().filter_map(function).collect(),
        uses: uses.into_iter().collect(),
    }))
}
