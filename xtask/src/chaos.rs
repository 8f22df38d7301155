//! `cargo xtask chaos [MOMENTS]`: what the chaos tests do, for as long as somebody wants.

use std::io::{Error, ErrorKind, Result};

use crate::{machine, process};

/// Moments, where nobody says how many: about half an hour.
const MOMENTS: u32 = 5000;

/// Kills at so many seeded moments; true when everything was as declared afterwards.
///
/// # Errors
/// The argument is no number, or cargo cannot be started.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let moments = match arguments {
        [] => MOMENTS,
        [moments] => moments.parse().map_err(|_| {
            let text = format!("expected a number of moments, found {moments}");
            Error::new(ErrorKind::InvalidInput, text)
        })?,
        _ => {
            let text = "expected one number of moments";
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
    };
    machine::install_programs();
    let arguments = [
        "test",
        "--locked",
        "--package",
        "end-to-end",
        "--test",
        "chaos",
    ];
    let mut command = process::cargo(&arguments);
    process::show(command.env("SPRAT_CHAOS_MOMENTS", moments.to_string()))
}
