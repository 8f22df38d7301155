//! The boot monitor as a program: everything is in the library.
#![cfg_attr(sprat_target = "disk", no_std, no_main)]

#[cfg(sprat_target = "disk")]
extern crate sprat_platform_disk as _;

#[cfg(not(sprat_target = "disk"))]
fn main() {
    eprintln!("this program boots machines and runs on none: see `sprat build --target disk`");
    std::process::exit(2);
}
