//! What a run is to do: the command line, and the `run.toml` of an example's folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sprat_switch::port::{Publish, PublishError};

use super::RunCommand;
use super::blocks::BlockSpec;
use super::error::RunError;
use super::live::PortSpec;
use super::ports::{InputSpec, OutputSpec, name_and_value};
use crate::package::Package;

/// Everything a run is told.
#[derive(Debug)]
pub(super) struct Settings {
    /// What runs.
    pub(super) program: Program,
    pub(super) inputs: Vec<(String, InputSpec)>,
    pub(super) outputs: Vec<(String, OutputSpec)>,
    /// Devices that are joined to something live, both ways.
    pub(super) ports: Vec<(String, PortSpec)>,
    /// Ports of the host that lead to the instance.
    pub(super) publish: Vec<Publish>,
    /// Block devices, and the files that hold their blocks.
    pub(super) blocks: Vec<(String, BlockSpec)>,
    pub(super) files: Vec<FileGrant>,
    pub(super) parameters: Vec<(String, String)>,
    /// The numbers to report: group, label, handler.
    pub(super) report: Vec<ReportGroup>,
    pub(super) playback: bool,
    pub(super) linger: Duration,
}

/// What runs in the instance.
#[derive(Debug)]
pub(super) enum Program {
    /// A Click configuration, in the middlebox image that `sprat` carries.
    Click {
        /// The text.
        text: String,
        /// What it is called in messages.
        name: String,
    },
    /// An image of its own.
    Image(PathBuf),
}

/// A file that the instance may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileGrant {
    pub(super) name: String,
    pub(super) write: bool,
}

/// Numbers that belong together in a report.
#[derive(Debug)]
pub(super) struct ReportGroup {
    pub(super) title: String,
    /// What each number is called, and the handler it is read from.
    pub(super) lines: Vec<(String, String)>,
}

/// A folder's `run.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunFile {
    config: PathBuf,
    #[serde(default)]
    clock: Option<ClockChoice>,
    #[serde(default, rename = "in")]
    inputs: toml::Table,
    #[serde(default, rename = "out")]
    outputs: toml::Table,
    #[serde(default, rename = "port")]
    ports: toml::Table,
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default, rename = "block")]
    blocks: toml::Table,
    #[serde(default)]
    parameters: toml::Table,
    #[serde(default)]
    files: toml::Table,
    #[serde(default)]
    report: toml::Table,
}

/// Which time the instance lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum ClockChoice {
    /// The captures' own: timeouts and rates act as they acted on the traffic.
    Capture,
    /// The machine's.
    Real,
}

/// First bytes of an ELF file.
const ELF_MAGIC: &[u8] = b"\x7fELF";

impl Settings {
    pub(super) fn gather(arguments: &RunCommand) -> Result<Self, RunError> {
        let path = &arguments.program;
        let mut settings = if path.is_dir() {
            match Package::is_in(path) && !path.join("run.toml").exists() {
                true => Self::from_package(path, arguments)?,
                false => Self::from_folder(path)?,
            }
        } else {
            Self::from_file(path)?
        };
        let mut clock = settings.playback.then_some(ClockChoice::Capture);
        settings.add_ports(arguments)?;
        if let Some(chosen) = arguments.clock {
            clock = Some(chosen);
        }
        let captures = settings.inputs.iter().all(|(_, input)| input.plays_back())
            && !settings.inputs.is_empty()
            && settings.ports.is_empty();
        settings.playback = match clock {
            None => captures,
            Some(ClockChoice::Real) => false,
            Some(ClockChoice::Capture) if captures => true,
            Some(ClockChoice::Capture) => return Err(RunError::NoCaptureTime),
        };
        settings.linger = arguments.linger;
        if let (true, Some(duration)) = (settings.playback, arguments.duration) {
            return Err(RunError::Flag {
                flag: "--for",
                value: duration.as_secs_f64().to_string(),
                what: "the instance lives in the captures' time; give --clock real too".into(),
            });
        }
        settings.check_publications()?;
        Ok(settings)
    }

    fn new(program: Program) -> Self {
        Self {
            program,
            inputs: Vec::new(),
            outputs: Vec::new(),
            ports: Vec::new(),
            publish: Vec::new(),
            blocks: Vec::new(),
            files: Vec::new(),
            parameters: Vec::new(),
            report: Vec::new(),
            playback: false,
            linger: Duration::from_secs(1),
        }
    }

    fn from_file(path: &Path) -> Result<Self, RunError> {
        let bytes = fs::read(path).map_err(|source| RunError::read(path, source))?;
        if bytes.starts_with(ELF_MAGIC) {
            return Ok(Self::new(Program::Image(path.to_owned())));
        }
        let text = String::from_utf8(bytes).map_err(|_| RunError::NotText {
            path: path.to_owned(),
        })?;
        Ok(Self::new(Program::Click {
            text,
            name: path.display().to_string(),
        }))
    }

    /// Builds a package. What its manifest says of ports and block devices counts where the command line
    /// says nothing.
    fn from_package(folder: &Path, arguments: &RunCommand) -> Result<Self, RunError> {
        let package = Package::open(folder)?;
        let manifest = package.folder().join("Cargo.toml");
        let wrong = |what| RunError::RunFileValue {
            path: manifest.clone(),
            what,
        };
        let mut ports = Vec::new();
        for (name, value) in texts("port", package.ports.clone()).map_err(wrong)? {
            let port =
                PortSpec::parse(&value).map_err(|what| wrong(format!("port.{name}: {what}")))?;
            ports.push((name, port));
        }
        let mut publish = Vec::new();
        let here = ports.iter().any(|(_, port)| port.is_user());
        if arguments.publish.is_empty() && here {
            for text in &package.publish {
                publish.push(publication(text).map_err(wrong)?);
            }
        }
        let blocks = blocks(package.blocks.clone(), folder).map_err(wrong)?;
        let image = package.build(arguments.profile())?;
        Ok(Self {
            ports,
            publish,
            blocks,
            ..Self::new(Program::Image(image))
        })
    }

    fn from_folder(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join("run.toml");
        let text = fs::read_to_string(&path).map_err(|source| RunError::read(&path, source))?;
        let file: RunFile = toml::from_str(&text).map_err(|source| RunError::RunFile {
            path: path.clone(),
            source: Box::new(source),
        })?;
        let wrong = |what: String| RunError::RunFileValue {
            path: path.clone(),
            what,
        };
        let mut settings = Self::from_file(&folder.join(&file.config))?;
        for (name, value) in texts("in", file.inputs).map_err(wrong)? {
            let input = InputSpec::parse(&value, folder)
                .map_err(|what| wrong(format!("in.{name}: {what}")))?;
            settings.inputs.push((name, input));
        }
        for (name, value) in texts("out", file.outputs).map_err(wrong)? {
            settings
                .outputs
                .push((name, OutputSpec::parse(&value, folder)));
        }
        for (name, value) in texts("port", file.ports).map_err(wrong)? {
            let port =
                PortSpec::parse(&value).map_err(|what| wrong(format!("port.{name}: {what}")))?;
            settings.ports.push((name, port));
        }
        for text in file.publish {
            settings.publish.push(publication(&text).map_err(wrong)?);
        }
        settings.blocks = blocks(file.blocks, folder).map_err(wrong)?;
        settings.parameters = texts("parameters", file.parameters).map_err(wrong)?;
        for (name, access) in texts("files", file.files).map_err(wrong)? {
            let write = match access.as_str() {
                "read" => false,
                "write" => true,
                _ => {
                    return Err(wrong(format!(
                        "files.{name}: expected \"read\" or \"write\""
                    )));
                }
            };
            settings.files.push(FileGrant { name, write });
        }
        for (title, lines) in file.report {
            let toml::Value::Table(lines) = lines else {
                return Err(wrong(format!(
                    "report.{title}: expected a table of names and handlers"
                )));
            };
            let lines = texts(&format!("report.{title}"), lines).map_err(wrong)?;
            settings.report.push(ReportGroup { title, lines });
        }
        settings.playback = file.clock == Some(ClockChoice::Capture);
        Ok(settings)
    }

    /// Adds what the command line says; where it names a device that is there, it counts.
    fn add_ports(&mut self, arguments: &RunCommand) -> Result<(), RunError> {
        for (flag, list) in [
            ("--in", &arguments.inputs),
            ("--out", &arguments.outputs),
            ("--port", &arguments.ports),
            ("--block", &arguments.blocks),
            ("--param", &arguments.parameters),
        ] {
            refuse_repetition(flag, list)?;
        }
        let here = Path::new("");
        let named = |list: &[String], name: &str| {
            let mut names = list.iter().filter_map(|argument| argument.split_once('='));
            names.any(|(other, _)| other == name)
        };
        for argument in &arguments.ports {
            let wrong = |what| RunError::Flag {
                flag: "--port",
                value: argument.clone(),
                what,
            };
            let (name, value) = name_and_value(argument).map_err(wrong)?;
            let port = PortSpec::parse(&value).map_err(wrong)?;
            for (flag, list) in [("--in", &arguments.inputs), ("--out", &arguments.outputs)] {
                if named(list, &name) {
                    return Err(wrong(format!("{flag} names {name} too")));
                }
            }
            self.inputs.retain(|(known, _)| *known != name);
            self.outputs.retain(|(known, _)| *known != name);
            replace(&mut self.ports, name, port);
        }
        self.ports.retain(|(name, _)| {
            !named(&arguments.inputs, name) && !named(&arguments.outputs, name)
        });
        for argument in &arguments.publish {
            let publish = argument
                .parse()
                .map_err(|error: PublishError| RunError::Flag {
                    flag: "--publish",
                    value: argument.clone(),
                    what: error.to_string(),
                })?;
            self.publish.push(publish);
        }
        for argument in &arguments.inputs {
            let wrong = |what| RunError::Flag {
                flag: "--in",
                value: argument.clone(),
                what,
            };
            let (name, value) = name_and_value(argument).map_err(wrong)?;
            replace(
                &mut self.inputs,
                name,
                InputSpec::parse(&value, here).map_err(wrong)?,
            );
        }
        for argument in &arguments.outputs {
            let wrong = |what| RunError::Flag {
                flag: "--out",
                value: argument.clone(),
                what,
            };
            let (name, value) = name_and_value(argument).map_err(wrong)?;
            replace(&mut self.outputs, name, OutputSpec::parse(&value, here));
        }
        for argument in &arguments.blocks {
            let wrong = |what| RunError::Flag {
                flag: "--block",
                value: argument.clone(),
                what,
            };
            let (name, value) = name_and_value(argument)
                .map_err(|_| "expected NAME=FILE[:SIZE], such as data=store.blk:64M".into())
                .map_err(wrong)?;
            let block = BlockSpec::parse(&value, here).map_err(wrong)?;
            replace(&mut self.blocks, name, block);
        }
        for argument in &arguments.parameters {
            let wrong = |_| RunError::Flag {
                flag: "--param",
                value: argument.clone(),
                what: "expected KEY=VALUE".into(),
            };
            let (name, value) = argument.split_once('=').ok_or("").map_err(wrong)?;
            replace(&mut self.parameters, name.into(), value.into());
        }
        for argument in &arguments.files {
            let (name, write) = match argument.strip_suffix(":write") {
                Some(name) => (name, true),
                None => (argument.strip_suffix(":read").unwrap_or(argument), false),
            };
            if name.is_empty() {
                return Err(RunError::Flag {
                    flag: "--file",
                    value: argument.clone(),
                    what: "expected FILE or FILE:write".into(),
                });
            }
            self.files.push(FileGrant {
                name: name.into(),
                write,
            });
        }
        Ok(())
    }

    /// What is published leads to the one network that the instance has of its own.
    fn check_publications(&self) -> Result<(), RunError> {
        let Some(publish) = self.publish.first() else {
            return Ok(());
        };
        let what = match self.ports.iter().filter(|(_, port)| port.is_user()).count() {
            0 => "give a device the port too: --port eth0=user",
            1 => return Ok(()),
            _ => "several devices have the port `user`",
        };
        Err(RunError::Flag {
            flag: "--publish",
            value: publish.to_string(),
            what: what.into(),
        })
    }

    /// The names of all devices, in the order they first appear.
    pub(super) fn devices(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let all = self
            .inputs
            .iter()
            .map(|(name, _)| name)
            .chain(self.outputs.iter().map(|(name, _)| name))
            .chain(self.ports.iter().map(|(name, _)| name));
        for name in all {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

/// Refuses a list of `NAME=VALUE` in which a name comes twice: one of the two would go unnoticed.
fn refuse_repetition(flag: &'static str, list: &[String]) -> Result<(), RunError> {
    let mut seen: Vec<(&str, &String)> = Vec::new();
    for argument in list {
        // What is no pair is refused by who reads it.
        let Some((name, _)) = argument.split_once('=') else {
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == name) {
            return Err(RunError::Flag {
                flag,
                value: argument.clone(),
                what: format!("{name} was given before: {flag} {first}"),
            });
        }
        seen.push((name, argument));
    }
    Ok(())
}

fn replace<T>(list: &mut Vec<(String, T)>, name: String, value: T) {
    match list.iter_mut().find(|(known, _)| *known == name) {
        Some(entry) => entry.1 = value,
        None => list.push((name, value)),
    }
}

fn publication(text: &str) -> Result<Publish, String> {
    text.parse()
        .map_err(|error: PublishError| format!("publish: {text}: {error}"))
}

/// Block devices, and the files of a folder that hold them.
fn blocks(table: toml::Table, folder: &Path) -> Result<Vec<(String, BlockSpec)>, String> {
    let parse = |(name, value): (String, String)| {
        let block = BlockSpec::parse(&value, folder);
        let block = block.map_err(|what| format!("block.{name}: {what}"))?;
        Ok((name, block))
    };
    texts("block", table)?.into_iter().map(parse).collect()
}

/// The entries of a table of texts, in the file's order.
fn texts(section: &str, table: toml::Table) -> Result<Vec<(String, String)>, String> {
    table
        .into_iter()
        .map(|(name, value)| match value {
            toml::Value::String(text) => Ok((name, text)),
            toml::Value::Integer(number) => Ok((name, number.to_string())),
            toml::Value::Boolean(flag) => Ok((name, flag.to_string())),
            other => Err(format!(
                "{section}.{name}: expected a text, found {}",
                other.type_str()
            )),
        })
        .collect()
}
