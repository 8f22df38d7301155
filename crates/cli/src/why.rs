//! `sprat why`: who pulled a crate into an image.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use sprat_image::{Why, inspect, why};

use crate::output::say;
use crate::subject::{Subject, SubjectError};

/// How many callers are shown.
const SHOWN: usize = 20;

/// Shows why a crate is in an image: the shortest way of calls to it, and who calls it
#[derive(Args)]
#[command(
    override_usage = "sprat why [OPTIONS] [IMAGE] <CRATE>",
    after_help = "Examples:\n  \
    sprat why hashbrown             in the middlebox that this command carries\n  \
    sprat why web.image smoltcp"
)]
pub(crate) struct WhyCommand {
    /// The image (the middlebox that this command carries, if none is named), and the crate
    #[arg(num_args = 1..=2, required = true, value_name = "CRATE")]
    subject: Vec<PathBuf>,

    /// The image's symbols; IMAGE.symbols, if that exists
    #[arg(long, value_name = "FILE")]
    symbols: Option<PathBuf>,

    /// Shows every caller, not the first 20
    #[arg(long)]
    all: bool,

    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum WhyError {
    #[error(transparent)]
    Subject(#[from] SubjectError),
    #[error("no function, constant or variable of {krate} is in {}; what is: {}", path.display(), there.join(", "))]
    Absent {
        krate: String,
        path: PathBuf,
        there: Vec<String>,
    },
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl WhyCommand {
    pub(crate) fn run(&self) -> ExitCode {
        say(self.text())
    }

    fn text(&self) -> Result<String, WhyError> {
        let (image, krate) = match self.subject.as_slice() {
            [image, krate] => (Some(image.as_path()), krate.as_path()),
            words => (None, words.first().map_or(Path::new(""), PathBuf::as_path)),
        };
        let krate = krate.to_string_lossy();
        let subject = Subject::open(image, self.symbols.as_deref())?;
        let symbols = subject.symbols()?;
        let found = why(&subject.image, symbols, &krate).map_err(|error| subject.refused(error))?;
        let Some(found) = found else {
            let inspection =
                inspect(&subject.image, Some(symbols)).map_err(|error| subject.refused(error))?;
            return Err(WhyError::Absent {
                krate: krate.into_owned(),
                path: subject.path,
                there: inspection
                    .crates
                    .into_iter()
                    .map(|size| size.name)
                    .collect(),
            });
        };
        if self.json {
            return Ok(serde_json::to_string_pretty(&found)? + "\n");
        }
        Ok(self.describe(&found))
    }

    fn describe(&self, why: &Why) -> String {
        let mut text = format!(
            "{}: {} bytes of code, {} of data\n\n",
            why.name, why.code, why.data
        );
        if why.way.is_empty() {
            text += "Nothing leads from the entry to it by a fixed address.\n";
        } else {
            text += "The shortest way to it:\n";
            for (depth, function) in why.way.iter().enumerate() {
                let _ = writeln!(text, "  {:width$}{function}", "", width = 2 * depth);
            }
        }
        let shown = if self.all { usize::MAX } else { SHOWN };
        text += "\nWho of other crates refers to it:\n";
        let mut last = "";
        for one in why.uses.iter().take(shown) {
            if one.by != last {
                let _ = writeln!(text, "  {}", one.by);
            }
            let _ = writeln!(text, "    {}", one.of);
            last = &one.by;
        }
        if why.uses.len() > shown {
            let _ = writeln!(text, "  and {} more (--all)", why.uses.len() - shown);
        }
        text
    }
}
