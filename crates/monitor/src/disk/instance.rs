//! A self-booting image on an emulated machine, as one more monitor.
//!
//! The emulator shares the machine's memory with this process, so what a monitor reads of an instance
//! is read here too: statistics, files that it writes, requests and answers. Its console is the serial
//! line, its frames are datagrams ([`super::wire`]).

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sprat_abi::boot::MonitorKind;
use sprat_abi::bytes::ByteProducer;
use sprat_abi::call::{AT_ONCE, CallBlock};
use sprat_abi::disk::{RESTED_WORD, STOP_WORD, YIELDS_WORD, flags};
use sprat_abi::guest::Pool;
use sprat_abi::ring::{Consumer, Producer};

use super::assemble::{SelfBooting, lay_out};
use super::qemu::{End, Machine, MachineKind};
use super::report;
use super::running::{Running, cards, disks, path_of};
use super::wire::{Buffers, Wire};
use crate::clock;
use crate::image::{Image, Protection};
use crate::instance::{CreationTimes, Instance, MemoryUse, Monitor, MonitorError, Outcome};
use crate::layout::{Content, DevicePlan, Plan};
use crate::memory::{Mapping, SystemError, memory_file};
use crate::options::Options;
use crate::shared::{Board, Shared};
use crate::stopwatch::Stopwatch;

/// How many times as long as an instance of its own processor's an emulated one may take.
const SLOWNESS: u32 = 10;

/// Longest that a machine is waited for that takes in nothing of what it was given.
const STANDSTILL: Duration = Duration::from_secs(60);

/// How long a machine that has nothing to say is left alone.
const GLANCE: Duration = Duration::from_millis(1);

/// Memory of a machine beside what its image takes: firmware, page tables, queues.
const MARGIN: u64 = 2 << 20;

/// Makes machines.
#[derive(Debug)]
pub struct DiskMonitor {
    boot_monitor: Vec<u8>,
    kind: MachineKind,
    memory: Option<u64>,
}

impl DiskMonitor {
    /// A monitor that puts `boot_monitor` (the linked file) before images, and starts machines of one
    /// kind with so many MiB; by default with as many as the image asks for.
    #[must_use]
    pub fn new(boot_monitor: Vec<u8>, kind: MachineKind, memory: Option<u64>) -> Self {
        Self {
            boot_monitor,
            kind,
            memory,
        }
    }
}

impl Monitor for DiskMonitor {
    fn kind(&self) -> MonitorKind {
        MonitorKind::Disk
    }

    fn create(&self, image: &Image, options: &Options) -> Result<Box<dyn Instance>, MonitorError> {
        let mut times = CreationTimes::default();
        let mut watch = Stopwatch::new();
        let made = lay_out(&self.boot_monitor, image, options, flags::WATCHED)?;
        let needed = made.memory + made.plan.boot.heap.length + MARGIN;
        let mebibytes = self
            .memory
            .unwrap_or_else(|| needed.div_ceil(1 << 20).max(4));
        let length = mebibytes << 20;
        let memory = memory_file(MEMORY_NAME, length)?;
        let mapped = Arc::new(Mapping::shared(&memory, length)?);
        let file = match self.kind {
            MachineKind::Microvm | MachineKind::Pci => made.file.clone(),
            MachineKind::Bios => super::bios::disk(&self.boot_monitor, &made.file)?,
        };
        let on_disk = memory_file("sprat-disk", 0)?;
        (&on_disk)
            .write_all(&file)
            .map_err(|error| SystemError::new("writing a file in memory", error))?;
        times.contract = watch.lap();

        let mut machine = Machine::new(self.kind, &path_of(&on_disk), mebibytes);
        machine.share_memory(&path_of(&memory), length);
        let (wires, theirs) = cards(&mut machine, options)?;
        disks(&mut machine, options);
        machine.add_device("rng", "");
        let mut machine = Running::start(&machine, theirs)?;
        times.memory = watch.lap();
        let rings = machine.wait_for_image(&mapped, made.payload)?;
        let instance = join(machine, memory, mapped, rings, &made, options, wires)?;
        times.machine = watch.lap();
        Ok(Box::new(DiskInstance { times, ..instance }))
    }
}

/// Name of a machine's memory, as `/proc` shows it.
const MEMORY_NAME: &str = "sprat-machine";

/// Takes the guest's side of the rings that the lane uses, and the host's of those in the machine.
fn join(
    machine: Running,
    memory: File,
    mapped: Arc<Mapping>,
    rings: u64,
    made: &SelfBooting,
    options: &Options,
    wires: Vec<OwnedFd>,
) -> Result<DiskInstance, MonitorError> {
    let plan = &made.plan;
    let contract = Arc::new(Mapping::anonymous(plan.contract_length)?);
    let pool = Arc::new(Mapping::anonymous(plan.pool_length.max(1))?);
    let writable = writable_part(plan);
    let length = plan.contract_length - writable;
    let inside = mapped
        .at(rings, length)
        .wrapping_sub(sprat_abi::length(writable));
    let at = |offset: u64| contract.base().wrapping_add(sprat_abi::length(offset));
    let shared = Shared::new(
        Board {
            contract: (contract.clone(), 0),
            pool: (pool.clone(), 0),
            machine: Some((mapped.clone(), inside)),
        },
        plan,
        options,
    );
    // SAFETY: zeroed memory laid out by the plan and kept with the instance; `Shared` has the other
    // side of each ring. The call block is the machine's.
    let (console, stop, buffers, wires) = unsafe {
        let mut sockets = wires.into_iter();
        let mut wires = Vec::new();
        for device in &plan.devices {
            if let DevicePlan::Network {
                receive,
                transmit,
                slots,
            } = *device
                && let Some(socket) = sockets.next()
            {
                wires.push(Wire::new(
                    socket,
                    Consumer::attach(at(receive), slots),
                    Producer::attach(at(transmit), slots),
                ));
            }
        }
        let buffers = (plan.pool_length > 0).then(|| Buffers {
            pool: Pool::new(pool.base(), plan.sizes.buffers, plan.boot.first_own_buffer),
            supply: Producer::attach(at(plan.supply.0), plan.supply.1),
            free: (plan.boot.first_own_buffer..plan.sizes.buffers).collect(),
        });
        (
            ByteProducer::attach(at(plan.console.0), plan.console.1),
            inside
                .wrapping_add(sprat_abi::length(plan.call_block))
                .cast::<CallBlock>()
                .cast_const(),
            buffers,
            wires,
        )
    };
    Ok(DiskInstance {
        console,
        buffers,
        wires,
        call_block: stop,
        shared,
        machine,
        memory,
        times: CreationTimes::default(),
        unsaid: Vec::new(),
        sent: 0,
        rested: (0, Instant::now()),
        ended: false,
        _keep: [contract, pool, mapped],
    })
}

/// Offset of the contract's writable part.
fn writable_part(plan: &Plan) -> u64 {
    let mut pieces = plan.pieces.iter();
    pieces
        .find_map(|piece| match (piece.content, piece.protection) {
            (Content::Contract(offset), Protection::ReadWrite) => Some(offset),
            _ => None,
        })
        .unwrap_or(0)
}

/// An image on its machine.
#[derive(Debug)]
struct DiskInstance {
    // The rings' pointers lead into the mappings, so they are declared, and dropped, before them.
    console: ByteProducer,
    buffers: Option<Buffers>,
    wires: Vec<Wire>,
    call_block: *const CallBlock,
    shared: Shared,
    machine: Running,
    memory: File,
    times: CreationTimes,
    /// What the console's ring had no room for.
    unsaid: Vec<u8>,
    /// How many frames were sent to it.
    sent: u64,
    /// What it said last of having taken them in, and since when it says that.
    rested: (u64, Instant),
    ended: bool,
    _keep: [Arc<Mapping>; 3],
}

// SAFETY: the pointer leads to a structure of atomics in a mapping that is kept.
unsafe impl Send for DiskInstance {}

impl DiskInstance {
    /// Moves frames and what is on the console; whether there was anything.
    fn exchange(&mut self) -> Result<bool, MonitorError> {
        let mut moved = 0;
        if let Some(buffers) = &mut self.buffers {
            let arrived = clock::point_now(0).wall;
            for wire in &mut self.wires {
                let sent = wire.send(buffers)?;
                self.sent += sent as u64;
                moved += sent + wire.receive(buffers, arrived)?;
            }
        }
        Ok(moved > 0 || self.listen()?)
    }

    /// Takes what is on the console, as far as there is room for it; whether there was anything.
    fn listen(&mut self) -> Result<bool, MonitorError> {
        let mut heard = false;
        loop {
            if !self.unsaid.is_empty() {
                let count = self.console.write(&self.unsaid).unwrap_or(0);
                self.unsaid.drain(..count);
                if !self.unsaid.is_empty() {
                    return Ok(true);
                }
            }
            let mut text = [0; 4096];
            let count = self.machine.hear(&mut text)?;
            if count == 0 {
                return Ok(heard);
            }
            heard = true;
            self.unsaid.extend_from_slice(&text[..count]);
        }
    }

    /// Sleeps until the machine may have something to say.
    fn sleep(&self, longest: Duration) {
        let readable = |descriptor| libc::pollfd {
            fd: descriptor,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut waiting: Vec<libc::pollfd> = self
            .wires
            .iter()
            .map(|wire| readable(wire.descriptor()))
            .chain([readable(self.machine.descriptor())])
            .collect();
        let timeout = i32::try_from(longest.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: an array of so many entries; what a failed wait means is seen by who asked for it.
        unsafe {
            libc::poll(waiting.as_mut_ptr(), waiting.len() as libc::nfds_t, timeout);
        }
    }

    fn call_block(&self) -> &CallBlock {
        // SAFETY: a structure of atomics in the machine's memory, which is kept.
        unsafe { &*self.call_block }
    }

    /// How often the instance has yielded.
    fn yields(&self) -> u64 {
        let word = self.call_block().private(YIELDS_WORD);
        word.load(Ordering::Acquire)
    }

    fn outcome(&mut self, end: End) -> Result<Outcome, MonitorError> {
        self.ended = true;
        while self.exchange()? && self.unsaid.is_empty() {}
        match end {
            End::Exited(status) => Ok(Outcome::Exited {
                status: status.into(),
            }),
            End::Faulted => Ok(Outcome::Faulted(Box::new(report::read(
                &self.machine.last_words(),
            )))),
            End::Refused | End::Other(_) => Err(self.machine.ended(end)),
        }
    }
}

impl Instance for DiskInstance {
    fn enter(&mut self, budget: Duration, stop: bool) -> Result<Outcome, MonitorError> {
        if self.ended {
            return Err(MonitorError::Ended);
        }
        if stop {
            let word = self.call_block().private(STOP_WORD);
            word.store(1, Ordering::Relaxed);
        }
        let begin = Instant::now();
        let budget = budget * SLOWNESS;
        // An entry lasts until the instance has answered what it is asked: it takes the requests, and
        // yields once more.
        let mut asked = self.shared.has_requests();
        let mut yields = self.yields();
        loop {
            let moved = self.exchange()?;
            if let Some(end) = self.machine.end()? {
                return self.outcome(end);
            }
            if moved && !asked {
                return Ok(Outcome::Yielded { deadline: AT_ONCE });
            }
            self.sleep(GLANCE);
            if asked && self.shared.has_requests() {
                yields = self.yields();
            }
            asked = asked && self.yields() == yields;
            // So is one that was asked to come to its end.
            if !(stop || asked) || begin.elapsed() >= budget {
                let moved = self.exchange()?;
                let glance = u64::try_from(GLANCE.as_nanos()).unwrap_or(u64::MAX);
                let deadline = if moved {
                    AT_ONCE
                } else {
                    clock::monotonic_now().saturating_add(glance)
                };
                return Ok(Outcome::Yielded { deadline });
            }
        }
    }

    fn is_behind(&mut self) -> bool {
        let rested = self.call_block().private(RESTED_WORD);
        let rested = rested.load(Ordering::Acquire);
        if rested != self.rested.0 {
            self.rested = (rested, Instant::now());
        }
        let unsent = self.wires.iter().any(Wire::has_more);
        let behind = unsent || rested != self.sent + 1;
        !self.ended && behind && self.rested.1.elapsed() < STANDSTILL
    }

    fn shared(&mut self) -> &mut Shared {
        &mut self.shared
    }

    fn kill(&mut self) {
        self.ended = true;
        self.machine.kill();
    }

    fn creation_times(&self) -> CreationTimes {
        self.times
    }

    fn memory_use(&self) -> Result<MemoryUse, MonitorError> {
        let memory = self.memory.metadata();
        let memory = memory.map_err(|error| SystemError::new("asking for memory's size", error))?;
        Ok(MemoryUse {
            private: memory.blocks() * 512,
            shared: 0,
        })
    }
}
