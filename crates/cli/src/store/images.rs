//! `sprat images`: what is in the store.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use sprat_image::record::Record;
use sprat_image::store::{Digest, Store, Stored};

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
    /// What boots by itself, where there is such a thing.
    elf: Option<Digest>,
    disk: Option<Digest>,
    /// How many were compiled; nothing where the record is damaged.
    crates: Option<usize>,
    signed: bool,
}

impl Line {
    fn of(store: &Store, stored: &Stored) -> Self {
        let layers = &stored.manifest.layers;
        let titled = |title: &str| layers.iter().find(|layer| layer.title() == title);
        let image = titled("image");
        // The list is what one looks at to throw away what is damaged.
        let record = Record::of(store, stored).ok();
        Self {
            name: stored.name.clone(),
            record: stored.digest,
            image: image.map(|image| image.digest),
            bytes: image.map_or(0, |image| image.size),
            elf: titled("elf").map(|elf| elf.digest),
            disk: titled("disk").map(|disk| disk.digest),
            crates: record.map(|record| record.all_crates().len()),
            signed: titled("provenance.dsse.json").is_some(),
        }
    }
}

impl ImagesCommand {
    pub(crate) fn run(&self) -> ExitCode {
        say(self.text())
    }

    fn text(&self) -> Result<String, CommandError> {
        let store = super::open()?;
        let images = store.images()?;
        let lines: Vec<Line> = images.iter().map(|image| Line::of(&store, image)).collect();
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
                line.crates
                    .map_or_else(|| "(damaged)".into(), |count| count.to_string()),
                if line.elf.is_some() { "yes" } else { "no" }.to_owned(),
                if line.signed { "yes" } else { "no" }.to_owned(),
            ]
        });
        Ok(table(
            &[
                "NAME", "RECORD", "IMAGE", "BYTES", "CRATES", "BOOTS", "SIGNED",
            ],
            &[3, 4],
            rows,
        ))
    }
}
