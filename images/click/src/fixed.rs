//! What an image for one configuration holds: its text, and the classes that it uses but no others.
//!
//! Whoever builds it says so in the environment: `SPRAT_CLICK_CLASSES` has the names with single
//! spaces between them, `SPRAT_CLICK_CONFIGURATION` is the path of the text and `SPRAT_CLICK_FILE` what
//! messages call it.

use sprat_click::{Class, Library};
use sprat_elements::selection::{count, select};

const NAMES: &str = env!("SPRAT_CLICK_CLASSES");

const CLASSES: [&Class; count(NAMES)] = select(NAMES);

/// What the configuration is called in messages.
pub(crate) const FILE: &str = env!("SPRAT_CLICK_FILE");

/// The text for an instance that was given no other.
pub(crate) const CONFIGURATION: &[u8] = include_bytes!(env!("SPRAT_CLICK_CONFIGURATION"));

pub(crate) fn library() -> Library {
    Library::new(&CLASSES)
}
