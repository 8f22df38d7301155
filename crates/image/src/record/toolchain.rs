//! The compiler and the linker.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::RecordError;
use crate::TARGET;

/// The programs that make an image of sources, by what they say of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// The compiler: all that `rustc -vV` says.
    pub rustc: String,
    /// Cargo.
    pub cargo: String,
    /// The linker, which comes with the compiler.
    pub linker: String,
}

impl Toolchain {
    /// What the three say, each on lines of its own.
    pub(super) fn said(&self) -> String {
        let Self {
            rustc,
            cargo,
            linker,
        } = self;
        format!("{rustc}\n{cargo}\n{linker}")
    }

    /// The toolchain that is used in a folder.
    pub(super) fn of(cargo: &Path, folder: &Path) -> Result<Self, RecordError> {
        let rustc = std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from);
        let system = say(&rustc, &["--print", "sysroot"], folder)?;
        let linker = Path::new(&system)
            .join("lib/rustlib")
            .join(TARGET)
            .join("bin/rust-lld");
        Ok(Self {
            rustc: say(&rustc, &["-vV"], folder)?,
            cargo: say(cargo, &["-V"], folder)?,
            linker: say(&linker, &["-flavor", "gnu", "--version"], folder)?,
        })
    }
}

/// Runs a program; what it prints.
pub(super) fn say(
    program: &Path,
    arguments: &[&str],
    folder: &Path,
) -> Result<String, RecordError> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    run(&mut command)
}

pub(super) fn run(command: &mut Command) -> Result<String, RecordError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |reason: String| RecordError::Tool {
        program: program.clone(),
        reason,
    };
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(failed(errors.trim_end().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}
