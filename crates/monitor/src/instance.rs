//! The one interface over both monitors.

use crate::image::Image;
use crate::layout::LayoutError;
use crate::memory::SystemError;
use crate::options::{Options, OptionsError};
use crate::report::FaultReport;
use crate::shared::Shared;
use sprat_abi::boot::MonitorKind;
use sprat_abi::host::Lie;
use std::fmt;
use std::time::Duration;

/// Why an instance cannot be created, or entered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// What was granted does not go with what the image wants.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The plan does not fit an address space.
    #[error(transparent)]
    Layout(LayoutError),
    /// KVM refused something.
    #[error("KVM: {call}: {error}")]
    Kvm {
        /// What was asked of it.
        call: &'static str,
        /// What it answered.
        #[source]
        error: kvm_ioctls::Error,
    },
    /// The system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The instance's process could not set itself up.
    #[error("the instance's process could not set itself up: step {step} failed: {error}")]
    Process {
        /// Which step.
        step: &'static str,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A self-booting image is held by no monitor of this host.
    #[error("a self-booting image runs on a machine of its own, under no monitor of this host")]
    OwnMachine,
    /// A self-booting image cannot be made of it.
    #[error(transparent)]
    Disk(#[from] crate::disk::DiskError),
    /// The emulator cannot be started.
    #[error("cannot start {program}: {error}; it is in Debian's package qemu-system-x86")]
    Emulator {
        /// Its name.
        program: &'static str,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The emulated machine ended without the instance, or never came so far as to start it.
    #[error("the machine ended: {0}")]
    Machine(String),
    /// The instance has ended and cannot be entered.
    #[error("the instance has ended")]
    Ended,
}

impl From<LayoutError> for MonitorError {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Options(error) => Self::Options(error),
            error => Self::Layout(error),
        }
    }
}

/// How an entry ended.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// The instance has nothing to do until something happens, or until `deadline`: nanoseconds of
    /// [`monotonic_now`](crate::monotonic_now), [`NO_DEADLINE`](sprat_abi::call::NO_DEADLINE) or
    /// [`AT_ONCE`](sprat_abi::call::AT_ONCE).
    Yielded {
        /// When it wants to be entered at the latest.
        deadline: u64,
    },
    /// The instance came to an end by itself.
    Exited {
        /// Its status, whatever it chose.
        status: i32,
    },
    /// The instance broke a rule of its address space and was ended.
    Faulted(Box<FaultReport>),
    /// The budget ran out. The instance goes on where it was when it is entered again.
    OutOfBudget,
}

/// Why an instance is no more.
#[derive(Debug)]
pub enum Death {
    /// It exited.
    Exited(i32),
    /// It broke a rule of its address space.
    Faulted(Box<FaultReport>),
    /// It broke a ring.
    Lied(Lie),
    /// It used up its budget so many times in a row.
    Hung {
        /// How often.
        budgets: u32,
    },
    /// The host ended it.
    Killed,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Faulted(report) => write!(f, "died: {report}"),
            Self::Lied(lie) => write!(f, "broke its contract: {lie}"),
            Self::Hung { budgets } => {
                write!(f, "hung: did not yield within {budgets} time budgets")
            }
            Self::Killed => f.write_str("was ended by the host"),
        }
    }
}

/// What creating an instance took. The parts do not overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreationTimes {
    /// Planning the address space and getting its memory.
    pub memory: Duration,
    /// Machine and virtual processor, or process.
    pub machine: Duration,
    /// Page tables and supervisor pages; under the process monitor nothing.
    pub tables: Duration,
    /// Boot page, texts and rings.
    pub contract: Duration,
}

impl CreationTimes {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.memory + self.machine + self.tables + self.contract
    }
}

/// Memory that an instance has touched, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Its own: nobody else has these pages.
    pub private: u64,
    /// Pages of the image, which all its instances have in common.
    pub shared: u64,
}

/// Makes instances.
pub trait Monitor: Send + Sync + fmt::Debug {
    /// Which monitor it is.
    fn kind(&self) -> MonitorKind;

    /// Comes one step nearer to having ready what `count` instances like the last one need: makes it for
    /// one more, or gives up what is too much. Each instance takes its own out of what is ready, best
    /// what was made for its image; where nothing is, it is made when the instance is. False if there is
    /// nothing to do.
    ///
    /// # Errors
    /// If the system refuses something; what is ready stays so.
    fn prepare(&self, count: usize) -> Result<bool, MonitorError> {
        let _ = count;
        Ok(false)
    }

    /// Creates an instance. It does not run before it is entered.
    ///
    /// # Errors
    /// If the options do not go with the image or the system refuses something; then nothing is left.
    fn create(&self, image: &Image, options: &Options) -> Result<Box<dyn Instance>, MonitorError>;
}

/// One running image.
pub trait Instance: Send + fmt::Debug {
    /// Lets the instance run until it yields, ends, or has run for `budget`. With `stop` it is asked
    /// to come to an end by itself ([`Wake::STOP`](sprat_abi::call::Wake::STOP)).
    ///
    /// Call [`Shared::drain`] and [`Shared::reclaim`] after it, for every device.
    ///
    /// # Errors
    /// [`MonitorError::Ended`] after the instance's end, or what the system refused.
    fn enter(&mut self, budget: Duration, stop: bool) -> Result<Outcome, MonitorError>;

    /// Whether it has still to take in what it was given before, which only one on a machine of its own
    /// ever has after it was entered.
    fn is_behind(&mut self) -> bool {
        false
    }

    /// Whether what it shares stays as it is until it is entered again, whatever its program is. Where
    /// that is not so, look at copies alone.
    fn stands_still(&self) -> bool {
        false
    }

    /// What the instance shares with the host.
    fn shared(&mut self) -> &mut Shared;

    /// Ends the instance. What it shares can still be read.
    fn kill(&mut self);

    /// What it took to create it.
    fn creation_times(&self) -> CreationTimes;

    /// What memory it uses now.
    ///
    /// # Errors
    /// If the system does not say.
    fn memory_use(&self) -> Result<MemoryUse, MonitorError>;
}
