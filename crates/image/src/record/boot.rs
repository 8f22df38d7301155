//! What makes of a sealed image one that boots by itself: the boot monitor, and what is granted.
//!
//! How the two are put together is not this crate's to know; whoever does says so in a function.

use std::error::Error;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Crate, Toolchain};
use crate::Compilation;

/// A self-booting image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfBooting {
    /// For PVH and Multiboot2 loaders.
    pub elf: Vec<u8>,
    /// For a BIOS: a raw disk.
    pub disk: Vec<u8>,
}

/// What is put in beside the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grants {
    /// The names of its network devices; none where the image itself says which.
    pub networks: Vec<String>,
    /// Its parameters, as `KEY=VALUE`.
    pub parameters: Vec<String>,
}

/// Puts a boot monitor, an image and what is granted together. The same are always to give the same.
pub type Assemble<'a> =
    dyn Fn(&[u8], &[u8], &Grants) -> Result<SelfBooting, Box<dyn Error + Send + Sync>> + 'a;

/// How an image is made to boot by itself.
pub struct Booting<'a> {
    /// The workspace that the boot monitor is in.
    pub workspace: &'a Path,
    /// The folder in which that is compiled; another than the image's.
    pub staging: &'a Path,
    /// What is granted.
    pub grants: Grants,
    /// What puts them together.
    pub assemble: &'a Assemble<'a>,
    /// What that calls itself, with its version.
    pub assembler: &'a str,
}

impl fmt::Debug for Booting<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Booting")
            .field("workspace", &self.workspace)
            .field("grants", &self.grants)
            .field("assembler", &self.assembler)
            .finish_non_exhaustive()
    }
}

/// What a record says of that, but for what is an object of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Boot {
    /// What put image and boot monitor together.
    pub assembler: String,
    /// What is granted.
    pub grants: Grants,
    /// How the boot monitor was compiled.
    pub compilation: Compilation,
    /// What it was compiled with.
    pub toolchain: Toolchain,
    /// What was compiled.
    pub crates: Vec<Crate>,
}
