//! Captures, read by the letter of the pcap format (draft-ietf-opsawg-pcap).

use std::io::{Error, Result};
use std::path::{Path, PathBuf};

/// What a capture file holds.
pub(super) struct Capture {
    pub(super) path: PathBuf,
    /// Its number in the registry of link types.
    pub(super) link_type: u32,
    pub(super) frames: u64,
}

const ETHERNET: u32 = 1;

/// Bytes of the file's header and of a record's.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

impl Capture {
    /// All captures in a folder, by name.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "pcap")
            {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Reads a capture.
    ///
    /// # Errors
    /// It cannot be read, or is no pcap file that is whole.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)?;
        let (link_type, frames) =
            count(&bytes).map_err(|what| Error::other(format!("{}: {what}", path.display())))?;
        Ok(Self {
            path: path.to_owned(),
            link_type,
            frames,
        })
    }

    pub(super) fn is_ethernet(&self) -> bool {
        self.link_type == ETHERNET
    }

    /// The file's name.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// The link type, and how many records follow.
fn count(bytes: &[u8]) -> std::result::Result<(u32, u64), String> {
    let word = |at: usize| {
        let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
        word.ok_or(format!("cut at byte {at}"))
    };
    let read: fn([u8; 4]) -> u32 = match u32::from_be_bytes(word(0)?) {
        0xa1b2_c3d4 | 0xa1b2_3c4d => u32::from_be_bytes,
        0xd4c3_b2a1 | 0x4d3c_b2a1 => u32::from_le_bytes,
        magic => return Err(format!("begins with {magic:#x}")),
    };
    let link_type = read(word(20)?);
    let (mut at, mut frames) = (FILE_HEADER, 0);
    while at < bytes.len() {
        at += RECORD_HEADER + read(word(at + 8)?) as usize;
        frames += 1;
    }
    if at != bytes.len() {
        return Err(format!("cut in record {frames}"));
    }
    Ok((link_type, frames))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A capture of frames of these lengths.
    fn capture(lengths: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 1] {
            bytes.extend(word.to_be_bytes());
        }
        for &length in lengths {
            bytes.extend([0, 0, length, length].map(u32::to_be_bytes).concat());
            bytes.resize(bytes.len() + length as usize, 0);
        }
        bytes
    }

    #[test]
    fn records_are_counted() {
        assert_eq!(count(&capture(&[])), Ok((1, 0)));
        assert_eq!(count(&capture(&[60, 0, 1500])), Ok((1, 3)));
    }

    #[test]
    fn a_capture_that_is_cut_is_no_capture() {
        let whole = capture(&[60, 60]);
        for length in [3, 23, 30, whole.len() - 1] {
            assert!(count(&whole[..length]).is_err(), "{length}");
        }
    }
}
