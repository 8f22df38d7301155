//! What stands behind `--block NAME=FILE[:SIZE]`: files that hold the blocks of devices.

use std::fs::{File, TryLockError};
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sprat_abi::block::BLOCK_SIZE;
use sprat_monitor::{Grant, GrantedDevice};

use super::error::RunError;
use super::ports::relative;
use super::size;

/// A file that holds a device's blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockSpec {
    pub(super) path: PathBuf,
    /// How many bytes there must be: a file that is not there or is smaller grows.
    size: Option<u64>,
    read_only: bool,
}

impl BlockSpec {
    /// Reads a specification; file names are relative to `folder`.
    pub(super) fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let (path, size, read_only) = match text.rsplit_once(':') {
            Some((path, "ro")) => (path, None, true),
            Some((path, suffix)) if suffix.starts_with(|c: char| c.is_ascii_digit()) => {
                (path, Some(size(suffix)?), false)
            }
            _ => (text, None, false),
        };
        if path.is_empty() {
            return Err("expected NAME=FILE[:SIZE], such as data=store.blk:64M".into());
        }
        if size.is_some_and(|size| !size.is_multiple_of(u64::from(BLOCK_SIZE))) {
            return Err(format!("a size is a multiple of {BLOCK_SIZE}"));
        }
        Ok(Self {
            path: relative(path, folder),
            size,
            read_only,
        })
    }

    /// Opens the file, for this run alone, and makes it as large as was asked for.
    pub(super) fn open(&self, name: &str) -> Result<Grant, RunError> {
        let wrong = |what: String| RunError::Flag {
            flag: "--block",
            value: format!("{name}={}", self.path.display()),
            what,
        };
        let fail = |source: io::Error| wrong(source.to_string());
        let opened = File::options()
            .read(true)
            .write(!self.read_only)
            .create(self.size.is_some())
            .truncate(false)
            .open(&self.path);
        let mut file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.size.is_none() => {
                let hint = "there is no such file; say how large one to make, such as";
                return Err(wrong(format!("{hint} {}:64M", self.path.display())));
            }
            opened => opened.map_err(fail)?,
        };
        let lock = match self.read_only {
            true => file.try_lock_shared(),
            false => file.try_lock(),
        };
        match lock {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(wrong("another run uses the file".into()));
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        let mut length = file.seek(SeekFrom::End(0)).map_err(fail)?;
        if let Some(size) = self.size {
            if length > size {
                return Err(wrong(format!(
                    "the file has {length} bytes, more than {size}, and is not made smaller"
                )));
            }
            if length < size {
                file.set_len(size).map_err(fail)?;
                length = size;
            }
        }
        let blocks = length / u64::from(BLOCK_SIZE);
        if blocks == 0 || !length.is_multiple_of(u64::from(BLOCK_SIZE)) {
            return Err(wrong(format!(
                "the file has {length} bytes, which are no blocks of {BLOCK_SIZE}"
            )));
        }
        Ok(Grant {
            name: name.into(),
            device: GrantedDevice::Block {
                file: Arc::new(file),
                blocks,
                read_only: self.read_only,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<BlockSpec, String> {
        BlockSpec::parse(text, Path::new("folder"))
    }

    #[test]
    fn a_size_is_told_from_a_colon_in_a_name() {
        for (text, path, size, read_only) in [
            ("a.blk", "folder/a.blk", None, false),
            ("a.blk:64M", "folder/a.blk", Some(64 << 20), false),
            ("/b/a:b.blk", "/b/a:b.blk", None, false),
            ("a:b:1G", "folder/a:b", Some(1 << 30), false),
            ("a.blk:ro", "folder/a.blk", None, true),
        ] {
            let expected = BlockSpec {
                path: path.into(),
                size,
                read_only,
            };
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in [":64M", "a.blk:10", "a.blk:64Q", "a.blk:65537"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    /// What opening says is wrong.
    fn refusal(spec: &str, folder: &Path) -> String {
        let spec = BlockSpec::parse(spec, folder).expect("well formed");
        spec.open("data").expect_err("refused").to_string()
    }

    #[test]
    fn a_file_is_made_grown_and_never_shrunk_and_has_one_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.blk");
        assert!(refusal("a.blk", folder.path()).contains("a.blk:64M"));
        assert!(!path.exists());
        for (spec, expected) in [("a.blk:64K", 128), ("a.blk:128K", 256), ("a.blk", 256)] {
            let spec = BlockSpec::parse(spec, folder.path()).expect("well formed");
            let grant = spec.open("data").expect("opened");
            let GrantedDevice::Block { blocks, .. } = &grant.device else {
                panic!("{grant:?}")
            };
            assert_eq!(*blocks, expected);
            assert!(refusal("a.blk", folder.path()).ends_with("another run uses the file"));
        }
        assert!(refusal("a.blk:64K", folder.path()).contains("not made smaller"));
        std::fs::write(&path, [0; 1000]).expect("written");
        assert!(refusal("a.blk", folder.path()).contains("1000 bytes"));
    }
}
