//! What a place is made of: from the command line, or by hand in a test.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use pcap_file::PcapError;

use crate::Wire;
use crate::block;
use crate::link::Link;
use crate::trace::Trace;

/// What every program for this platform accepts.
pub const USAGE: &str = "\
  --in DEVICE=FILE       frames of a capture file arrive at a network device
  --out DEVICE=FILE      frames sent by a network device go to a capture file
  --block DEVICE=FILE    a block device whose blocks the file holds
  --config FILE          the configuration text
  --file NAME            a file the program may read
  --write NAME           a file the program may write
  --KEY=VALUE            a boot parameter";

/// What a place is made of.
#[derive(Default)]
pub struct Options {
    pub(crate) wires: Vec<(&'static str, Rc<RefCell<dyn Wire>>)>,
    pub(crate) links: Vec<Rc<RefCell<Link>>>,
    pub(crate) blocks: Vec<(&'static str, File)>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) parameters: Vec<String>,
    pub(crate) input_files: Vec<(String, Vec<u8>)>,
    pub(crate) output_files: Vec<PathBuf>,
    pub(crate) quiet: bool,
}

impl Options {
    /// A place with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a network device at the end of a link.
    #[must_use]
    pub fn network(mut self, name: &str, end: Link) -> Self {
        let end = Rc::new(RefCell::new(end));
        self.links.push(end.clone());
        self.wires.push((leak(name), end));
        self
    }

    /// Adds a block device that holds the whole blocks of a file, open for reading and writing.
    #[must_use]
    pub fn block(mut self, name: &str, file: File) -> Self {
        self.blocks.push((leak(name), file));
        self
    }

    /// Sets the configuration text.
    #[must_use]
    pub fn configuration(mut self, text: &[u8]) -> Self {
        self.configuration = text.to_vec();
        self
    }

    /// Adds a boot parameter, `KEY=VALUE`.
    #[must_use]
    pub fn parameter(mut self, parameter: &str) -> Self {
        self.parameters.push(parameter.to_owned());
        self
    }

    /// Adds a file to read.
    #[must_use]
    pub fn input_file(mut self, name: &str, contents: &[u8]) -> Self {
        self.input_files.push((name.to_owned(), contents.to_vec()));
        self
    }

    /// Keeps the console for [`Handle::console`](crate::Handle::console) and off the terminal.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// What a command line says; see [`USAGE`].
    ///
    /// # Errors
    /// When a file cannot be opened or an argument is not understood.
    pub fn from_arguments(arguments: impl Iterator<Item = String>) -> Result<Self, OptionError> {
        let mut options = Self::new();
        let mut traces: Vec<(String, Option<PathBuf>, Option<PathBuf>)> = Vec::new();
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let Some(name) = argument.strip_prefix("--") else {
                return Err(OptionError::Unknown(argument));
            };
            if !matches!(name, "in" | "out" | "block" | "config" | "file" | "write") {
                options.parameters.push(name.to_owned());
                continue;
            }
            let value = arguments
                .next()
                .ok_or_else(|| OptionError::Value(argument.clone()))?;
            match name {
                "config" => options.configuration = read(Path::new(&value))?,
                "file" => {
                    let contents = read(Path::new(&value))?;
                    options.input_files.push((value, contents));
                }
                "write" => options.output_files.push(value.into()),
                _ => {
                    let (device, path) = value
                        .split_once('=')
                        .ok_or_else(|| OptionError::Value(argument.clone()))?;
                    if name == "block" {
                        let path = Path::new(path);
                        let file = block::open(path).map_err(|source| OptionError::File {
                            path: path.to_owned(),
                            source,
                        })?;
                        options = options.block(device, file);
                        continue;
                    }
                    let place = match traces.iter().position(|(known, ..)| known == device) {
                        Some(place) => place,
                        None => {
                            traces.push((device.to_owned(), None, None));
                            traces.len() - 1
                        }
                    };
                    let (_, input, output) = &mut traces[place];
                    *(if name == "in" { input } else { output }) = Some(path.into());
                }
            }
        }
        for (device, input, output) in traces {
            let trace = Trace::open(input.as_deref(), output.as_deref()).map_err(|source| {
                OptionError::Capture {
                    device: device.clone(),
                    source,
                }
            })?;
            options
                .wires
                .push((leak(&device), Rc::new(RefCell::new(trace))));
        }
        Ok(options)
    }
}

/// A text that lives as long as the program: there are a handful, one for each device.
pub(crate) fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn read(path: &Path) -> Result<Vec<u8>, OptionError> {
    std::fs::read(path).map_err(|source| OptionError::File {
        path: path.to_owned(),
        source,
    })
}

/// Why a command line makes no place.
#[derive(Debug)]
pub enum OptionError {
    /// An argument that is none of [`USAGE`].
    Unknown(String),
    /// A flag without the value it needs.
    Value(String),
    /// A file that cannot be read.
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A capture file that cannot be used.
    Capture {
        /// The device it was for.
        device: String,
        /// What is wrong.
        source: PcapError,
    },
}

impl fmt::Display for OptionError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(argument) => write!(
                out,
                "unknown argument '{argument}'; understood are\n{USAGE}"
            ),
            Self::Value(flag) => write!(out, "{flag} needs a value; understood are\n{USAGE}"),
            Self::File { path, source } => write!(out, "{}: {source}", path.display()),
            Self::Capture { device, source } => write!(out, "capture of {device}: {source}"),
        }
    }
}

impl std::error::Error for OptionError {}
