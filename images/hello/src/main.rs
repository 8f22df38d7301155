//! The smallest image: says a line and ends.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sprat::log;

sprat::parameters! {
    /// What hello takes.
    pub struct Options {
        /// Whom to greet.
        name: &'static str = "world",
    }
}

sprat::manifest! { parameters: Options, |manifest| manifest.memory(SMALL) }
sprat::entry!(run);

/// Enough for a line of log.
const SMALL: sprat::abi::manifest::Memory = sprat::abi::manifest::Memory {
    heap: 1 << 20,
    stack: 64 << 10,
};

fn run(options: Options) {
    log::info!("hello, {}", options.name);
}
