//! Runs configurations as `sprat click` does, and says how often each allocated:
//! `cargo bench -p sprat-userlevel --bench allocations -- FILE..`.
//!
//! `cargo xtask bench allocations` runs it twice over more and fewer packets: what is allocated for
//! a packet, and not once for all, is in the difference.

#[path = "../../elements/tests/counting/mod.rs"]
mod counting;

use std::error::Error;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use counting::CALLS;
use sprat_click::driver::Driver;
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;
use sprat_packet::Pool;
use sprat_userlevel::{Process, ProcessOptions};

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo itself adds `--bench`.
    let files = std::env::args().skip(1).filter(|name| name != "--bench");
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let before = CALLS.load(Ordering::Relaxed);
        run(&text)?;
        let calls = CALLS.load(Ordering::Relaxed) - before;
        println!("ALLOCATIONS {calls} {file}");
    }
    Ok(())
}

fn run(text: &str) -> Result<(), Box<dyn Error>> {
    let process = Process::new(ProcessOptions::default());
    let builder = Builder::new(
        sprat_elements::library(),
        process.clone(),
        Pool::growing(),
        parser(Rc::new(NoLibraries), Vec::new()),
    );
    let (router, _) = Rc::new(builder)
        .build(text, "config")
        .map_err(|error| error.diagnostics.to_string())?;
    let mut driver = Driver::new(router);
    process.run(&mut driver);
    drop(driver.finish());
    process.finish()?;
    Ok(())
}
