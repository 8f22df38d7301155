//! Files that the command line grants to an instance.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sprat_monitor::{Grant, GrantedDevice};
use tempfile::NamedTempFile;

use super::error::RunError;
use super::settings::FileGrant;

/// The files of a run. Those that are written stay aside until it has gone well.
pub(super) struct Files {
    inputs: Vec<(String, File)>,
    outputs: Vec<(String, NamedTempFile)>,
}

impl Files {
    /// Opens what is granted.
    pub(super) fn open(grants: &[FileGrant]) -> Result<Self, RunError> {
        let mut files = Self {
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        for grant in grants {
            let fail = |source| RunError::File {
                name: grant.name.clone(),
                source,
            };
            if grant.write {
                let path = PathBuf::from(&grant.name);
                let folder = path
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty())
                    .unwrap_or(Path::new("."));
                // Said of the folder, and not of a file that nobody has named.
                fs::metadata(folder).map_err(fail)?;
                if path.is_dir() {
                    return Err(fail(io::ErrorKind::IsADirectory.into()));
                }
                let permissions = fs::Permissions::from_mode(0o666);
                let aside = tempfile::Builder::new()
                    .prefix(".sprat-")
                    .permissions(permissions)
                    .tempfile_in(folder);
                files
                    .outputs
                    .push((grant.name.clone(), aside.map_err(fail)?));
            } else {
                let file = File::open(&grant.name).map_err(fail)?;
                if file.metadata().map_err(fail)?.is_dir() {
                    return Err(fail(io::ErrorKind::IsADirectory.into()));
                }
                files.inputs.push((grant.name.clone(), file));
            }
        }
        Ok(files)
    }

    /// The files as devices of the instance: those to read, then those to write.
    pub(super) fn grants(&self) -> Result<Vec<Grant>, RunError> {
        let mut grants = Vec::new();
        for (name, file) in &self.inputs {
            let file = file.try_clone().map_err(|source| RunError::File {
                name: name.clone(),
                source,
            })?;
            grants.push(Grant {
                name: name.clone(),
                device: GrantedDevice::InputFile(file),
            });
        }
        for (name, _) in &self.outputs {
            grants.push(Grant {
                name: name.clone(),
                device: GrantedDevice::OutputFile,
            });
        }
        Ok(grants)
    }

    /// Writes what came out of each file, in the order of the grants.
    pub(super) fn write(&mut self, pieces: &[Vec<u8>]) -> Result<(), RunError> {
        for ((name, file), bytes) in self.outputs.iter_mut().zip(pieces) {
            file.write_all(bytes).map_err(|source| RunError::File {
                name: name.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// Puts the written files in their places.
    pub(super) fn finish(&mut self) -> Result<(), RunError> {
        for (name, file) in self.outputs.drain(..) {
            file.persist(&name).map_err(|error| RunError::File {
                name,
                source: error.error,
            })?;
        }
        Ok(())
    }
}
