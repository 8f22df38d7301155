//! What a place is made of: from the command line, or by hand in a test.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use pcap_file::PcapError;
use sprat_usernet::{OpenError, Options as UserOptions, PublishError};

use crate::Wire;
use crate::block;
use crate::link::Link;
use crate::trace::Trace;
use crate::user::User;

/// What every program for this platform accepts.
pub const USAGE: &str = "\
  --in DEVICE=FILE       frames of a capture file arrive at a network device
  --out DEVICE=FILE      frames sent by a network device go to a capture file
  --port DEVICE=user     a network device in a network in user mode (user:loopback reaches
                         this machine's own addresses); the default for those it needs
  --publish HOST:GUEST   a port of this machine that leads to that network; else those that
                         SPRAT_PUBLISH names
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
    ports: Vec<(String, UserOptions)>,
    publish: Vec<String>,
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
        Self::parse(arguments)?.open(&[])
    }

    /// What a command line says, before networks are opened.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, OptionError> {
        let mut options = Self::new();
        let mut traces: Vec<(String, Option<PathBuf>, Option<PathBuf>)> = Vec::new();
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let Some(name) = argument.strip_prefix("--") else {
                return Err(OptionError::Unknown(argument));
            };
            if !matches!(
                name,
                "in" | "out" | "port" | "publish" | "block" | "config" | "file" | "write"
            ) {
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
                "publish" => options.publish.push(value),
                _ => {
                    let (device, path) = value
                        .split_once('=')
                        .ok_or_else(|| OptionError::Value(argument.clone()))?;
                    if name == "port" {
                        let user = UserOptions {
                            loopback: path == "user:loopback",
                            ..UserOptions::default()
                        };
                        if !user.loopback && path != "user" {
                            return Err(OptionError::Port(path.into()));
                        }
                        options.ports.push((device.to_owned(), user));
                        continue;
                    }
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

impl Options {
    /// Opens the networks in user mode: those that were asked for, and one for each device that is
    /// needed and has none yet. What is published leads to the first.
    pub(crate) fn open(mut self, needed: &[&str]) -> Result<Self, OptionError> {
        for name in needed {
            let known = self.wires.iter().any(|(known, _)| known == name)
                || self.ports.iter().any(|(known, _)| known == name);
            if !known {
                self.ports.push(((*name).into(), UserOptions::default()));
            }
        }
        let mut publish = Vec::new();
        for text in std::mem::take(&mut self.publish) {
            let publication = text.parse().map_err(|source| OptionError::Publish {
                text: text.clone(),
                source,
            })?;
            publish.push(publication);
        }
        if self.ports.is_empty() && !publish.is_empty() {
            return Err(OptionError::NoNetwork);
        }
        for (device, mut user) in std::mem::take(&mut self.ports) {
            user.publish = std::mem::take(&mut publish);
            let network = User::open(&device, &user).map_err(|source| OptionError::Network {
                device: device.clone(),
                source,
            })?;
            self.wires
                .push((leak(&device), Rc::new(RefCell::new(network))));
        }
        Ok(self)
    }

    /// What is published where the command line names nothing: ports, with commas between them.
    pub(crate) fn publish_by_default(&mut self, text: &str) {
        if self.publish.is_empty() {
            let ports = text.split([',', ' ']).filter(|port| !port.is_empty());
            self.publish.extend(ports.map(str::to_owned));
        }
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
    /// No place for a device's frames.
    Port(String),
    /// A text that publishes nothing.
    Publish {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: PublishError,
    },
    /// Something is published, and there is no network that it could lead to.
    NoNetwork,
    /// A network that cannot be opened.
    Network {
        /// The device it was for.
        device: String,
        /// Why not.
        source: OpenError,
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
            Self::Port(port) => write!(
                out,
                "--port {port}: an ordinary program has user and user:loopback"
            ),
            Self::Publish { text, source } => write!(out, "publish {text}: {source}"),
            Self::NoNetwork => write!(
                out,
                "nothing to publish ports of: --port DEVICE=user gives a device a network"
            ),
            Self::Network { device, source } => write!(out, "{device}: {source}"),
            Self::Capture { device, source } => write!(out, "capture of {device}: {source}"),
        }
    }
}

impl std::error::Error for OptionError {}
