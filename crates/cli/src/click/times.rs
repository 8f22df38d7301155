//! What running a router took.

use std::time::Duration;

/// Processor time in the user's and the system's name and time on the clock, as the C shell
/// prints them.
pub(super) fn spent(elapsed: Duration) -> String {
    let (user, system) = processor_time().unwrap_or_default();
    format!(
        "{:.3}u {:.3}s {}:{:05.2}\n",
        user.as_secs_f64(),
        system.as_secs_f64(),
        elapsed.as_secs() / 60,
        elapsed.as_secs_f64() % 60.0
    )
}

/// Ticks in a second, as /proc counts them whatever the machine.
const TICKS: u64 = 100;

/// The time in user and in system mode, from /proc/self/stat (proc(5), fields 14 and 15).
fn processor_time() -> Option<(Duration, Duration)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the command's name, in parentheses, and may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let mut next = || {
        let ticks: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_millis(ticks * 1000 / TICKS))
    };
    Some((next()?, next()?))
}
