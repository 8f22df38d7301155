//! Why a log cannot be used.

use core::fmt;
use sprat_devices::BlockError;

/// Why a log cannot be opened, read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogError {
    /// The device says so.
    Block(BlockError),
    /// The device has too few blocks, or too small ones.
    Small,
    /// The device holds something that is no log. It is left as it is.
    Foreign,
    /// The log is of another version of the format.
    Version(u32),
    /// What stands in the log is not what was written.
    Damaged,
    /// The log has no room for the record.
    Full,
    /// The record is longer than a record can be.
    Long,
    /// The log that was being written in place of another was given up for a later one.
    Superseded,
}

impl From<BlockError> for LogError {
    fn from(error: BlockError) -> Self {
        Self::Block(error)
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(error) => error.fmt(out),
            Self::Small => out.write_str("the device is too small for a log"),
            Self::Foreign => out.write_str(
                "the device holds something that is no log; to use it, fill its first KiB with zeroes",
            ),
            Self::Version(version) => {
                write!(out, "the log is of version {version} of the format, which is not known")
            }
            Self::Damaged => out.write_str("the log is damaged"),
            Self::Full => out.write_str("the log is full"),
            Self::Long => out.write_str("the record is too long"),
            Self::Superseded => out.write_str("the log is being written anew by somebody else"),
        }
    }
}

impl core::error::Error for LogError {}
