//! `sprat store`: what goes out of the store.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use sprat_image::record::find;
use sprat_image::store::Digest;

use super::CommandError;
use crate::output::say;

/// Takes images out of the store, and removes what is of no use any more
#[derive(Args)]
pub(crate) struct StoreCommand {
    #[command(subcommand)]
    subcommand: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Removes the objects that no image refers to
    Gc {
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Takes an image off the list; `sprat store gc` then removes what only it referred to
    Remove {
        /// The image: its file, its name, or the first digits of its digest
        image: String,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
}

impl StoreCommand {
    pub(crate) fn run(&self) -> ExitCode {
        match &self.subcommand {
            Subcommands::Gc { json } => say(collect(*json)),
            Subcommands::Remove { image, json } => say(remove(image, *json)),
        }
    }
}

fn collect(json: bool) -> Result<String, CommandError> {
    let collected = super::open()?.collect()?;
    if json {
        return Ok(serde_json::to_string_pretty(&collected)? + "\n");
    }
    Ok(format!(
        "{} objects removed, {} bytes; {} are in use\n",
        collected.removed.len(),
        collected.bytes,
        collected.kept
    ))
}

fn remove(image: &str, json: bool) -> Result<String, CommandError> {
    let store = super::open()?;
    let found = find(&store, image)?;
    store.remove(&found.digest)?;
    if json {
        let removed: [Digest; 1] = [found.digest];
        return Ok(serde_json::to_string_pretty(&removed)? + "\n");
    }
    Ok(format!("{} is off the list\n", found.digest))
}
