//! Whatever fails, whenever: what is declared is what runs afterwards, nothing is left lying about, and
//! neighbours forward as ever.

mod calls;
mod clock;
mod disk;
mod hostile;
mod interfaces;
mod killed;
mod load;
mod memory;

use std::fs;
use std::thread;
use std::time::Duration;

use end_to_end::Host;

/// Moments at which something is killed, or changed: 60, or as many as the variable says
/// (`cargo xtask chaos`).
pub(crate) fn moments() -> u32 {
    let given = std::env::var("SPRAT_CHAOS_MOMENTS").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(60)
}

/// Descriptors that a process has open, and its mappings.
fn holds(process: u64) -> [usize; 2] {
    let open = fs::read_dir(format!("/proc/{process}/fd"));
    let mapped = fs::read_to_string(format!("/proc/{process}/maps"));
    [
        open.expect("a process of ours").count(),
        mapped.expect("a process of ours").lines().count(),
    ]
}

/// What processes hold when they have come to rest: instances and machines that are made ready come a
/// little later than all else.
pub(crate) fn at_rest<const N: usize>(host: &Host, processes: [u64; N]) -> [[usize; 2]; N] {
    const ALIKE: usize = 3;
    let mut last = (processes.map(holds), 0);
    host.until(|| {
        thread::sleep(Duration::from_millis(100));
        let now = processes.map(holds);
        last = (now, if now == last.0 { last.1 + 1 } else { 0 });
        (last.1 == ALIKE).then_some(now)
    })
}
