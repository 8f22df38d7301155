//! The vm monitor: a virtual processor of KVM, in ring 3 from its first instruction to its last.
//!
//! The instance sees one address space that it cannot change: the page tables are not in it, the two
//! supervisor pages are out of its reach, and of all ports one is open to it, the way out. No interrupt
//! is ever delivered. An exception runs a stub of three instructions in ring 0, which leaves for good.

mod machine;
mod supervisor;
mod tables;

use crate::image::Image;
use crate::instance::{CreationTimes, Instance, MemoryUse, Monitor, MonitorError, Outcome};
use crate::layout::{Content, Plan, SUPERVISOR_ADDRESS};
use crate::memory::{HUGE_PAGE, Mapping};
use crate::options::{GrantedDevice, Options};
use crate::pool::Pool;
use crate::report::{Cause, Registers, vector};
use crate::shared::{Board, Shared};
use crate::stopwatch::Stopwatch;
use crate::{clock, usage};
use kvm_ioctls::Kvm;
use machine::{Machine, Ready, Template};
use sprat_abi::PAGE_SIZE;
use sprat_abi::boot::MonitorKind;
use sprat_abi::call::Wake;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tables::Mapped;

/// Makes instances as virtual machines.
#[derive(Debug)]
pub struct VmMonitor {
    kvm: Kvm,
    template: Template,
    /// Machines for instances to come.
    ready: Pool<Ready>,
    /// How much memory the last instance had; 0 where there was none.
    length: AtomicU64,
}

/// Memory comes in steps of so many bytes: machines that are ready fit instances that are alike.
const MEMORY_STEP: u64 = 16 << 20;

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
            length: AtomicU64::new(0),
        })
    }
}

impl Monitor for VmMonitor {
    fn kind(&self) -> MonitorKind {
        MonitorKind::Vm
    }

    fn prepare(&self, count: usize) -> Result<bool, MonitorError> {
        // Instances of a lane are alike: the next one's memory will be as large as the last one's.
        let length = self.length.load(Ordering::Relaxed);
        if length == 0 {
            return Ok(false);
        }
        let fits = |ready: &Ready| ready.memory.length() == length;
        let make = || Ready::new(&self.kvm, &self.template, length);
        self.ready.step(count, fits, make)
    }

    fn create(&self, image: &Image, options: &Options) -> Result<Box<dyn Instance>, MonitorError> {
        let mut times = CreationTimes::default();
        let mut watch = Stopwatch::new();

        let mut plan = Plan::new(image, options, MonitorKind::Vm)?;
        plan.boot.seed = crate::seed(options)?;
        let places = Places::new(&plan);
        let length = places.length.next_multiple_of(MEMORY_STEP);
        self.length.store(length, Ordering::Relaxed);
        let fits = |ready: &Ready| ready.memory.length() == length;
        let ready = self.ready.take(fits);
        let ready = ready.map_or_else(|| Ready::new(&self.kvm, &self.template, length), Ok)?;
        times.machine = watch.lap();

        let memory = ready.memory.clone();
        place_files(&memory, &plan, &places, image, options)?;
        if options.huge_pool && plan.pool_length > 0 {
            memory.make_huge(places.pool, plan.pool_length.next_multiple_of(HUGE_PAGE))?;
        }
        times.memory = watch.lap();

        let tables = tables::build(&places.mapped, places.tables);
        debug_assert!(tables.len() as u64 <= places.tables_bound);
        for (index, table) in tables.iter().enumerate() {
            // Most of a table is zero, and so is fresh memory.
            let used = table
                .iter()
                .rposition(|&entry| entry != 0)
                .map_or(0, |last| last + 1);
            let first = table.iter().position(|&entry| entry != 0).unwrap_or(0);
            let bytes: Vec<u8> = table[first..used]
                .iter()
                .flat_map(|entry| entry.to_le_bytes())
                .collect();
            memory.write(
                places.tables + index as u64 * PAGE_SIZE + first as u64 * 8,
                &bytes,
            );
        }
        memory.write(places.supervisor, &supervisor::page());
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
            places.tables,
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

/// Where everything lies in the machine's memory.
#[derive(Debug)]
struct Places {
    tables: u64,
    tables_bound: u64,
    supervisor: u64,
    contract: u64,
    pool: u64,
    image: u64,
    length: u64,
    mapped: Vec<Mapped>,
}

impl Places {
    fn new(plan: &Plan) -> Self {
        let mut stretches: Vec<_> = plan
            .pieces
            .iter()
            .map(|piece| (piece.address, piece.length))
            .collect();
        stretches.push((SUPERVISOR_ADDRESS, supervisor::LENGTH));
        let tables_bound = tables::bound(&stretches);
        let mut end = 0;
        let mut take = |length: u64, alignment: u64| {
            let at = u64::next_multiple_of(end, alignment);
            end = at + length.next_multiple_of(PAGE_SIZE);
            at
        };
        let tables = take(tables_bound * PAGE_SIZE, PAGE_SIZE);
        let supervisor = take(supervisor::LENGTH, PAGE_SIZE);
        let contract = take(plan.contract_length, PAGE_SIZE);
        let image = take(plan.boot.image.length, PAGE_SIZE);
        let mut mapped = vec![
            Mapped {
                address: SUPERVISOR_ADDRESS,
                physical: supervisor,
                length: PAGE_SIZE,
                protection: crate::Protection::ReadExecute,
                user: false,
            },
            Mapped {
                address: SUPERVISOR_ADDRESS + PAGE_SIZE,
                physical: supervisor + PAGE_SIZE,
                length: PAGE_SIZE,
                protection: crate::Protection::ReadWrite,
                user: false,
            },
        ];
        let mut pool = 0;
        // Small things first, then the big ones, each aligned for huge pages.
        let mut pieces: Vec<_> = plan.pieces.iter().collect();
        pieces.sort_by_key(|piece| piece.length >= HUGE_PAGE);
        for piece in pieces {
            let alignment = if piece.length >= HUGE_PAGE {
                HUGE_PAGE
            } else {
                PAGE_SIZE
            };
            let physical = match piece.content {
                Content::Contract(offset) => contract + offset,
                Content::Image(offset) => image + offset,
                Content::Zero | Content::File(_) => take(piece.length, alignment),
                Content::Pool => {
                    // Huge pages may be asked for, whole ones.
                    pool = take(piece.length.next_multiple_of(HUGE_PAGE), HUGE_PAGE);
                    pool
                }
            };
            let (address, length, protection) = (piece.address, piece.length, piece.protection);
            mapped.push(Mapped {
                address,
                physical,
                length,
                protection,
                user: true,
            });
        }
        Self {
            tables,
            tables_bound,
            supervisor,
            contract,
            pool,
            image,
            length: end,
            mapped,
        }
    }

    /// Where an address of the instance lies in the machine's memory, and how many bytes follow it.
    fn locate(&self, address: u64) -> Option<(u64, u64)> {
        self.mapped.iter().find_map(|stretch| {
            let within = address.checked_sub(stretch.address)?;
            (within < stretch.length).then(|| (stretch.physical + within, stretch.length - within))
        })
    }
}

/// Maps the image and the granted files over the machine's memory.
fn place_files(
    memory: &Mapping,
    plan: &Plan,
    places: &Places,
    image: &Image,
    options: &Options,
) -> Result<(), MonitorError> {
    memory.place_private(
        places.image,
        image.memory().length(),
        image.memory().as_fd(),
        true,
    )?;
    for piece in &plan.pieces {
        if let Content::File(index) = piece.content
            && let Some(GrantedDevice::InputFile(file)) =
                options.devices.get(index).map(|grant| &grant.device)
            && let Some((physical, _)) = places.locate(piece.address)
        {
            memory.place_private(physical, piece.length, file.as_fd(), false)?;
        }
    }
    Ok(())
}

/// An instance in a virtual machine.
#[derive(Debug)]
struct VmInstance {
    // Before the memory, which the virtual processor uses.
    machine: Machine,
    shared: Shared,
    memory: Arc<Mapping>,
    places: Places,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Elf;

    #[test]
    fn nothing_that_an_instance_may_use_lies_where_its_page_tables_do() {
        let image = Image::load(&Elf::new(&[0xf4]).bytes()).expect("a sound image");
        let plan = Plan::new(&image, &Options::default(), MonitorKind::Vm).expect("fits");
        let places = Places::new(&plan);
        let tables = places.tables..places.tables + places.tables_bound * PAGE_SIZE;
        let stubs = places.supervisor..places.supervisor + supervisor::LENGTH;
        for stretch in places.mapped.iter().filter(|stretch| stretch.user) {
            let end = stretch.physical + stretch.length;
            for kept in [&tables, &stubs] {
                assert!(
                    end <= kept.start || stretch.physical >= kept.end,
                    "{stretch:x?}"
                );
            }
            assert!(end <= places.length);
        }
        // No two stretches share memory, but that the instance's view of the contract is in parts.
        let mut all: Vec<_> = places
            .mapped
            .iter()
            .map(|s| s.physical..s.physical + s.length)
            .collect();
        all.sort_by_key(|range| range.start);
        assert!(
            all.windows(2).all(|pair| pair[0].end <= pair[1].start),
            "{all:x?}"
        );
    }
}
