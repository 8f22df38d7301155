//! The handlers of elements with a pattern for each output.

use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::{HandlerError, HandlerList};

use super::dispatch::Dispatch;

/// Names them.
pub(super) fn list(dispatch: &Dispatch, list: &mut HandlerList) {
    list.read("program");
    for number in 0..dispatch.len() {
        list.read(format!("pattern{number}"));
    }
    list.read("counts").read("memory").button("reset_counts");
}

/// Reads one.
pub(super) fn read(dispatch: &Dispatch, name: &str) -> Result<String, HandlerError> {
    match name {
        "program" => Ok(dispatch.program()),
        "counts" => Ok(dispatch.counts()),
        "memory" => Ok(dispatch.bytes().to_string()),
        _ => name
            .strip_prefix("pattern")
            .and_then(|number| dispatch.text(number.parse().ok()?))
            .map(String::from)
            .ok_or_else(|| HandlerError::NoHandler(name.into())),
    }
}

/// Writes one.
pub(super) fn write(dispatch: &mut Dispatch, name: &str) -> Result<(), HandlerError> {
    match name {
        "reset_counts" => dispatch.reset(),
        _ => return Err(HandlerError::NoHandler(name.into())),
    }
    Ok(())
}
