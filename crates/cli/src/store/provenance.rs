//! `sprat provenance`: what an image was made of.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use sprat_image::BOOT_MONITOR_PACKAGE;
use sprat_image::record::{Boot, Crate, Input, Objects, find};
use sprat_image::store::Stored;

use super::CommandError;
use crate::output::say;

/// Shows what an image was made of: crates with their checksums, sources, compiler and flags
#[derive(Args)]
pub(crate) struct ProvenanceCommand {
    /// The image: its file, its name, or the first digits of its digest or of its record's
    image: String,

    /// Prints the in-toto statement with SLSA provenance
    #[arg(long)]
    json: bool,

    /// Prints the CycloneDX bill of materials
    #[arg(long, conflicts_with = "json")]
    materials: bool,
}

impl ProvenanceCommand {
    pub(crate) fn run(&self) -> ExitCode {
        say(self.text())
    }

    fn text(&self) -> Result<String, CommandError> {
        let store = super::open()?;
        let image = find(&store, &self.image)?;
        let objects = Objects::open(&store, &image)?;
        let document = match (self.json, self.materials) {
            (true, _) => objects.statement()?,
            (_, true) => objects.materials()?,
            _ => return describe(&image, &objects),
        };
        Ok(String::from_utf8_lossy(document).into_owned() + "\n")
    }
}

fn describe(image: &Stored, objects: &Objects) -> Result<String, CommandError> {
    let record = &objects.record;
    let mut text = format!(
        "{}, build {}\nrecord {}\n",
        record.label(),
        record.build_id,
        image.digest
    );
    for layer in &image.manifest.layers {
        if !layer.title().ends_with(".crate") {
            let _ = writeln!(
                text,
                "  {:22} {} {}",
                layer.title(),
                layer.digest,
                layer.size
            );
        }
    }
    let signer = objects.signer(None)?;
    let signer = signer.map_or("nobody".to_owned(), |key| {
        format!("{key}, unless sprat verify --key says otherwise")
    });
    let _ = writeln!(text, "signed by {signer}\n");
    let rustc = record.toolchain.rustc.lines().next().unwrap_or_default();
    let _ = writeln!(text, "compiled by {rustc}, {}", record.toolchain.cargo);
    let _ = writeln!(text, "linked by {}", record.toolchain.linker);
    let _ = writeln!(
        text,
        "profile {}, features {}",
        record.profile,
        words(&record.features)
    );
    for (name, input) in &record.environment {
        let value = match input {
            Input::Text(value) => value.clone(),
            Input::File(path) => format!("{path} of the sources"),
        };
        let _ = writeln!(text, "with {name}={value}");
    }
    let _ = writeln!(text, "flags {}\n", record.compilation.flags.join(" "));
    tree_of(&record.crates, &record.package, &mut text);
    if let Some(boot) = &record.boot {
        describe_boot(boot, &mut text);
    }
    Ok(text)
}

/// What makes it boot by itself.
fn describe_boot(boot: &Boot, text: &mut String) {
    let _ = writeln!(
        text,
        "\nboots by itself, put together by {}",
        boot.assembler
    );
    let networks = match &*boot.grants.networks {
        [] => "that it names itself".to_owned(),
        networks => networks.join(", "),
    };
    let _ = writeln!(text, "network devices: {networks}");
    let _ = writeln!(text, "parameters: {}", words(&boot.grants.parameters));
    let flags = boot.compilation.flags.join(" ");
    let _ = writeln!(text, "boot monitor: flags {flags}\n");
    tree_of(&boot.crates, BOOT_MONITOR_PACKAGE, text);
}

fn words(words: &[String]) -> String {
    match words {
        [] => "none".to_owned(),
        words => words.join(", "),
    }
}

/// A package's crate and what it uses.
fn tree_of(crates: &[Crate], package: &str, text: &mut String) {
    if let Some(root) = crates.iter().find(|krate| krate.name == package) {
        tree(crates, root, 0, &mut BTreeSet::new(), text);
    }
}

/// A crate and what it uses, each crate's own once.
fn tree<'a>(
    crates: &'a [Crate],
    krate: &'a Crate,
    depth: usize,
    seen: &mut BTreeSet<(&'a str, &'a str)>,
    text: &mut String,
) {
    let from = krate
        .checksum
        .map_or("of the sources".to_owned(), |sum| sum.to_string());
    let again = !seen.insert((&krate.name, &krate.version)) && !krate.uses.is_empty();
    let mark = if again { " (above)" } else { "" };
    let name = format!(
        "{:width$}{} {}",
        "",
        krate.name,
        krate.version,
        width = 2 * depth
    );
    let _ = writeln!(text, "{name:34} {from}{mark}");
    if again {
        return;
    }
    for used in &krate.uses {
        let used = used.split_once(' ');
        let found = crates
            .iter()
            .find(|other| used == Some((&other.name, &other.version)));
        if let Some(found) = found {
            tree(crates, found, depth + 1, seen, text);
        }
    }
}
