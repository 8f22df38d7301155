//! What can go wrong with an image.

use std::io;
use std::path::PathBuf;

use sprat_abi::manifest::ManifestError;

use crate::BuildId;

/// Why an image could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Cargo could not be started.
    #[error("cannot start {program:?}: {source}; is cargo installed and on PATH?")]
    Start {
        /// The program that was to be started.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file the build needs could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Cargo or the compiler failed; their own words say why.
    #[error("building {package} failed:\n{log}")]
    Compile {
        /// The package that was built.
        package: String,
        /// What cargo and the compiler printed.
        log: String,
    },
    /// The guest's dependency tree holds `libc`, which no image can call.
    #[error(
        "{package} depends on libc, which a sealed image cannot have; who pulls it in:\n{chain}\
         \nturn off that crate's `std` feature or use another one"
    )]
    Libc {
        /// The package that was built.
        package: String,
        /// The inverted dependency tree from `libc` up to the package.
        chain: String,
    },
    /// The package has no executable, or more than one.
    #[error("{package} builds {found} executables; an image needs exactly one")]
    Executables {
        /// The package that was built.
        package: String,
        /// How many executables it has.
        found: usize,
    },
    /// Cargo answered in a form that is not understood.
    #[error("cargo's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    /// The linked file is not an image that a monitor would load.
    #[error("{package}: {source}")]
    Image {
        /// The package that was built.
        package: String,
        /// What is wrong with it.
        source: ImageError,
    },
}

/// Why a file is not an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Not an ELF file, or a damaged one.
    #[error("not a readable ELF file: {0}")]
    Elf(String),
    /// An ELF file for something else than x86-64, or not a fixed-address executable.
    #[error("not a static x86-64 executable at a fixed address ({0})")]
    Kind(&'static str),
    /// It asks for a dynamic linker or holds dynamic relocations.
    #[error("the file is dynamically linked")]
    Dynamic,
    /// A segment is both writable and executable.
    #[error("the segment at {address:#x} is both writable and executable")]
    WritableText {
        /// Where the segment lies.
        address: u64,
    },
    /// Two segments share a page, so they cannot be protected apart.
    #[error("the segments at {first:#x} and {second:#x} share a page")]
    SharedPage {
        /// Where the lower one lies.
        first: u64,
        /// Where the higher one lies.
        second: u64,
    },
    /// A segment's bytes lie outside of the file.
    #[error("the segment at {address:#x} reaches past the end of the file")]
    Truncated {
        /// Where the segment lies.
        address: u64,
    },
    /// No build id, so no sidecar could be found for it.
    #[error("no build id")]
    NoBuildId,
    /// There is no manifest note.
    #[error(
        "no manifest: an image names what it wants with `sprat::manifest!` (what boots by itself is \
         looked at as the image in it, which `sprat build` makes without -t disk)"
    )]
    NoManifest,
    /// The manifest is damaged or of another version.
    #[error(transparent)]
    Manifest(ManifestError),
    /// The sidecar belongs to another image.
    #[error("the symbols are those of build {sidecar}, the image is build {image}")]
    OtherSidecar {
        /// The image's build id.
        image: BuildId,
        /// The sidecar's build id.
        sidecar: BuildId,
    },
}
