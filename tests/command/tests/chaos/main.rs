//! Whatever fails, whenever: what is declared is what runs afterwards, nothing is left lying about, and
//! neighbours forward as ever.

mod calls;
mod disk;
mod interfaces;
mod killed;
mod load;
mod memory;

use std::fs;

/// Moments at which something is killed, or changed: 60, or as many as the variable says
/// (`cargo xtask chaos`).
pub(crate) fn moments() -> u32 {
    let given = std::env::var("SPRAT_CHAOS_MOMENTS").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(60)
}

/// Descriptors that a process has open, and its mappings.
pub(crate) fn holds(process: u64) -> [usize; 2] {
    let open = fs::read_dir(format!("/proc/{process}/fd"));
    let mapped = fs::read_to_string(format!("/proc/{process}/maps"));
    [
        open.expect("a process of ours").count(),
        mapped.expect("a process of ours").lines().count(),
    ]
}
