//! `sprat new`: a package to begin with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Package, PackageError, library};
use crate::output::{complain, print};

/// What a new package consists of; `{{name}}` stands for its name, `{{version}}` for the library's.
const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("templates/Cargo.toml.txt")),
    ("README.md", include_str!("templates/README.md")),
    ("src/main.rs", include_str!("templates/main.rs")),
    (".gitignore", "/target\n/.cargo/config.toml\n"),
];

/// Names that mean something else: to the compiler, to cargo, or in the package itself.
const RESERVED: &str = "abstract alloc as async await become box break build const continue core crate deps do \
    dyn else enum examples extern false final fn for gen if impl in incremental let log loop \
    macro match mod move mut override priv proc_macro proc-macro pub ref return self sprat \
    static std struct super test trait true try type typeof unsafe unsized use virtual where \
    while yield";

/// Makes a package with a small web server, its test and everything it takes to build it.
#[derive(Debug, clap::Args)]
#[command(
    allow_missing_positional = true,
    after_help = "Examples:\n  \
    sprat new hello && cd hello && sprat run\n  \
    sprat new web services/hello"
)]
pub(crate) struct NewCommand {
    /// What to begin with; there is web, and that is meant where none is named.
    template: Option<String>,
    /// The folder to make. Its last part is the package's name.
    folder: String,
}

/// The templates that there are.
const TEMPLATE: &str = "web";

impl NewCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        match self
            .make()
            .and_then(|text| print(&text).map_err(PackageError::Output))
        {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn make(&self) -> Result<String, PackageError> {
        match &self.template {
            Some(template) if template != TEMPLATE => {
                let template = template.clone();
                return Err(PackageError::Template { template });
            }
            None if self.folder == TEMPLATE => return Err(PackageError::NoFolder),
            _ => {}
        }
        let folder = PathBuf::from(&self.folder);
        let name = folder.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| is_name(name)) else {
            let name = name.map_or_else(|| folder.display().to_string(), str::to_owned);
            return Err(PackageError::Name { name });
        };
        if RESERVED.split(' ').any(|word| word == name) {
            return Err(PackageError::Reserved { name: name.into() });
        }
        if folder.exists() {
            return Err(PackageError::Exists { path: folder });
        }
        let made = fill(&folder, name);
        if made.is_err() {
            // Nothing half done: there was no such folder before.
            let _ = fs::remove_dir_all(&folder);
        }
        made?;
        let folder = folder.display();
        Ok(format!(
            "{folder}: a web server\n  cd {folder} && sprat run    boots it; curl http://127.0.0.1:8080/\n"
        ))
    }
}

fn fill(folder: &Path, name: &str) -> Result<(), PackageError> {
    let write = |file: &str, bytes: &[u8]| {
        let path = folder.join(file);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|source| PackageError::file(&path, source))
    };
    for (file, text) in FILES {
        let text = text
            .replace("{{name}}", name)
            .replace("{{version}}", library::VERSION);
        write(file, text.as_bytes())?;
    }
    if let Some(bytes) = library::lock_file() {
        write("Cargo.lock", bytes)?;
    }
    Package::open(folder).map(drop)
}

/// Whether cargo takes it as a package's name.
fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    begins && name.chars().all(fits)
}
