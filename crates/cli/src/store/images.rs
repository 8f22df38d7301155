//! `sprat images`: what is in the store.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use sprat_image::store::{Digest, Stored};

use super::CommandError;
use crate::output::{say, table};

/// Lists the images of the store, the latest last
#[derive(Args)]
pub(crate) struct ImagesCommand {
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// A line of the list.
#[derive(Serialize)]
struct Line {
    /// Nothing once a later build has the name.
    name: Option<String>,
    record: Digest,
    image: Option<Digest>,
    bytes: u64,
    crates: usize,
    signed: bool,
}

impl Line {
    fn of(stored: &Stored) -> Self {
        let layers = &stored.manifest.layers;
        let image = layers.iter().find(|layer| layer.title() == "image");
        Self {
            name: stored.name.clone(),
            record: stored.digest,
            image: image.map(|image| image.digest),
            bytes: image.map_or(0, |image| image.size),
            crates: layers
                .iter()
                .filter(|layer| layer.title().ends_with(".crate"))
                .count(),
            signed: layers
                .iter()
                .any(|layer| layer.title() == "provenance.dsse.json"),
        }
    }
}

impl ImagesCommand {
    pub(crate) fn run(&self) -> ExitCode {
        say("images", self.text())
    }

    fn text(&self) -> Result<String, CommandError> {
        let store = super::open()?;
        let images = store.images()?;
        let lines: Vec<Line> = images.iter().map(Line::of).collect();
        if self.json {
            return Ok(serde_json::to_string_pretty(&lines)? + "\n");
        }
        if lines.is_empty() {
            return Ok(format!(
                "no images in {}; sprat build makes one\n",
                store.root().display()
            ));
        }
        let short = |digest: &Digest| digest.hex().chars().take(12).collect::<String>();
        let rows = lines.iter().map(|line| {
            vec![
                line.name.clone().unwrap_or_else(|| "(replaced)".into()),
                short(&line.record),
                line.image.as_ref().map(short).unwrap_or_default(),
                line.bytes.to_string(),
                line.crates.to_string(),
                if line.signed { "yes" } else { "no" }.to_owned(),
            ]
        });
        Ok(table(
            &["NAME", "RECORD", "IMAGE", "BYTES", "CRATES", "SIGNED"],
            &[3, 4],
            rows,
        ))
    }
}
