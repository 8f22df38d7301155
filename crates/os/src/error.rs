//! Any error, for applications that only pass it on.

use alloc::boxed::Box;
use core::fmt;

use crate::application::{Failure, say_error};

/// What a function of an application returns that may fail in more than one way.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// Any error. `?` makes it of whatever error there is, [`Error::new`] of words.
///
/// Only its words are kept: that errors could also be shown as their structure would put the code
/// for it into every image.
pub struct Error(Box<dyn fmt::Display>);

impl<E: core::error::Error + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl Error {
    /// An error that is words alone.
    #[must_use]
    pub fn new(words: impl Into<alloc::string::String>) -> Self {
        Self(Box::new(words.into()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl Failure for Error {
    fn status(self) -> i32 {
        say_error(&self.0)
    }
}
