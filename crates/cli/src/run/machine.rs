//! The instance of a run: its image, and the monitor that holds it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sprat_monitor::{
    Chosen, Death, Image, Instance, Monitor, MonitorError, MonitorKind, Options, Symbols,
};

use super::error::RunError;
use super::settings::Program;
use crate::disk::MachineChoice;
use crate::embedded;

/// What can hold an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum MonitorChoice {
    /// A virtual machine, by KVM.
    Vm,
    /// A process under seccomp.
    Process,
}

/// What is to hold an instance: a monitor of this host, or a machine of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder {
    /// This monitor, or the best there is.
    Monitor(Option<MonitorChoice>),
    /// A machine of this kind.
    Machine(MachineChoice),
}

/// What is known of an instance before it runs.
pub(super) struct Facts {
    pub(super) program: String,
    pub(super) monitor: &'static str,
    /// Why this monitor.
    pub(super) reason: String,
    pub(super) image_bytes: u64,
    /// Opening the monitor.
    pub(super) open: Duration,
    /// Reading and judging the image.
    pub(super) load: Duration,
    build_id: Vec<u8>,
    symbols: SymbolSource,
}

/// Where an image's symbols are, should it come to that.
enum SymbolSource {
    Embedded,
    Beside(PathBuf),
}

/// An instance that is ready to run.
pub(super) struct Held {
    pub(super) instance: Box<dyn Instance>,
    pub(super) facts: Facts,
}

impl Held {
    /// Creates the instance.
    pub(super) fn create(
        program: &Program,
        holder: Holder,
        options: Options,
    ) -> Result<Self, RunError> {
        let (bytes, name, symbols): (std::borrow::Cow<'_, [u8]>, _, _) = match program {
            Program::Click { name, .. } => {
                (embedded::IMAGE.into(), name.clone(), SymbolSource::Embedded)
            }
            Program::Image(path) => {
                let bytes = fs::read(path).map_err(|source| RunError::read(path, source))?;
                (
                    bytes.into(),
                    path.display().to_string(),
                    SymbolSource::Beside(path.clone()),
                )
            }
        };
        let begin = Instant::now();
        let (monitor, reason) = match holder {
            Holder::Monitor(choice) => monitor(choice)?,
            Holder::Machine(machine) => {
                let monitor: Box<dyn Monitor> = Box::new(machine.monitor());
                (monitor, machine.reason().into())
            }
        };
        monitor.prepare(1)?;
        let open = begin.elapsed();
        let begin = Instant::now();
        let image = Image::load(&bytes).map_err(|source| RunError::Image {
            name: name.clone(),
            source,
        })?;
        let load = begin.elapsed();
        let instance = monitor.create(&image, &options)?;
        let facts = Facts {
            program: name,
            monitor: match monitor.kind() {
                sprat_monitor::MonitorKind::Vm => "vm",
                sprat_monitor::MonitorKind::Process => "process",
                sprat_monitor::MonitorKind::Disk => "disk",
            },
            reason,
            image_bytes: bytes.len() as u64,
            open,
            load,
            build_id: image.build_id().to_vec(),
            symbols,
        };
        Ok(Self { instance, facts })
    }
}

/// The monitor asked for, or the best there is; and why.
fn monitor(choice: Option<MonitorChoice>) -> Result<(Box<dyn Monitor>, String), MonitorError> {
    let kind = choice.map(|choice| match choice {
        MonitorChoice::Vm => MonitorKind::Vm,
        MonitorChoice::Process => MonitorKind::Process,
    });
    let Chosen { monitor, fallback } = sprat_monitor::open(kind)?;
    let reason = match (kind, fallback) {
        (Some(_), _) => "asked for".into(),
        (None, None) => "/dev/kvm can be used".into(),
        (None, Some(error)) => format!("no virtual machine: {error}"),
    };
    Ok((monitor, reason))
}

impl Facts {
    /// Adds function names to a fault's report, where the image's symbols are at hand.
    pub(super) fn name(&self, death: Death) -> Death {
        match death {
            Death::Faulted(mut report) => {
                if let Some(symbols) = self.find_symbols() {
                    report.name_frames(&symbols);
                }
                Death::Faulted(report)
            }
            other => other,
        }
    }

    fn find_symbols(&self) -> Option<Symbols> {
        match &self.symbols {
            SymbolSource::Beside(path) => Symbols::find(path, &self.build_id, &[]),
            SymbolSource::Embedded => {
                let file = tempfile::NamedTempFile::new().ok()?;
                fs::write(file.path(), embedded::SYMBOLS).ok()?;
                Symbols::load(file.path(), &self.build_id).ok()
            }
        }
    }
}
