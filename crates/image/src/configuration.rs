//! Images for one Click configuration: its text inside, and of the elements only those it uses.

use std::path::PathBuf;

use crate::BuildOptions;

/// A configuration that an image is built for: the image `click`, with the feature `fixed`.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// What messages call it; no path, or the image would depend on where it was built.
    pub name: String,
    /// Its text.
    pub path: PathBuf,
    /// The element classes that it uses. Others cannot come in later either, by a hot swap.
    pub classes: Vec<String>,
}

impl BuildOptions {
    /// Builds for one configuration; the package must be the middlebox.
    #[must_use]
    pub fn with_configuration(mut self, configuration: &Configuration) -> Self {
        self.features.push("fixed".into());
        self.environment.extend([
            ("SPRAT_CLICK_FILE".into(), (&configuration.name).into()),
            (
                "SPRAT_CLICK_CONFIGURATION".into(),
                (&configuration.path).into(),
            ),
            (
                "SPRAT_CLICK_CLASSES".into(),
                configuration.classes.join(" ").into(),
            ),
        ]);
        self
    }
}
