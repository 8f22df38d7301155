//! Configuration texts and where they come from.

use alloc::rc::Rc;
use alloc::string::String;

use super::{archive, suggestion};
use crate::library::Library;

/// A text and the name messages give it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file as the user named it; `config` for a text given on the command line, `<stdin>`.
    pub name: Rc<str>,
    /// The text.
    pub text: Rc<str>,
}

/// A file that is not a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// An `ar` archive whose table of contents makes no sense.
    BrokenArchive,
    /// An `ar` archive without a member named `config`.
    NoConfigMember,
}

impl core::fmt::Display for SourceError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BrokenArchive => "broken archive",
            Self::NoConfigMember => "archive has no 'config' section",
        })
    }
}

impl core::error::Error for SourceError {}

impl Source {
    /// A text with its name.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// The contents of a file: a text, or an `ar` archive with the text in its member `config`.
    /// Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// It is an archive, but not a whole one or without that member.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, SourceError> {
        let text = if archive::is_archive(bytes) {
            let mut members = archive::members(bytes).ok_or(SourceError::BrokenArchive)?;
            members
                .find(|member| member.name == "config")
                .ok_or(SourceError::NoConfigMember)?
                .data
        } else {
            bytes
        };
        Ok(Self {
            name: name.into(),
            text: String::from_utf8_lossy(text).into(),
        })
    }
}

/// Which element classes exist outside the configuration.
pub trait Classes {
    /// True when there is an element class of this name.
    fn has(&self, class: &str) -> bool;

    /// True when no element may be named like this, as there is such a class.
    fn reserves(&self, name: &str) -> bool {
        self.has(name)
    }

    /// The class whose name is most like this one, to suggest it.
    fn similar(&self, _class: &str) -> Option<String> {
        None
    }
}

impl Classes for Library {
    fn has(&self, class: &str) -> bool {
        self.find(class).is_some()
    }

    fn similar(&self, class: &str) -> Option<String> {
        suggestion::nearest(class, self.names()).map(String::from)
    }
}

/// Every name is a class: for tools that only look at the graph.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyClass;

impl Classes for AnyClass {
    fn has(&self, _class: &str) -> bool {
        true
    }

    fn reserves(&self, _name: &str) -> bool {
        false
    }
}

/// Where `require` looks.
pub trait Requirements {
    /// The text of a library file, found along `CLICKPATH`.
    fn library(&self, _file: &str) -> Option<Source> {
        None
    }

    /// True when the package is there.
    fn package(&self, _package: &str) -> bool {
        true
    }
}

/// No libraries, and every package.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLibraries;

impl Requirements for NoLibraries {}
