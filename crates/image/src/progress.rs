//! What a build says while it runs.

/// One step of a build, for whoever watches it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The dependency tree is known: this many crates go into the image.
    Planned {
        /// Crates to compile, the package itself included.
        crates: usize,
    },
    /// One more crate is compiled (or was found compiled).
    Compiled {
        /// The crate's name.
        name: String,
        /// How many are done, this one included.
        done: usize,
        /// How many there are.
        crates: usize,
    },
    /// A line that cargo or the compiler printed, warnings included.
    Message(String),
    /// Everything is linked, the result is being checked and split.
    Checking,
}
