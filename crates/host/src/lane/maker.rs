//! A thread beside the lane's own for what takes time: making instances, taking them apart, and
//! putting into words how they ended.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use sprat_monitor::{
    Death, Grant, GrantedDevice, Image, Instance, Monitor, Options, Symbols, build_id_text,
};
use sprat_switch::switch::Remains;

use super::bell::Bell;
use crate::Programs;
use crate::control::Server;
use crate::desired::Program;
use crate::wall_milliseconds;

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
    /// Keep an image's file, and that of its symbols, for instances to come.
    Keep {
        path: String,
        image: File,
        symbols: Option<File>,
    },
    /// Put into words how one ended.
    Report {
        instance: String,
        spec: Arc<Spec>,
        death: Box<Death>,
        console: Vec<u8>,
    },
}

/// What was asked for.
pub(super) enum Made {
    /// An instance.
    Instance {
        ticket: u64,
        result: Result<Box<dyn Instance>, String>,
    },
    /// How one ended.
    Report {
        instance: String,
        at: u64,
        how: String,
        report: String,
    },
}

/// The thread.
pub(super) struct Maker {
    jobs: Sender<Job>,
    made: Receiver<Made>,
}

impl Maker {
    pub(super) fn start(
        monitor: Box<dyn Monitor>,
        programs: Programs,
        bell: Bell,
    ) -> io::Result<Self> {
        let (jobs, work) = channel();
        let (done, made) = channel();
        let mut workshop = Workshop {
            monitor,
            programs,
            files: HashMap::new(),
            images: HashMap::new(),
        };
        let run = move || {
            while let Some(job) = workshop.next(&work) {
                let made = match job {
                    Job::Make { ticket, spec } => Made::Instance {
                        ticket,
                        result: workshop.make(&spec),
                    },
                    Job::Report {
                        instance,
                        spec,
                        death,
                        console,
                    } => workshop.report(instance, &spec, *death, &console),
                    Job::Keep {
                        path,
                        image,
                        symbols,
                    } => {
                        workshop.files.insert(path, Files { image, symbols });
                        continue;
                    }
                    Job::Bury(remains) => {
                        drop(remains);
                        continue;
                    }
                    Job::Discard(instance) => {
                        drop(instance);
                        continue;
                    }
                    Job::Close(server) => {
                        drop(server);
                        continue;
                    }
                };
                if done.send(made).is_err() {
                    return;
                }
                bell.ring();
            }
        };
        let thread = thread::Builder::new().name("maker".into());
        thread.spawn(run)?;
        Ok(Self { jobs, made })
    }

    pub(super) fn give(&self, job: Job) {
        // The thread lives as long as this does.
        let _ = self.jobs.send(job);
    }

    pub(super) fn take(&self) -> Option<Made> {
        self.made.try_recv().ok()
    }
}

/// An image's file, and that of its symbols.
struct Files {
    image: File,
    symbols: Option<File>,
}

struct Workshop {
    monitor: Box<dyn Monitor>,
    programs: Programs,
    /// Files of images by path.
    files: HashMap<String, Files>,
    /// Images by path; that of Click configurations by none.
    images: HashMap<Option<String>, Image>,
}

/// How many instances to come find ready what all of them need: as many as may end at once, or be
/// wanted by a first frame, without any of them waiting for it.
const READY: usize = 4;

/// Bytes of an instance's console that its report has: the last.
const CONSOLE: usize = 64 << 10;

impl Workshop {
    /// The next thing to do. While there is none, what instances to come need is made.
    fn next(&self, work: &Receiver<Job>) -> Option<Job> {
        loop {
            match work.try_recv() {
                Ok(job) => return Some(job),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            // What the system refuses is asked for again after the next job.
            if !self.monitor.prepare(READY).unwrap_or(false) {
                return work.recv().ok();
            }
        }
    }

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
        let Program::Image { path, build } = program else {
            return Image::load(self.programs.click).map_err(|error| error.to_string());
        };
        let failed = |error: &dyn std::error::Error| format!("{path}: {error}");
        let files = self
            .files
            .get(path)
            .ok_or_else(|| format!("{path} was not given"))?;
        let bytes = whole(&files.image).map_err(|error| failed(&error))?;
        let image = Image::load(&bytes).map_err(|error| failed(&error))?;
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

    /// Puts an instance's end into words.
    fn report(&self, instance: String, spec: &Spec, death: Death, console: &[u8]) -> Made {
        let death = match death {
            Death::Faulted(mut report) => {
                if let Some(symbols) = self.symbols(&spec.program) {
                    report.name_frames(&symbols);
                }
                Death::Faulted(report)
            }
            other => other,
        };
        let at = wall_milliseconds();
        let said = &console[console.len().saturating_sub(CONSOLE)..];
        let said = String::from_utf8_lossy(said);
        let how = death.to_string();
        let mut report = String::new();
        // Writing to a text does not fail.
        let _ = write!(
            report,
            "instance {instance}\nat {at} ms after 1970\n{how}\n\nconsole:\n{said}"
        );
        Made::Report {
            instance,
            at,
            how: super::supervise::first_line(&how),
            report,
        }
    }

    fn symbols(&self, program: &Program) -> Option<Symbols> {
        match program {
            Program::Click { .. } => {
                let image = self.images.get(&None)?;
                let name = Path::new("the built-in image's symbols");
                Symbols::parse(name, self.programs.symbols, image.build_id()).ok()
            }
            Program::Image { path, .. } => {
                let image = self.images.get(&Some(path.clone()))?;
                let files = self.files.get(path)?;
                // An image that has not been stripped has its own.
                let bytes = whole(files.symbols.as_ref().unwrap_or(&files.image)).ok()?;
                Symbols::parse(Path::new(path), &bytes, image.build_id()).ok()
            }
        }
    }
}

/// All of a file that others may read too.
fn whole(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Longest frame of a device: Ethernet's own and a VLAN tag.
const FRAME_LIMIT: u32 = 1518;
