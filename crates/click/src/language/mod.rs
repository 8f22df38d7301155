//! The Click language.
//!
//! [`parse`] takes a configuration through three steps: tokens, scopes of elements and connections
//! (`Program`), and the [`Flat`] graph that remains when compounds, groups, variables and synonyms
//! have been expanded. All that is wrong is collected in [`Diagnostics`], in Click's
//! words on the first line.
//!
//! The text may come from anyone: nesting, expansion and connections have limits, each with its
//! own error, and no input makes the parser panic, recurse without bound or fill the memory.
//!
//! ```
//! use sprat_click::diagnostics::Diagnostics;
//! use sprat_click::language::{AnyClass, NoLibraries, Options, Source, parse};
//!
//! let text = "define($n 10) FromDevice(eth0) -> q :: Queue($n) -> ToDevice(eth1)";
//! let options = Options { classes: &AnyClass, requirements: &NoLibraries, definitions: &[] };
//! let mut diagnostics = Diagnostics::new();
//! let flat = parse(Source::new("config", text), &options, &mut diagnostics).unwrap();
//! assert_eq!(&*flat.elements[1].name, "q");
//! assert_eq!(&*flat.elements[1].config, "10");
//! ```

pub mod archive;
mod expand;
mod lexer;
mod overload;
mod program;
mod reader;
mod source;
mod suggestion;
mod syntax;
#[cfg(test)]
mod tests;
mod variables;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

pub use source::{AnyClass, Classes, NoLibraries, Requirements, Source, SourceError};

use crate::arguments::Rejected;
use crate::diagnostics::Diagnostics;
use crate::graph::Flat;

/// What the language needs to know from outside.
pub struct Options<'a> {
    /// Which element classes exist.
    pub classes: &'a dyn Classes,
    /// Where `require` looks.
    pub requirements: &'a dyn Requirements,
    /// `NAME=VALUE` from the command line: these override the file's own definitions.
    pub definitions: &'a [(String, String)],
}

/// Reads a configuration.
///
/// # Errors
/// Something is wrong with it; `diagnostics` then has at least one error.
pub fn parse(
    source: Source,
    options: &Options<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Flat, Rejected> {
    let before = diagnostics.error_count();
    let program = reader::read(source, options.classes, options.requirements, diagnostics);
    // What cannot be expanded is worth knowing even where something else is wrong.
    let flat = expand::expand(&program, options.definitions, diagnostics)?;
    match diagnostics.error_count() {
        count if count > before => Err(Rejected),
        _ => Ok(flat),
    }
}

/// A reader of configurations for a [`router::Builder`](crate::router::Builder), whose library
/// says which classes exist. `definitions` override those of every configuration it reads.
#[must_use]
pub fn parser(
    requirements: Rc<dyn Requirements>,
    definitions: Vec<(String, String)>,
) -> crate::router::Parse {
    Box::new(move |library, text, file| {
        let options = Options {
            classes: library,
            requirements: &*requirements,
            definitions: &definitions,
        };
        let mut diagnostics = Diagnostics::new();
        match parse(Source::new(file, text), &options, &mut diagnostics) {
            Ok(flat) => Ok((flat, diagnostics)),
            Err(Rejected) => Err(diagnostics),
        }
    })
}
