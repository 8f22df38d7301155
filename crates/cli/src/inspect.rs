//! `sprat inspect`: what an image is, wants and weighs, or what is known of an instance.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use sprat_image::{Inspection, inspect};

use crate::host::{FolderArguments, inspect_instance};
use crate::output::{say, table};
use crate::subject::{Subject, SubjectError};

/// Shows an image's manifest, segments with their protections, and size by crate; or what is known of an
/// instance
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    sprat inspect web.elf\n  \
    sprat inspect fw             an instance, as `sprat ps` names it")]
pub(crate) struct InspectCommand {
    /// The image, or an instance of the daemon's; the middlebox that this command carries, if none is named
    image: Option<PathBuf>,

    /// Its symbols, for the size by crate; IMAGE.symbols, if that exists
    #[arg(long, value_name = "FILE", requires = "image")]
    symbols: Option<PathBuf>,

    /// Prints JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    folders: FolderArguments,
}

#[derive(Debug, thiserror::Error)]
enum InspectError {
    #[error(transparent)]
    Subject(#[from] SubjectError),
    #[error("{0}: no such file, and the daemon has no such instance; there are: {1}")]
    Unknown(String, String),
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl InspectCommand {
    pub(crate) fn run(&self) -> ExitCode {
        say(self.text())
    }

    /// The name of an instance, where it can be one: no file has it.
    fn instance(&self) -> Option<&str> {
        let name = self.image.as_deref()?;
        let is_name = name.components().count() == 1 && !name.exists();
        name.to_str().filter(|_| is_name)
    }

    fn text(&self) -> Result<String, InspectError> {
        if let Some(name) = self.instance()
            // Where there is no daemon, it is a file that is missing.
            && let Ok(found) = inspect_instance(&self.folders, name)
        {
            let instance = found.map_err(|others| {
                let others = match others.is_empty() {
                    true => "none".into(),
                    false => others.join(", "),
                };
                InspectError::Unknown(name.into(), others)
            })?;
            return match self.json {
                true => Ok(serde_json::to_string_pretty(&instance)? + "\n"),
                false => Ok(instance.text()),
            };
        }
        let subject = Subject::open(self.image.as_deref(), self.symbols.as_deref())?;
        let inspection = inspect(&subject.image, subject.symbols.as_deref())
            .map_err(|source| subject.refused(source))?;
        if self.json {
            return Ok(serde_json::to_string_pretty(&inspection)? + "\n");
        }
        Ok(describe(&inspection))
    }
}

fn describe(image: &Inspection) -> String {
    let mut text = format!(
        "{} {}, {} bytes\nbuild {}\nentry {:#x}, heap {}, stack {}\n\n",
        image.name,
        image.version,
        image.file_size,
        image.build_id,
        image.entry,
        size(image.heap),
        size(image.stack)
    );
    let segments = image.segments.iter().map(|segment| {
        vec![
            format!("{:#x}", segment.address),
            segment.protection.to_string(),
            segment.memory.to_string(),
            segment.file.to_string(),
        ]
    });
    text += &table(&["SEGMENT", "MAY", "MEMORY", "FILE"], &[2, 3], segments);
    if !image.devices.is_empty() {
        let devices = image.devices.iter().map(|device| {
            let name = if device.name == "*" {
                "any"
            } else {
                &device.name
            };
            let need = if device.required {
                "required"
            } else {
                "optional"
            };
            vec![name.to_owned(), device.kind.clone(), need.to_owned()]
        });
        text += &format!("\n{}", table(&["DEVICE", "KIND", "NEED"], &[], devices));
    }
    if !image.parameters.is_empty() {
        let parameters = image.parameters.iter().map(|parameter| {
            let name = if parameter.name == "*" {
                "any other"
            } else {
                &parameter.name
            };
            let default = parameter
                .default
                .clone()
                .unwrap_or_else(|| "(must be given)".into());
            vec![
                name.to_owned(),
                parameter.kind.to_owned(),
                default,
                parameter.help.clone(),
            ]
        });
        text += &format!(
            "\n{}",
            table(
                &["PARAMETER", "TYPE", "DEFAULT", "MEANING"],
                &[],
                parameters
            )
        );
    }
    if !image.crates.is_empty() {
        let crates = image.crates.iter().map(|size| {
            vec![
                size.name.clone(),
                size.text.to_string(),
                size.data.to_string(),
            ]
        });
        text += &format!("\n{}", table(&["CRATE", "CODE", "DATA"], &[1, 2], crates));
    }
    text
}

/// Bytes in the largest unit that divides them.
fn size(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        _ if bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_image_says_what_it_is() {
        let text = InspectCommand {
            image: None,
            symbols: None,
            json: false,
            folders: FolderArguments::default(),
        }
        .text()
        .expect("an image");
        assert!(text.starts_with("click "), "{text}");
        for expected in ["r-x", "rw-", "any", "network", "sprat_elements"] {
            assert!(text.contains(expected), "no '{expected}' in\n{text}");
        }
    }

    #[test]
    fn an_unreadable_image_is_named_with_the_reason() {
        let missing = InspectCommand {
            image: Some("/nowhere/x".into()),
            symbols: None,
            json: false,
            folders: FolderArguments::default(),
        };
        let error = missing.text().expect_err("missing").to_string();
        assert_eq!(error, "/nowhere/x: No such file or directory (os error 2)");
    }

    #[test]
    fn sizes_are_given_in_the_largest_unit_that_divides_them() {
        assert_eq!(
            [0, 4096, 3 << 20, 1 << 30, 1000].map(size),
            ["0", "4 KiB", "3 MiB", "1 GiB", "1000 bytes"]
        );
    }
}
