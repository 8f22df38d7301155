//! Panics, as a service does whose assumption did not hold. Unlike the others it is built on the
//! library OS, whose panic handler is what is tested.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sprat::Status;
use sprat::abi::boot::DeviceKind;
use sprat::parameters::ANY_NAME;

sprat::parameters! {
    /// What it takes.
    pub struct Options {
        /// A place in a list of three.
        place: u32 = "3",
    }
}

sprat::manifest! {
    parameters: Options,
    |manifest| manifest
        .device(ANY_NAME, DeviceKind::Network, false)
        .device(ANY_NAME, DeviceKind::OutputFile, false)
}
sprat::entry!(panics);

fn panics(options: Options) -> Status {
    look_up(options.place as usize)
}

#[inline(never)]
fn look_up(place: usize) -> Status {
    Status([7, 11, 13][place]) // here
}
