//! `sprat size`: what an image's bytes are spent on.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sprat_image::{Part, measure, treemap};

use crate::output::{say, table};
use crate::subject::{Subject, SubjectError};

/// Shows an image's size by crate, module and function
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    sprat size                      the middlebox that this command carries\n  \
    sprat size web.image --svg web.svg\n  \
    sprat size web.image --least 0  everything, however small")]
pub(crate) struct SizeCommand {
    /// The image; the middlebox that this command carries, if none is named
    image: Option<PathBuf>,

    /// Its symbols; IMAGE.symbols, if that exists
    #[arg(long, value_name = "FILE", requires = "image")]
    symbols: Option<PathBuf>,

    /// Sums up what is smaller than this many bytes; a hundredth of the image, if not given
    #[arg(long, value_name = "BYTES")]
    least: Option<u64>,

    /// Draws it as a treemap instead of printing a table
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Prints JSON, with everything however small
    #[arg(long, conflicts_with = "least")]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum SizeError {
    #[error(transparent)]
    Subject(#[from] SubjectError),
    #[error("{}: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl SizeCommand {
    pub(crate) fn run(&self) -> ExitCode {
        say(self.text())
    }

    fn text(&self) -> Result<String, SizeError> {
        let subject = Subject::open(self.image.as_deref(), self.symbols.as_deref())?;
        let whole = measure(&subject.image, subject.symbols()?)
            .map_err(|source| subject.refused(source))?;
        if let Some(path) = &self.svg {
            fs::write(path, treemap(&whole)).map_err(|source| SizeError::Write {
                path: path.clone(),
                source,
            })?;
        }
        if let (Some(path), false) = (&self.svg, self.json) {
            return Ok(format!("{} written\n", path.display()));
        }
        if self.json {
            return Ok(serde_json::to_string_pretty(&whole)? + "\n");
        }
        let least = self.least.unwrap_or(whole.bytes() / 100).max(1);
        let mut rows = Vec::new();
        list(&whole, &whole, least, 0, &mut rows);
        Ok(table(
            &["CODE", "DATA", "SHARE", "NAME"],
            &[0, 1, 2],
            rows.into_iter(),
        ))
    }
}

/// One row for a part, and below it those of its parts that are large enough.
fn list(part: &Part, whole: &Part, least: u64, depth: usize, rows: &mut Vec<Vec<String>>) {
    let tenths = part.bytes() * 1000 / whole.bytes().max(1);
    rows.push(vec![
        part.code.to_string(),
        part.data.to_string(),
        format!("{}.{} %", tenths / 10, tenths % 10),
        format!("{:width$}{}", "", part.name, width = 2 * depth),
    ]);
    // They are in falling order.
    let shown = part.parts.partition_point(|inner| inner.bytes() >= least);
    let (large, small) = part.parts.split_at(shown);
    for inner in large {
        list(inner, whole, least, depth + 1, rows);
    }
    if !small.is_empty() && !large.is_empty() {
        let rest = Part {
            name: format!("({} smaller)", small.len()),
            code: small.iter().map(|inner| inner.code).sum(),
            data: small.iter().map(|inner| inner.data).sum(),
            parts: Vec::new(),
        };
        list(&rest, whole, least, depth + 1, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, code: u64, parts: Vec<Part>) -> Part {
        Part {
            name: name.into(),
            code,
            data: 0,
            parts,
        }
    }

    #[test]
    fn what_is_small_is_summed_up_so_that_the_rows_still_sum_to_the_whole() {
        let whole = part(
            "image",
            1000,
            vec![
                part(
                    "large",
                    900,
                    vec![part("large::a", 450, vec![]), part("large::b", 450, vec![])],
                ),
                part("small", 60, vec![]),
                part("smaller", 40, vec![]),
            ],
        );
        let mut rows = Vec::new();
        list(&whole, &whole, 100, 0, &mut rows);
        let shown: Vec<(&str, &str, &str)> = rows
            .iter()
            .map(|row| (row[0].as_str(), row[2].as_str(), row[3].as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("1000", "100.0 %", "image"),
                ("900", "90.0 %", "  large"),
                ("450", "45.0 %", "    large::a"),
                ("450", "45.0 %", "    large::b"),
                ("100", "10.0 %", "  (2 smaller)"),
            ]
        );
    }
}
