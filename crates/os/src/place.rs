//! What an application is given: configuration text, granted files, randomness.

use alloc::vec::Vec;

use sprat_platform::{OutputFile as _, Platform as _};

use crate::target::{WritableFile, platform};

/// The configuration text as the user wrote it; empty where there is none.
#[must_use]
pub fn configuration() -> &'static [u8] {
    platform().configuration()
}

/// The contents of a file that was granted under this name.
#[must_use]
pub fn input_file(name: &str) -> Option<&'static [u8]> {
    platform()
        .input_files()
        .into_iter()
        .find(|(granted, _)| *granted == name)
        .map(|(_, contents)| contents)
}

/// The names of the files that were granted to be read.
#[must_use]
pub fn input_files() -> Vec<&'static str> {
    let files = platform().input_files();
    files.into_iter().map(|(name, _)| name).collect()
}

/// The files that may be written. The first call takes them.
#[must_use]
pub fn take_output_files() -> Vec<(&'static str, WritableFile)> {
    platform()
        .take_output_files()
        .into_iter()
        .map(|file| (file.name(), file))
        .collect()
}

/// Random bytes that no other instance was given; the same ones at every call.
#[must_use]
pub fn seed() -> [u8; 32] {
    platform().seed()
}

/// Writes to the console; waits for room where there is too little.
pub fn write_console(text: &[u8]) {
    platform().write_console(text);
}
