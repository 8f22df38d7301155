//! `sprat run -t unix`: a package as an ordinary Linux program, for a debugger to look into.

use sprat_switch::port::PortSpec;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;

use super::RunCommand;
use super::error::RunError;
use super::ports::{InputSpec, OutputSpec};
use super::settings::Settings;
use crate::package::PackageError;

/// Becomes `cargo run`, which builds the program and becomes it. Returns only why it could not.
pub(super) fn run(arguments: &RunCommand, settings: &Settings) -> Result<(), RunError> {
    let Some(package) = &settings.package else {
        let path = arguments.program.clone();
        return Err(PackageError::NoProgram { path }.into());
    };
    let mut command = package.cargo_run(arguments.profile());
    command.arg("--").args(words(arguments, settings)?);
    let error: io::Error = command.exec();
    Err(PackageError::Cargo(error).into())
}

/// What a run says, as the program is told.
fn words(arguments: &RunCommand, settings: &Settings) -> Result<Vec<OsString>, RunError> {
    let only_images = |what: String| RunError::OnlyImages { what };
    for (flag, is_given) in [
        ("--monitor", arguments.monitor.is_some()),
        ("--memory", arguments.memory.is_some()),
        ("--clock", arguments.clock.is_some()),
        ("--pace", arguments.pace.is_some()),
        ("--for", arguments.duration.is_some()),
        ("--dedicated", arguments.dedicated),
        ("--name", arguments.name.is_some()),
        ("--control", arguments.control.is_some()),
        ("--json", arguments.json),
        ("--quiet", arguments.quiet),
    ] {
        if is_given {
            return Err(only_images(flag.into()));
        }
    }
    let mut words: Vec<OsString> = Vec::new();
    let mut add = |flag: &str, value: OsString| words.extend([flag.into(), value]);
    let named = |name: &str, value: OsString| {
        let mut word = OsString::from(format!("{name}="));
        word.push(value);
        word
    };
    for (name, input) in &settings.inputs {
        match input {
            InputSpec::Capture(path) => add("--in", named(name, path.into())),
            InputSpec::Generate(_) => return Err(only_images(format!("--in {name}=generate"))),
        }
    }
    for (name, output) in &settings.outputs {
        match output {
            OutputSpec::Capture(path) => add("--out", named(name, path.into())),
            OutputSpec::Sink => return Err(only_images(format!("--out {name}=sink"))),
        }
    }
    for (name, port) in &settings.ports {
        match port {
            PortSpec::User { loopback: false } => add("--port", named(name, "user".into())),
            PortSpec::User { loopback: true } => add("--port", named(name, "user:loopback".into())),
            PortSpec::Tap(interface) | PortSpec::Packet(interface) | PortSpec::Xdp(interface) => {
                return Err(only_images(format!(
                    "--port {name}: an interface ({interface})"
                )));
            }
        }
    }
    for publish in &settings.publish {
        add("--publish", publish.to_string().into());
    }
    for (name, block) in &settings.blocks {
        // Makes the file where it is to be made; the program opens it again.
        drop(block.open(name)?);
        add("--block", named(name, block.path.clone().into()));
    }
    for file in &settings.files {
        let flag = if file.write { "--write" } else { "--file" };
        add(flag, file.name.clone().into());
    }
    for (name, value) in &settings.parameters {
        words.push(format!("--{name}={value}").into());
    }
    Ok(words)
}
