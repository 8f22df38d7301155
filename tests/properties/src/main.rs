//! What a conformance run starts: the parameter `property` says which property to show. It ends with
//! status 0 where the property holds as far as it can see, and says what is wrong where not; what only
//! the outside can see is on its console, in its frames and in how it ends. The list, with what each
//! means, is docs/reference/properties.md.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

extern crate alloc;

mod blocks;
mod broken;
mod computing;
mod connections;
mod console;
mod frames;
mod outside;
mod time;

use alloc::format;
use alloc::string::String;

use sprat::Status;
use sprat::abi::boot::DeviceKind;
use sprat::abi::manifest::Memory;
use sprat::parameters::ANY_NAME;

sprat::parameters! {
    /// What the program takes.
    pub struct Options {
        /// Which property to show.
        property: &'static str,
        /// A word to say.
        word: &'static str = "unsaid",
        /// A number to add one to.
        number: u32 = "41",
    }
}

sprat::manifest! {
    parameters: Options,
    |manifest| manifest
        .memory(Memory { heap: 2 << 20, stack: 64 << 10 })
        .device(ANY_NAME, DeviceKind::Network, false)
        .device(ANY_NAME, DeviceKind::Block, false)
        .device(ANY_NAME, DeviceKind::InputFile, false)
        .device(ANY_NAME, DeviceKind::OutputFile, false)
}
sprat::entry!(run);

/// Whether a property holds, or what is wrong.
type Shown = Result<(), String>;

fn run(options: Options) -> Result<(), Status> {
    let shown = match options.property.split_once('-').map(|(family, _)| family) {
        Some("console" | "parameter" | "configuration" | "exit") => console::show(&options),
        Some("clock" | "timer" | "task") => time::show(options.property),
        Some("heap" | "random" | "code") => computing::show(options.property),
        Some("tcp") => connections::show(options.property),
        Some("block") => blocks::show(options.property),
        Some("frames") => frames::show(options.property),
        Some("file" | "handler" | "stop" | "statistics") => outside::show(options.property),
        Some("broken") => broken::show(options.property),
        _ => None,
    };
    match shown {
        Some(Ok(())) => Ok(()),
        Some(Err(wrong)) => {
            sprat::place::write_console(format!("wrong: {wrong}\n").as_bytes());
            Err(Status(1))
        }
        None => {
            let name = options.property;
            sprat::place::write_console(format!("no property '{name}'\n").as_bytes());
            Err(Status(3))
        }
    }
}

/// Says what is wrong where `holds` is false.
fn expect(holds: bool, wrong: impl FnOnce() -> String) -> Shown {
    match holds {
        true => Ok(()),
        false => Err(wrong()),
    }
}
