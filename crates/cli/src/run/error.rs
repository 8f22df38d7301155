//! What can go wrong with a run, for the person who started it.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use sprat_monitor::MonitorError;
use sprat_switch::lane::{ControlError, LaneError};
use sprat_switch::port::PortError;

use crate::package::PackageError;

/// Why a run failed. Nothing half done is left behind.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(super) enum RunError {
    #[error("cannot read {}: {source}", path.display())]
    #[diagnostic(help(
        "give a .click file, a folder with a run.toml, an image, or a package's folder"
    ))]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "there is nothing to run in {}: it has no run.toml and no Cargo.toml",
        folder.display()
    )]
    #[diagnostic(help(
        "name a .click file, an image or another folder, or begin a service: sprat new web FOLDER"
    ))]
    Nothing { folder: PathBuf },
    #[error("{} is neither text nor an image", path.display())]
    NotText { path: PathBuf },
    #[error("{}: {source}", path.display())]
    RunFile {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("{}: {what}", path.display())]
    RunFileValue { path: PathBuf, what: String },
    #[error("{flag} {value}: {what}")]
    Flag {
        flag: &'static str,
        value: String,
        what: String,
    },
    #[error("--clock capture: the frames carry no time of their own")]
    #[diagnostic(help("let every input be a capture, or leave --clock out"))]
    NoCaptureTime,
    /// The configuration is wrong; Click's messages have been printed.
    #[error("the configuration is wrong")]
    Configuration,
    #[error("the file {name}: {source}")]
    File { name: String, source: io::Error },
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("{what}: only a sealed image has that, no Linux program")]
    #[diagnostic(help("leave out -t unix"))]
    OnlyImages { what: String },
    #[error("{name}: {source}")]
    Image {
        name: String,
        source: sprat_monitor::ImageError,
    },
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Lane(#[from] LaneError),
    #[error("the report asks for {handler}: {source}")]
    #[diagnostic(help("correct the handler's name in run.toml"))]
    Report {
        handler: String,
        source: ControlError,
    },
    #[error("the instance exited with status {0}")]
    Exit(i32),
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("cannot listen for Ctrl-C: {0}")]
    Signals(io::Error),
    #[error("the control socket {}: {source}", path.display())]
    #[diagnostic(help("choose another with --name or --control, or end the run that has it"))]
    Control { path: PathBuf, source: io::Error },
    #[error("interrupted; the outputs were not written")]
    Interrupted,
}

impl RunError {
    /// Whether it only is that whoever read a capture from standard output has gone, as `head` does.
    pub(super) fn is_closed_output(&self) -> bool {
        match self {
            Self::Port(error) | Self::Lane(LaneError::Port(error)) => match error {
                PortError::Write { path, source } => {
                    path == Path::new("-") && source.kind() == io::ErrorKind::BrokenPipe
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Which interfaces there are, where a port names one that is not.
    pub(super) fn interfaces(&self) -> Option<String> {
        let Self::Port(PortError::Interface { source, .. }) = self else {
            return None;
        };
        if source.raw_os_error() != Some(rustix::io::Errno::NODEV.raw_os_error()) {
            return None;
        }
        let known = std::fs::read_to_string("/proc/self/net/dev").ok()?;
        let lines = known.lines().filter_map(|line| line.split_once(':'));
        let names: Vec<&str> = lines.map(|(name, _)| name.trim()).collect();
        Some(format!("interfaces here: {}", names.join(", ")))
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}
