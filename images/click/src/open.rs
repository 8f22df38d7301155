//! What the image for every configuration holds: every class, and no text.

pub(crate) use sprat_elements::library;

/// What the configuration is called in messages.
pub(crate) const FILE: &str = "config";

/// The text for an instance that was given no other: an empty router.
pub(crate) const CONFIGURATION: &[u8] = b"";
