//! Whether a configuration uses the devices that the command line connects.
//!
//! A frame for a device that nothing reads would be neither passed nor dropped, so a name that the
//! configuration does not know is refused before anything boots.

use sprat_click::graph::Flat;

use super::error::RunError;
use super::settings::Settings;
use crate::devices::named_by;

/// Checks every `--in`, `--out` and `--port` against the configuration's elements.
pub(super) fn check(settings: &Settings, flat: &Flat) -> Result<(), RunError> {
    for (device, _) in &settings.inputs {
        if !is_named(flat, &["FromDevice", "PollDevice"], device) {
            return Err(unused(
                "--in",
                device,
                "no FromDevice of the configuration reads it",
            ));
        }
    }
    for (device, _) in &settings.outputs {
        if !is_named(flat, &["ToDevice"], device) {
            return Err(unused(
                "--out",
                device,
                "no ToDevice of the configuration sends to it",
            ));
        }
    }
    for (device, _) in &settings.ports {
        if !is_used(flat, device) {
            return Err(unused(
                "--port",
                device,
                "no FromDevice and no ToDevice of the configuration names it",
            ));
        }
    }
    Ok(())
}

fn unused(flag: &'static str, device: &str, what: &str) -> RunError {
    RunError::Flag {
        flag,
        value: device.into(),
        what: what.into(),
    }
}

/// Whether a configuration takes frames from a device, or sends any to it.
pub(crate) fn is_used(flat: &Flat, device: &str) -> bool {
    is_named(flat, &["FromDevice", "PollDevice", "ToDevice"], device)
}

/// Whether an element of one of the classes has the device as its first argument or DEVNAME.
fn is_named(flat: &Flat, classes: &[&str], device: &str) -> bool {
    flat.elements
        .iter()
        .filter(|element| classes.contains(&&*element.class))
        .any(|element| named_by(element).as_deref() == Some(device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sprat_click::diagnostics::Diagnostics;
    use sprat_click::language::{AnyClass, NoLibraries, Options, Source, parse};

    #[test]
    fn a_device_is_found_by_position_and_by_keyword() {
        let options = Options {
            classes: &AnyClass,
            requirements: &NoLibraries,
            definitions: &[],
        };
        let text = "FromDevice(eth0, PROMISC true) -> ToDevice(DEVNAME eth1);";
        let flat = parse(
            Source::new("config", text),
            &options,
            &mut Diagnostics::new(),
        )
        .unwrap();
        assert!(is_named(&flat, &["FromDevice"], "eth0"));
        assert!(is_named(&flat, &["ToDevice"], "eth1"));
        assert!(!is_named(&flat, &["ToDevice"], "eth0"));
        assert!(!is_named(&flat, &["FromDevice"], "true"));
    }
}
