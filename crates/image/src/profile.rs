//! How images are compiled where their workspace does not say.

/// How hard the compiler tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For what ships: everything optimized together.
    Release,
    /// For trying a change out: soon done.
    Development,
}

impl Profile {
    /// Its name in Cargo.toml, where a workspace may say otherwise.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Release => "image",
            Self::Development => "image-development",
        }
    }

    /// The profile of a name.
    #[cfg(feature = "store")]
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Release, Self::Development];
        all.into_iter().find(|profile| profile.name() == name)
    }

    /// What it is where the workspace does not say.
    pub(crate) fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Release => &[
                "inherits='release'",
                "panic='abort'",
                "opt-level=3",
                "lto='fat'",
                "codegen-units=1",
                "debug='line-tables-only'",
            ],
            Self::Development => &[
                "inherits='dev'",
                "panic='abort'",
                "opt-level=1",
                "debug='line-tables-only'",
                "overflow-checks=true",
            ],
        }
    }

    /// Crates that are compiled to be small where the workspace does not say, and how: they are the
    /// most of an image, and do little for each packet.
    pub(crate) fn small(self) -> &'static [(&'static str, char)] {
        match self {
            Self::Release => &[
                ("sprat", 'z'),
                ("sprat-net", 'z'),
                // Smaller than with `z`, and quicker.
                ("smoltcp", 's'),
                ("managed", 'z'),
                ("log", 'z'),
                ("sprat-tls", 'z'),
                ("rustls", 'z'),
                ("rustls-webpki", 'z'),
                ("rustls-pki-types", 'z'),
            ],
            Self::Development => &[],
        }
    }
}
