//! Any text as a Click configuration: a graph or messages, never a panic and never without end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::diagnostics::Diagnostics;
use sprat_click::language::{AnyClass, NoLibraries, Options, Source, parse};
use std::hint::black_box;

fuzz_target!(|text: &str| {
    let options = Options { classes: &AnyClass, requirements: &NoLibraries, definitions: &[] };
    let mut diagnostics = Diagnostics::new();
    if let Ok(flat) = parse(Source::new("config", text), &options, &mut diagnostics) {
        black_box(flat.unparse());
    }
});
