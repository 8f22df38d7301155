//! The process monitor: for hosts without `/dev/kvm`.
//!
//! The same image at the same addresses, in a process that has nothing but the pieces of the instance:
//! no descriptors, no libc, no kernel pages, no file system or network (namespaces and Landlock, where
//! the kernel has them), and of all system calls two operations on one futex and `exit_group`. As it
//! cannot map or protect memory, its address space is sealed like a virtual machine's.

mod filter;
mod script;
mod spawn;
#[cfg(test)]
mod tests;
mod tracer;
mod turn;

use crate::image::Image;
use crate::instance::{CreationTimes, Instance, MemoryUse, Monitor, MonitorError, Outcome};
use crate::layout::Plan;
use crate::memory::{HUGE_PAGE, Mapping, SystemError, memory_file};
use crate::options::{GrantedDevice, Options};
use crate::pool::Pool;
use crate::report::{Cause, FaultReport, Registers};
use crate::shared::{Board, Shared};
use crate::stopwatch::Stopwatch;
use crate::{clock, usage};
use script::{Descriptors, Script};
use spawn::Program;
use sprat_abi::boot::MonitorKind;
use sprat_abi::call::{CallBlock, Wake};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tracer::{End, Prepared, Tracer};
use turn::Turn;

/// Longest that a process may take to set itself up.
const SETUP_LIMIT: Duration = Duration::from_secs(2);

/// Makes instances as processes.
#[derive(Debug)]
pub struct ProcessMonitor {
    /// A ruleset that forbids everything, if the kernel has Landlock.
    landlock: Option<OwnedFd>,
    /// Processes for instances to come.
    ready: Pool<Prepared>,
}

impl ProcessMonitor {
    /// The process monitor; it needs nothing that could be missing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            landlock: crate::sealing::no_files().and_then(Into::into),
            ready: Pool::default(),
        }
    }

    /// Whether instances are also held by Landlock.
    #[must_use]
    pub fn has_landlock(&self) -> bool {
        self.landlock.is_some()
    }
}

impl Default for ProcessMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl Monitor for ProcessMonitor {
    fn kind(&self) -> MonitorKind {
        MonitorKind::Process
    }

    fn prepare(&self, count: usize) -> Result<bool, MonitorError> {
        Ok(self
            .ready
            .step(count, Prepared::is_waiting, Prepared::begin)?)
    }

    fn create(&self, image: &Image, options: &Options) -> Result<Box<dyn Instance>, MonitorError> {
        let mut times = CreationTimes::default();
        let mut watch = Stopwatch::new();
        // One that somebody has ended meanwhile is passed over.
        let ready = self.ready.take(Prepared::is_waiting);
        let prepared = ready.map_or_else(Prepared::begin, Ok)?;
        let mut plan = Plan::new(image, options, MonitorKind::Process)?;
        plan.boot.seed = crate::seed(options)?;
        let plan = Arc::new(plan);
        let pool_offset = plan.contract_length.next_multiple_of(HUGE_PAGE);
        let board_length = pool_offset + plan.pool_length;
        let file = memory_file(BOARD_NAME, board_length)?;
        let board = Arc::new(Mapping::shared(&file, board_length)?);
        times.memory = watch.lap();

        let files: Vec<Option<RawFd>> = options
            .devices
            .iter()
            .map(|grant| match &grant.device {
                GrantedDevice::InputFile(file) => Some(file.as_raw_fd()),
                GrantedDevice::Network { .. }
                | GrantedDevice::Block { .. }
                | GrantedDevice::OutputFile => None,
            })
            .collect();
        let descriptors = Descriptors {
            board: file.as_raw_fd(),
            image: image.memory().fd(),
            files: &files,
            landlock: self.landlock.as_ref().map(AsRawFd::as_raw_fd),
        };
        let script = Script::new(&plan, &descriptors, pool_offset);
        let turn_address = plan.boot.call_block + CallBlock::PRIVATE_OFFSET as u64;
        let filter = filter::system_calls(turn_address)?;
        let calls = script::calls(&plan, image.entry(), script.program_length(), &filter);
        for (offset, bytes) in plan.contents(&calls) {
            board.write(offset, &bytes);
        }
        let places = Board {
            contract: (board.clone(), 0),
            pool: (board.clone(), pool_offset),
            machine: None,
        };
        let mut shared = Shared::new(places, &plan, options);
        shared.show_time(clock::monotonic_now());
        let turn = Turn::new(
            board.clone(),
            plan.call_block + CallBlock::PRIVATE_OFFSET as u64,
        );
        times.contract = watch.lap();

        let mut program = memory_file("sprat-instance", 0)?;
        program
            .write_all(&script.program())
            .map_err(|error| SystemError::new("writing a program", error))?;
        let inherited = [
            Some(descriptors.board),
            Some(descriptors.image),
            descriptors.landlock,
        ];
        let inherited = inherited
            .into_iter()
            .chain(files.iter().copied())
            .flatten()
            .collect();
        let program = Program {
            file: program.into(),
            inherited,
        };
        let mut tracer = prepared.execute(program, plan.clone(), turn.clone())?;
        wait_for_setup(&mut tracer, &turn, &script)?;
        times.machine = watch.lap();
        tracing::debug!(
            process = tracer.id,
            namespaces = tracer.namespaces,
            "an instance's process is ready"
        );
        Ok(Box::new(ProcessInstance {
            tracer,
            shared,
            turn,
            times,
            at_yield: true,
            stopped: false,
            ended: false,
        }))
    }
}

/// Name of the memory that a process shares with its monitor, as `/proc` shows it.
const BOARD_NAME: &str = "sprat-board";

/// Waits until the process has set itself up.
fn wait_for_setup(tracer: &mut Tracer, turn: &Turn, script: &Script) -> Result<(), MonitorError> {
    let start = Instant::now();
    while !turn.wait(SETUP_LIMIT) {
        if start.elapsed() >= SETUP_LIMIT {
            let stopped = tracer.stop();
            return Err(setup_error(stopped, script));
        }
    }
    match tracer.end() {
        None => Ok(()),
        Some(End::Faulted(report)) => Err(setup_error(Some(report.registers), script)),
        Some(End::Exited(_) | End::Signalled(_)) => Err(setup_error(None, script)),
    }
}

fn setup_error(registers: Option<Registers>, script: &Script) -> MonitorError {
    let Some(registers) = registers else {
        let error = std::io::Error::other("the process was ended by somebody else");
        return MonitorError::Process {
            step: "running",
            error,
        };
    };
    let code = registers
        .r15
        .cast_signed()
        .checked_neg()
        .and_then(|code| i32::try_from(code).ok());
    let error = match code {
        Some(code @ 1..) => std::io::Error::from_raw_os_error(code),
        _ => std::io::ErrorKind::TimedOut.into(),
    };
    MonitorError::Process {
        step: script.step_at(registers.rbx),
        error,
    }
}

/// An instance in a process.
#[derive(Debug)]
struct ProcessInstance {
    // Before the shared memory: the process is gone when that goes.
    tracer: Tracer,
    shared: Shared,
    turn: Turn,
    times: CreationTimes,
    at_yield: bool,
    /// Whether it was stopped when its budget ran out.
    stopped: bool,
    ended: bool,
}

impl ProcessInstance {
    /// It is the host's turn: why?
    fn outcome(&mut self) -> Outcome {
        let exited = self.shared.call_block().private(1).load(Ordering::Acquire) != 0;
        match self.tracer.end() {
            None if !exited => {
                self.at_yield = true;
                return Outcome::Yielded {
                    deadline: self.shared.call_block().deadline(),
                };
            }
            _ if exited => {
                self.kill();
                return Outcome::Exited {
                    status: self.shared.call_block().status(),
                };
            }
            None => {}
            Some(End::Exited(status)) => {
                self.kill();
                return Outcome::Exited { status };
            }
            Some(End::Faulted(report)) => {
                self.kill();
                return Outcome::Faulted(report);
            }
            Some(End::Signalled(number)) => {
                self.kill();
                let cause = Cause::Signal { number };
                let report = FaultReport::new(cause, Registers::default(), None, |_| None);
                return Outcome::Faulted(Box::new(report));
            }
        }
        Outcome::OutOfBudget
    }
}

impl Instance for ProcessInstance {
    fn enter(&mut self, budget: Duration, stop: bool) -> Result<Outcome, MonitorError> {
        if self.ended {
            return Err(MonitorError::Ended);
        }
        let start = Instant::now();
        let now = clock::monotonic_now();
        let shown = self.shared.show_time(now);
        if self.at_yield {
            let stop = if stop { Wake::STOP } else { 0 };
            let wake = Wake {
                ready: self.shared.take_ready() | stop,
                now: shown,
            };
            self.shared.call_block().set_wake(wake);
            self.at_yield = false;
            self.turn.hand_to_instance();
        }
        if std::mem::take(&mut self.stopped) {
            self.tracer.resume();
        }
        loop {
            let left = budget.saturating_sub(start.elapsed());
            if self.turn.wait(left) {
                return Ok(self.outcome());
            }
            if start.elapsed() >= budget {
                self.stopped = self.tracer.stop().is_some();
                // It may have come to its end, or yielded, just then.
                return Ok(if self.turn.is_host() {
                    self.outcome()
                } else {
                    Outcome::OutOfBudget
                });
            }
        }
    }

    fn shared(&mut self) -> &mut Shared {
        &mut self.shared
    }

    fn kill(&mut self) {
        self.ended = true;
        self.tracer.kill();
    }

    fn creation_times(&self) -> CreationTimes {
        self.times
    }

    fn memory_use(&self) -> Result<MemoryUse, MonitorError> {
        if self.ended {
            return Ok(MemoryUse::default());
        }
        Ok(usage::of_process(self.tracer.id, BOARD_NAME)?)
    }
}
