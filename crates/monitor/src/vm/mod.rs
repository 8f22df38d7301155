//! The vm monitor: a virtual processor of KVM, in ring 3 from its first instruction to its last.
//!
//! The instance sees one address space that it cannot change: the page tables are not in it, the two
//! supervisor pages are out of its reach, and of all ports one is open to it, the way out. No interrupt
//! is ever delivered. An exception runs a stub of three instructions in ring 0, which leaves for good.

mod machine;
mod places;
mod ready;
mod supervisor;
mod tables;
mod warm;

use crate::image::Image;
use crate::instance::{CreationTimes, Instance, MemoryUse, Monitor, MonitorError, Outcome};
use crate::layout::Plan;
use crate::memory::{HUGE_PAGE, Mapping};
use crate::options::Options;
use crate::pool::Pool;
use crate::report::{Cause, Registers, vector};
use crate::shared::{Board, Shared};
use crate::stopwatch::Stopwatch;
use crate::{clock, usage};
use kvm_ioctls::Kvm;
use machine::Machine;
use places::Places;
use ready::{Ready, Template};
use sprat_abi::PAGE_SIZE;
use sprat_abi::boot::MonitorKind;
use sprat_abi::call::Wake;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use warm::Alike;

/// Makes instances as virtual machines.
#[derive(Debug)]
pub struct VmMonitor {
    kvm: Kvm,
    template: Template,
    /// Machines for instances to come.
    ready: Pool<Ready>,
    last: Mutex<Option<Alike>>,
}

impl VmMonitor {
    /// Opens `/dev/kvm`.
    ///
    /// # Errors
    /// If it is not there, may not be opened, or lacks something that is needed.
    pub fn open() -> Result<Self, MonitorError> {
        let kvm = Kvm::new().map_err(|error| MonitorError::Kvm {
            call: "opening /dev/kvm",
            error,
        })?;
        let template = Template::new(&kvm)?;
        Ok(Self {
            kvm,
            template,
            ready: Pool::default(),
            last: Mutex::default(),
        })
    }

    /// What the last instance was like.
    fn last(&self) -> MutexGuard<'_, Option<Alike>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A machine: one that stood ready for such an instance, or for others, or a new one.
    fn take(&self, image: &Image, places: &Places) -> Result<Ready, MonitorError> {
        let length = places.memory_length();
        let warm = |ready: &Ready| ready.is_warm_for(image, places);
        if let Some(ready) = self.ready.take(warm) {
            return Ok(ready);
        }
        let Some(mut ready) = self.ready.take(|ready| ready.memory.length() == length) else {
            return Ready::new(&self.kvm, &self.template, length);
        };
        ready.cool()?;
        Ok(ready)
    }
}

impl Monitor for VmMonitor {
    fn kind(&self) -> MonitorKind {
        MonitorKind::Vm
    }

    fn prepare(&self, count: usize) -> Result<bool, MonitorError> {
        // Instances of a lane are alike: the next one will be as the last one was.
        let Some(alike) = self.last().clone() else {
            return Ok(false);
        };
        let length = alike.places.memory_length();
        let fits = |ready: &Ready| ready.memory.length() == length;
        let make = || {
            let mut ready = Ready::new(&self.kvm, &self.template, length)?;
            ready.warm(alike)?;
            Ok(ready)
        };
        self.ready.step(count, fits, make)
    }

    fn create(&self, image: &Image, options: &Options) -> Result<Box<dyn Instance>, MonitorError> {
        let mut times = CreationTimes::default();
        let mut watch = Stopwatch::new();

        let mut plan = Plan::new(image, options, MonitorKind::Vm)?;
        plan.boot.seed = crate::seed(options)?;
        let places = Arc::new(Places::new(&plan));
        *self.last() = Some(Alike::new(image, &plan, places.clone()));
        let ready = self.take(image, &places)?;
        times.machine = watch.lap();

        let memory = ready.memory.clone();
        let is_warm = ready.is_warm_for(image, &places);
        if !is_warm {
            places.put_image(&memory, image)?;
        }
        places.put_files(&memory, &plan, options)?;
        if options.huge_pool && plan.pool_length > 0 {
            memory.make_huge(places.pool, plan.pool_length.next_multiple_of(HUGE_PAGE))?;
        }
        times.memory = watch.lap();

        let tables = ready.tables(&places);
        if !is_warm {
            places.put_tables(&memory, tables);
        }
        times.tables = watch.lap();

        for (offset, bytes) in plan.contents(&supervisor::calls(plan.boot.call_block)) {
            memory.write(places.contract + offset, &bytes);
        }
        let board = Board {
            contract: (memory.clone(), places.contract),
            pool: (memory.clone(), places.pool),
            machine: None,
        };
        let mut shared = Shared::new(board, &plan, options);
        shared.show_time(clock::monotonic_now());
        times.contract = watch.lap();

        let machine = Machine::new(
            ready,
            image.entry(),
            &plan,
            tables,
            places.supervisor + PAGE_SIZE,
        )?;
        times.machine += watch.lap();
        Ok(Box::new(VmInstance {
            machine,
            shared,
            memory,
            places,
            plan,
            times,
            at_yield: true,
            ended: false,
        }))
    }
}

/// An instance in a virtual machine.
#[derive(Debug)]
struct VmInstance {
    // Before the memory, which the virtual processor uses.
    machine: Machine,
    shared: Shared,
    memory: Arc<Mapping>,
    places: Arc<Places>,
    plan: Plan,
    times: CreationTimes,
    /// Whether it waits in `yield` (or at its first instruction), not in the midst of something.
    at_yield: bool,
    ended: bool,
}

impl VmInstance {
    fn read_word(&self, address: u64) -> Option<u64> {
        let (physical, room) = self.places.locate(address)?;
        let mut bytes = [0; 8];
        (room >= 8).then(|| self.memory.read(physical, &mut bytes))??;
        Some(u64::from_le_bytes(bytes))
    }
}

impl VmInstance {
    /// Tells a `syscall`, which is no instruction here, from other nonsense.
    fn name_system_call(&self, cause: Cause, registers: &Registers) -> Cause {
        const SYSTEM_CALL: u64 = 0x050f;
        let is_invalid = matches!(
            cause,
            Cause::Exception {
                vector: vector::INVALID_OPCODE,
                ..
            }
        );
        let instruction = || self.read_word(registers.rip).map(|word| word & 0xffff);
        if is_invalid && instruction() == Some(SYSTEM_CALL) {
            return Cause::SystemCall {
                number: registers.rax.cast_signed(),
            };
        }
        cause
    }
}

impl Instance for VmInstance {
    fn enter(&mut self, budget: Duration, stop: bool) -> Result<Outcome, MonitorError> {
        if self.ended {
            return Err(MonitorError::Ended);
        }
        let now = clock::monotonic_now();
        let shown = self.shared.show_time(now);
        if self.at_yield {
            let stop = if stop { Wake::STOP } else { 0 };
            let wake = Wake {
                ready: self.shared.take_ready() | stop,
                now: shown,
            };
            self.shared.call_block().set_wake(wake);
        }
        self.at_yield = false;
        match self.machine.run(now, budget)? {
            machine::Exit::Yield => {
                self.at_yield = true;
                Ok(Outcome::Yielded {
                    deadline: self.shared.call_block().deadline(),
                })
            }
            machine::Exit::OutOfBudget => Ok(Outcome::OutOfBudget),
            machine::Exit::End => {
                self.ended = true;
                Ok(Outcome::Exited {
                    status: self.shared.call_block().status(),
                })
            }
            machine::Exit::Fault(cause, registers) => {
                self.ended = true;
                let cause = self.name_system_call(cause, &registers);
                let region = crate::report_region(&self.plan, &cause);
                let report =
                    crate::FaultReport::new(cause, *registers, region, |at| self.read_word(at));
                Ok(Outcome::Faulted(Box::new(report)))
            }
        }
    }

    /// Its one processor runs only while it is entered.
    fn stands_still(&self) -> bool {
        true
    }

    fn shared(&mut self) -> &mut Shared {
        &mut self.shared
    }

    fn kill(&mut self) {
        self.ended = true;
    }

    fn creation_times(&self) -> CreationTimes {
        self.times
    }

    fn memory_use(&self) -> Result<MemoryUse, MonitorError> {
        Ok(usage::of_mapping(&self.memory)?)
    }
}
