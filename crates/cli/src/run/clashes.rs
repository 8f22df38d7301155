//! Whether two things that the command line names are one file.
//!
//! An output takes its place only when a run has gone well, so it could overwrite its own input, or
//! one output another, and nobody would be told.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::RunError;
use super::ports::{InputSpec, OutputSpec};
use super::settings::Settings;

/// A file that a run reads or writes.
struct Use {
    flag: &'static str,
    /// What the command line says.
    value: String,
    what: String,
    file: Identity,
}

/// What makes a file the same one, by whatever name.
#[derive(PartialEq, Eq)]
enum Identity {
    /// Standard input or output.
    Standard,
    /// A file that is there: its device and number.
    There(u64, u64),
    /// One that is not there yet: its folder, and its name.
    New(PathBuf),
}

impl Identity {
    /// `None` for devices and pipes, which may be used by several.
    fn of(path: &Path) -> Option<Self> {
        if path == Path::new("-") {
            return Some(Self::Standard);
        }
        match fs::metadata(path) {
            Ok(found) => found
                .is_file()
                .then(|| Self::There(found.dev(), found.ino())),
            Err(_) => {
                let folder = path.parent()?;
                let folder = match folder.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => folder,
                };
                let folder = folder.canonicalize().ok()?;
                Some(Self::New(folder.join(path.file_name()?)))
            }
        }
    }
}

/// Refuses an output that also is an input or another output, and standard input for two devices.
pub(super) fn check(settings: &Settings) -> Result<(), RunError> {
    let (mut read, mut written) = (Vec::new(), Vec::new());
    let mut note = |writes: bool, flag, device: Option<&str>, path: &Path| {
        let name = path.display();
        let found = Identity::of(path).map(|file| Use {
            flag,
            value: device.map_or(name.to_string(), |device| format!("{device}={name}")),
            what: device.map_or("--file".into(), |device| format!("{flag} {device}")),
            file,
        });
        if writes {
            written.extend(found);
        } else {
            read.extend(found);
        }
    };
    for (device, input) in &settings.inputs {
        if let InputSpec::Capture(path) = input {
            note(false, "--in", Some(device), path);
        }
    }
    for (device, output) in &settings.outputs {
        if let OutputSpec::Capture(path) = output {
            note(true, "--out", Some(device), path);
        }
    }
    for (device, block) in &settings.blocks {
        note(true, "--block", Some(device), &block.path);
    }
    for grant in &settings.files {
        note(grant.write, "--file", None, Path::new(&grant.name));
    }
    for (index, input) in read.iter().enumerate() {
        if input.file == Identity::Standard {
            refuse(input, &read[..index], "reads standard input too")?;
        }
    }
    for (index, output) in written.iter().enumerate() {
        refuse(output, &written[..index], "writes the same file")?;
        if output.file != Identity::Standard {
            refuse(output, &read, "reads the same file")?;
        }
    }
    Ok(())
}

fn refuse(one: &Use, others: &[Use], does: &str) -> Result<(), RunError> {
    match others.iter().find(|other| other.file == one.file) {
        Some(other) => Err(RunError::Flag {
            flag: one.flag,
            value: one.value.clone(),
            what: format!("{} {does}", other.what),
        }),
        None => Ok(()),
    }
}
