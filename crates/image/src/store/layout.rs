//! The documents of an OCI image layout (OCI image format specification 1.1), as far as they are used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Digest;

/// The content of the file `oci-layout`.
pub(super) const MARK: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";

/// The media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The annotation that holds the name that people give to an image.
pub(super) const NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that holds what an object is called among those of its image.
pub(super) const TITLE: &str = "org.opencontainers.image.title";

/// Names an object and says what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What kind of bytes it is.
    pub media_type: String,
    /// Its bytes' digest.
    pub digest: Digest,
    /// How many bytes it is.
    pub size: u64,
    /// What the manifest is of, in an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// What it is called among the objects of its image.
    #[must_use]
    pub fn title(&self) -> &str {
        self.annotations.get(TITLE).map_or("", String::as_str)
    }
}

/// Everything that belongs to one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    schema_version: u32,
    media_type: String,
    artifact_type: String,
    /// The record.
    pub config: Descriptor,
    /// The other objects.
    pub layers: Vec<Descriptor>,
}

impl Manifest {
    /// A manifest of these objects.
    #[must_use]
    pub fn new(artifact_type: &str, config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: artifact_type.to_owned(),
            config,
            layers,
        }
    }

    /// The kind of thing it is a manifest of.
    #[must_use]
    pub fn artifact_type(&self) -> &str {
        &self.artifact_type
    }

    /// Every object that it names.
    pub fn objects(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.config].into_iter().chain(&self.layers)
    }
}

/// The images of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u32,
    media_type: String,
    pub(super) manifests: Vec<Descriptor>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: INDEX.to_owned(),
            manifests: Vec::new(),
        }
    }
}
