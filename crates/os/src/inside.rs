//! What every service tells about itself: handlers whose names begin with `os.`.
//!
//! | handler | what |
//! |---|---|
//! | `os.tasks` | each task: its name, how often it ran, what it waits for |
//! | `os.heap` | bytes in use and bytes there are |
//! | `os.log` | how much is logged; can be written |
//! | `os.metrics` | all metrics, as Prometheus text |

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use sprat_platform::Platform as _;

use crate::control::Refusal;
use crate::target::platform;
use crate::{logging, metrics, task};

/// Reads or (with a value) writes such a handler; `None` where there is none of that name.
pub(crate) fn answer(name: &[u8], value: Option<&[u8]>) -> Option<Result<Vec<u8>, Refusal>> {
    let name = core::str::from_utf8(name).ok()?.strip_prefix("os.")?;
    let read: fn(&mut dyn Write) -> fmt::Result = match name {
        "tasks" => task::list,
        "heap" => heap,
        "log" => log,
        "metrics" => all_metrics,
        _ => return None,
    };
    match value {
        None => {
            let mut text = String::new();
            // Writing to a string does not fail.
            let _ = read(&mut text);
            Some(Ok(text.into_bytes()))
        }
        Some(value) if name == "log" => Some(set_levels(value)),
        Some(_) => Some(Err(Refusal::Direction(alloc::format!(
            "handler 'os.{name}' cannot be written"
        )))),
    }
}

fn set_levels(value: &[u8]) -> Result<Vec<u8>, Refusal> {
    let text =
        core::str::from_utf8(value).map_err(|_| Refusal::Failed("a log level is text".into()))?;
    logging::set_levels(text.trim_ascii())
        .map_err(|error| Refusal::Failed(alloc::format!("{error}")))?;
    Ok(Vec::new())
}

fn heap(out: &mut dyn Write) -> fmt::Result {
    match platform().heap() {
        Some((used, total)) => writeln!(out, "{used}\t{total}"),
        None => writeln!(out, "unknown"),
    }
}

fn log(out: &mut dyn Write) -> fmt::Result {
    logging::write_levels(out)?;
    out.write_char('\n')
}

fn all_metrics(out: &mut dyn Write) -> fmt::Result {
    if let Some((used, total)) = platform().heap() {
        metrics::write_other(out, "heap_used_bytes", "", used as u64)?;
        metrics::write_other(out, "heap_bytes", "", total as u64)?;
    }
    metrics::write_other(out, "tasks", "", task::count())?;
    #[cfg(feature = "net")]
    crate::net::write_counters(out)?;
    metrics::write(out)
}
