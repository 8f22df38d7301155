//! What a run is to do: the command line, and what the program's folder says of it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sprat_switch::port::{Pace, PortSpec, Publish, PublishError};

use super::RunCommand;
use super::blocks::BlockSpec;
use super::error::RunError;
use super::ports::{InputSpec, OutputSpec, name_and_value};
use super::run_file::RunFile;
use crate::package::{Package, PackageError, Target};

/// Everything a run is told.
#[derive(Debug)]
pub(super) struct Settings {
    /// What runs.
    pub(super) program: Program,
    /// What it is to be built of first.
    pub(super) package: Option<Package>,
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
    /// How fast frames of inputs come.
    pub(super) pace: Option<Pace>,
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
        let is_package = path.is_dir() && Package::is_in(path) && !path.join("run.toml").exists();
        if !is_package && !arguments.features.is_empty() {
            return Err(PackageError::NoFeatures { path: path.clone() }.into());
        }
        let mut settings = if is_package {
            Self::from_package(path, arguments)?
        } else if path.is_dir() {
            Self::from_folder(path)?
        } else {
            Self::from_file(path)?
        };
        let mut clock = settings.playback.then_some(ClockChoice::Capture);
        // What a folder publishes counts where the command line says nothing else.
        let by_default = std::mem::take(&mut settings.publish);
        settings.add_ports(arguments)?;
        if settings.publish.is_empty() && settings.ports.iter().any(|(_, port)| port.is_user()) {
            settings.publish = by_default;
        }
        if let Some(chosen) = arguments.clock {
            clock = Some(chosen);
        }
        settings.check_target(arguments, clock)?;
        settings.set_pace(arguments)?;
        if arguments.target == Target::Disk || settings.pace.is_some() {
            clock = Some(ClockChoice::Real);
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
            package: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            ports: Vec::new(),
            publish: Vec::new(),
            blocks: Vec::new(),
            files: Vec::new(),
            parameters: Vec::new(),
            report: Vec::new(),
            pace: None,
            playback: false,
            linger: Duration::from_secs(1),
        }
    }

    fn from_file(path: &Path) -> Result<Self, RunError> {
        let read = |source| RunError::read(path, source);
        let mut file = File::open(path).map_err(read)?;
        // An image is read when it is loaded.
        let mut bytes = Vec::new();
        let magic = ELF_MAGIC.len() as u64;
        file.by_ref()
            .take(magic)
            .read_to_end(&mut bytes)
            .map_err(read)?;
        if bytes == ELF_MAGIC {
            return Ok(Self::new(Program::Image(path.to_owned())));
        }
        file.read_to_end(&mut bytes).map_err(read)?;
        let text = String::from_utf8(bytes).map_err(|_| RunError::NotText {
            path: path.to_owned(),
        })?;
        Ok(Self::new(Program::Click {
            text,
            name: path.display().to_string(),
        }))
    }

    fn from_package(folder: &Path, arguments: &RunCommand) -> Result<Self, RunError> {
        let mut package = Package::open(folder)?.with_features(&arguments.features)?;
        let path = package.folder().join("Cargo.toml");
        let wrong = |what| RunError::RunFileValue {
            path: path.clone(),
            what: format!("package.metadata.sprat: {what}"),
        };
        let file: RunFile = match package.run_settings.take() {
            None => RunFile::default(),
            Some(value) => {
                serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?
            }
        };
        if file.config.is_some() {
            return Err(wrong("config: what runs is the package itself".into()));
        }
        let mut settings = Self::new(Program::Image(package.image(arguments.profile())));
        file.add_to(&mut settings, folder).map_err(wrong)?;
        settings.package = Some(package);
        Ok(settings)
    }

    fn from_folder(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join("run.toml");
        let text = fs::read_to_string(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => RunError::Nothing {
                folder: folder.to_owned(),
            },
            _ => RunError::read(&path, source),
        })?;
        let file: RunFile = toml::from_str(&text).map_err(|source| RunError::RunFile {
            path: path.clone(),
            source: Box::new(source),
        })?;
        let wrong = |what: String| RunError::RunFileValue {
            path: path.clone(),
            what,
        };
        let Some(config) = &file.config else {
            return Err(wrong("config: expected the name of what is run".into()));
        };
        let mut settings = Self::from_file(&folder.join(config))?;
        file.add_to(&mut settings, folder).map_err(wrong)?;
        Ok(settings)
    }

    /// Adds what the command line says; where it names a device that is there, it counts.
    fn add_ports(&mut self, arguments: &RunCommand) -> Result<(), RunError> {
        let parameters = [&arguments.variables[..], &arguments.parameters].concat();
        for (flag, list) in [
            ("--in", &arguments.inputs),
            ("--out", &arguments.outputs),
            ("--port", &arguments.ports),
            ("--block", &arguments.blocks),
            ("--param", &parameters),
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
        for argument in &parameters {
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

    /// A pace is one of the machine's time, and of frames that come from somewhere.
    fn set_pace(&mut self, arguments: &RunCommand) -> Result<(), RunError> {
        let Some(pace) = arguments.pace else {
            return Ok(());
        };
        let wrong = |what: &str| {
            Err(RunError::Flag {
                flag: "--pace",
                value: match pace {
                    Pace::Recorded => "recorded".into(),
                    Pace::Rate(rate) => rate.to_string(),
                },
                what: what.into(),
            })
        };
        if arguments.clock == Some(ClockChoice::Capture) {
            return wrong("frames come in the machine's time: leave --clock capture out");
        }
        if self.inputs.is_empty() {
            return wrong("it is for frames of --in, and there are none");
        }
        if pace == Pace::Recorded && !self.inputs.iter().all(|(_, input)| input.plays_back()) {
            return wrong("what is generated was not recorded: give frames in a second");
        }
        self.pace = Some(pace);
        Ok(())
    }

    /// A machine of its own lives in the host's time, and has none of what only monitors have.
    fn check_target(
        &self,
        arguments: &RunCommand,
        clock: Option<ClockChoice>,
    ) -> Result<(), RunError> {
        let wrong = |flag, value: String, what: &str| {
            Err(RunError::Flag {
                flag,
                value,
                what: what.into(),
            })
        };
        let disk = arguments.target == Target::Disk;
        if let (false, Some(machine)) = (disk, arguments.machine) {
            let name = format!("{machine:?}").to_lowercase();
            return wrong("--machine", name, "give --target disk too");
        }
        if let (true, Some(monitor)) = (disk, arguments.monitor) {
            let name = format!("{monitor:?}").to_lowercase();
            return wrong(
                "--monitor",
                name,
                "no monitor holds an image with --target disk",
            );
        }
        if disk && arguments.clock.is_some() && clock == Some(ClockChoice::Capture) {
            let what = "with --target disk the image lives in its machine's time";
            return wrong("--clock", "capture".into(), what);
        }
        Ok(())
    }

    /// The capture that a device's frames are written to.
    pub(super) fn capture_of(&self, device: &str) -> Option<&Path> {
        let (_, output) = self.outputs.iter().find(|(name, _)| name == device)?;
        match output {
            OutputSpec::Capture(path) => Some(path),
            OutputSpec::Sink => None,
        }
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

pub(super) fn publication(text: &str) -> Result<Publish, String> {
    text.parse()
        .map_err(|error: PublishError| format!("publish: {text}: {error}"))
}
