//! A thread beside the lane's own for what takes time: making instances, taking them apart, and
//! writing down how they ended.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use sprat_monitor::{
    Chosen, Death, Grant, GrantedDevice, Image, Instance, Monitor, MonitorKind, Options, Symbols,
    build_id_text,
};
use sprat_switch::switch::Remains;

use super::bell::Bell;
use crate::Programs;
use crate::control::Server;
use crate::desired::Program;

/// What an instance is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) program: Program,
    /// Names and Ethernet addresses.
    pub(super) devices: Vec<(String, [u8; 6])>,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) memory: Option<u64>,
}

/// Something to do.
pub(super) enum Job {
    /// Make an instance.
    Make { ticket: u64, spec: Arc<Spec> },
    /// Take one apart.
    Bury(Remains),
    /// The same, of one that never ran.
    Discard(Box<dyn Instance>),
    /// Close a control socket.
    Close(Server),
    /// Write down how one ended.
    Record {
        instance: String,
        spec: Arc<Spec>,
        death: Box<Death>,
        console: Vec<u8>,
    },
}

/// An instance that was asked for.
pub(super) struct Made {
    pub(super) ticket: u64,
    pub(super) result: Result<Box<dyn Instance>, String>,
}

/// The thread.
pub(super) struct Maker {
    jobs: Sender<Job>,
    made: Receiver<Made>,
    /// What holds instances.
    pub(super) monitor: String,
}

impl Maker {
    pub(super) fn start(programs: Programs, crashes: PathBuf, bell: Bell) -> Result<Self, String> {
        let (jobs, work) = channel();
        let (done, made) = channel();
        let Chosen { monitor, .. } =
            sprat_monitor::open(None).map_err(|error| error.to_string())?;
        let kind = match monitor.kind() {
            MonitorKind::Vm => "vm",
            MonitorKind::Process => "process",
            MonitorKind::Disk => "disk",
        };
        let mut workshop = Workshop {
            monitor,
            programs,
            crashes,
            images: HashMap::new(),
        };
        let run = move || {
            for job in work {
                match job {
                    Job::Make { ticket, spec } => {
                        let result = workshop.make(&spec);
                        if done.send(Made { ticket, result }).is_err() {
                            return;
                        }
                        bell.ring();
                    }
                    Job::Bury(remains) => drop(remains),
                    Job::Discard(instance) => drop(instance),
                    Job::Close(server) => drop(server),
                    Job::Record {
                        instance,
                        spec,
                        death,
                        console,
                    } => workshop.record(&instance, &spec, *death, &console),
                }
            }
        };
        let thread = thread::Builder::new().name("maker".into());
        thread.spawn(run).map_err(|error| error.to_string())?;
        Ok(Self {
            jobs,
            made,
            monitor: kind.into(),
        })
    }

    pub(super) fn give(&self, job: Job) {
        // The thread lives as long as this does.
        let _ = self.jobs.send(job);
    }

    pub(super) fn take(&self) -> Option<Made> {
        self.made.try_recv().ok()
    }
}

struct Workshop {
    monitor: Box<dyn Monitor>,
    programs: Programs,
    crashes: PathBuf,
    /// Images by path; that of Click configurations by none.
    images: HashMap<Option<String>, Image>,
}

/// Reports of an instance that are kept.
const MOST_REPORTS: usize = 16;

impl Workshop {
    fn make(&mut self, spec: &Spec) -> Result<Box<dyn Instance>, String> {
        let mut parameters = spec.parameters.clone();
        let mut configuration = Vec::new();
        let key = match &spec.program {
            Program::Click { name, text } => {
                configuration = text.clone().into_bytes();
                parameters.push(("file".into(), name.clone()));
                None
            }
            Program::Image { path, .. } => Some(path.clone()),
        };
        let stale = match (&spec.program, self.images.get(&key)) {
            (_, None) => true,
            (Program::Click { .. }, Some(_)) => false,
            (Program::Image { build, .. }, Some(image)) => {
                build_id_text(image.build_id()) != *build
            }
        };
        if stale {
            let image = self.load(&spec.program)?;
            self.images.insert(key.clone(), image);
        }
        let image = self.images.get(&key).ok_or("no image")?;
        let devices = spec.devices.iter().map(|(name, address)| Grant {
            name: name.clone(),
            device: GrantedDevice::Network {
                address: *address,
                frame_limit: FRAME_LIMIT,
                features: 0,
            },
        });
        let options = Options {
            configuration,
            parameters,
            devices: devices.collect(),
            heap: spec.memory,
            ..Options::default()
        };
        let made = self.monitor.create(image, &options);
        made.map_err(|error| error.to_string())
    }

    fn load(&self, program: &Program) -> Result<Image, String> {
        match program {
            Program::Click { .. } => {
                Image::load(self.programs.click).map_err(|error| error.to_string())
            }
            Program::Image { path, build } => {
                let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
                let image = Image::load(&bytes).map_err(|error| format!("{path}: {error}"))?;
                let found = build_id_text(image.build_id());
                if found == *build {
                    Ok(image)
                } else {
                    Err(format!(
                        "{path} is another image now (build {found}, declared was {build}): sprat up \
                         declares it"
                    ))
                }
            }
        }
    }

    /// Writes a report of an instance's end, and removes the oldest one too many.
    fn record(&self, instance: &str, spec: &Spec, death: Death, console: &[u8]) {
        let death = match death {
            Death::Faulted(mut report) => {
                if let Some(symbols) = self.symbols(&spec.program) {
                    report.name_frames(&symbols);
                }
                Death::Faulted(report)
            }
            other => other,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_millis());
        let mut text = String::new();
        let said = String::from_utf8_lossy(console);
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "instance {instance}\nat {now} ms after 1970\n{death}\n\nconsole:\n{said}"
        );
        // Where there is no room the instance is replaced all the same.
        let _ = fs::write(self.crashes.join(format!("{instance}-{now:014}.txt")), text);
        let mut reports = reports(&self.crashes, instance);
        let old = reports.len().saturating_sub(MOST_REPORTS);
        for report in reports.drain(..old) {
            let _ = fs::remove_file(report);
        }
    }

    fn symbols(&self, program: &Program) -> Option<Symbols> {
        match program {
            Program::Click { .. } => {
                let image = self.images.get(&None)?;
                let file = tempfile::NamedTempFile::new().ok()?;
                fs::write(file.path(), self.programs.symbols).ok()?;
                Symbols::load(file.path(), image.build_id()).ok()
            }
            Program::Image { path, .. } => {
                let image = self.images.get(&Some(path.clone()))?;
                Symbols::find(Path::new(path), image.build_id(), &[])
            }
        }
    }
}

/// Longest frame of a device: Ethernet's own and a VLAN tag.
const FRAME_LIMIT: u32 = 1518;

/// The reports there are of an instance, oldest first.
fn reports(folder: &Path, instance: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut reports: Vec<PathBuf> = files
        .filter(|file| {
            let name = file.file_name();
            let name = name.to_string_lossy();
            name.strip_prefix(instance)
                .and_then(|rest| rest.strip_prefix('-'))
                .and_then(|rest| rest.strip_suffix(".txt"))
                .is_some_and(|time| time.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .map(|file| file.path())
        .collect();
    reports.sort();
    reports
}
