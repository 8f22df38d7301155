//! What the library OS asks for, over the contract with the monitor.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

use sprat_abi::boot::{Device, DeviceKind, NetworkDevice, OutputFile};
use sprat_abi::bytes::{ByteConsumer, ByteProducer};
use sprat_abi::call::{AT_ONCE, NO_DEADLINE, Wake as AbiWake};
use sprat_abi::clock;
use sprat_abi::control::{self, MessageHead, MessageKind};
use sprat_abi::guest::Contract;
use sprat_abi::ring::Producer;
use sprat_abi::statistics::Region;
use sprat_packet::Pool;
use sprat_platform::{Platform, Request, Wake};

use crate::block::RingBlock;
use crate::network::{Buffers, Retry, RingDevice};

/// Yields without progress after which text for a console or file that nobody empties is dropped.
const PATIENCE: usize = 1 << 16;

/// In how many nanoseconds [`Retry::Later`] is.
const RETRY: u64 = 100_000;

/// A sealed instance's side of the contract.
pub struct Vm {
    contract: Contract,
    console: RefCell<Option<ByteProducer>>,
    control: RefCell<Option<Control>>,
    buffers: Buffers,
    supply: RefCell<Option<Producer<u32>>>,
    networks: RefCell<Vec<RingDevice>>,
    blocks_taken: Cell<bool>,
    output_files: RefCell<Vec<File>>,
    statistics: Option<&'static Region>,
    /// Bits that came with a yield made while waiting for room, for the next one to report.
    missed: Rc<Cell<u64>>,
}

struct Control {
    requests: ByteConsumer,
    answers: ByteProducer,
    /// The parts that have come of a request in several messages.
    partial: Option<Request>,
}

impl Vm {
    /// The machine over an attached contract.
    ///
    /// # Safety
    /// There must be no other machine over the same contract: both would be one side of its rings.
    #[must_use]
    pub unsafe fn new(contract: Contract) -> Self {
        let page = contract.page();
        let memory = contract.pool();
        let pool = match NonNull::new(memory.base()) {
            Some(base) if memory.count() > 0 => {
                // SAFETY: the monitor gave this memory for buffers of the stride that both crates
                // assert to be the same, for ever; buffers are touched by whoever owns them.
                let pool = unsafe { Pool::over_region(base, memory.count() as usize) };
                // Last in, first out: the lowest is used first.
                for index in memory.own().rev() {
                    // SAFETY: the instance's own from the start, and given once.
                    unsafe { pool.give(index) };
                }
                pool
            }
            _ => Pool::growing(),
        };
        let missed = Rc::new(Cell::new(0));
        let buffers = Buffers {
            pool,
            own: memory.own().len().max(usize::from(page.buffer_count > 0)),
            retry: Rc::default(),
        };
        let mut networks = Vec::new();
        let mut output_files = Vec::new();
        for (index, name, device) in contract.devices() {
            let name = core::str::from_utf8(name).unwrap_or("?");
            match device {
                Device::Network(device) => {
                    // SAFETY: the rings are taken once, here, by the caller's promise.
                    networks
                        .extend(unsafe { open_network(&contract, index, name, &device, &buffers) });
                }
                Device::OutputFile(file) => {
                    // SAFETY: as above.
                    output_files.extend(unsafe { open_file(contract, name, file, &missed) });
                }
                Device::Block(_) | Device::InputFile(_) | Device::Unknown(_) => {}
            }
        }
        // SAFETY: as above.
        let control = unsafe { contract.control() };
        let statistics = contract
            .statistics()
            .map(|region| &*Box::leak(Box::new(region)));
        Self {
            // SAFETY: as above.
            console: RefCell::new(unsafe { contract.console() }),
            control: RefCell::new(control.map(|(requests, answers)| Control {
                requests,
                answers,
                partial: None,
            })),
            buffers,
            // SAFETY: as above.
            supply: RefCell::new(unsafe { contract.supply() }),
            networks: RefCell::new(networks),
            blocks_taken: Cell::new(false),
            output_files: RefCell::new(output_files),
            statistics,
            contract,
            missed,
        }
    }

    /// Gives the monitor the buffers of frames that were dropped here, so that it has some to fill.
    fn return_buffers(&self) {
        let mut supply = self.supply.borrow_mut();
        let Some(supply) = supply.as_mut() else {
            return;
        };
        let surplus = self
            .buffers
            .pool
            .available()
            .saturating_sub(self.buffers.own);
        if surplus == 0 {
            return;
        }
        let room = supply.available().unwrap_or(0);
        let mut count = 0;
        while (count as usize) < surplus && count < room {
            let Some(index) = self.buffers.pool.take() else {
                break;
            };
            supply.write(count, index);
            count += 1;
        }
        if count > 0 {
            supply.publish(count);
        }
    }

    fn wait_for_room(&self) {
        wait_for_room(&self.contract, &self.missed);
    }

    /// Writes all of `bytes` to a ring, yielding while it is full.
    fn write_waiting(&self, ring: &RefCell<Option<ByteProducer>>, bytes: &[u8]) {
        write_waiting(
            bytes,
            || self.wait_for_room(),
            |rest| {
                // Borrowed already means that a write panicked half way: drop what it says.
                let mut ring = ring.try_borrow_mut().ok()?;
                // The monitor is trusted: an impossible index is a ring that takes nothing.
                ring.as_mut()?.write(rest).ok()
            },
        );
    }
}

/// Lets the monitor empty rings; what else it reports is kept for the next real yield.
fn wait_for_room(contract: &Contract, missed: &Cell<u64>) {
    let wake = contract.yield_until(AT_ONCE);
    missed.set(missed.get() | wake.ready);
}

/// Calls `write` with what is left until nothing is, `wait` in between; `None` of `write` drops it.
fn write_waiting(bytes: &[u8], wait: impl Fn(), mut write: impl FnMut(&[u8]) -> Option<usize>) {
    let mut rest = bytes;
    let mut patience = PATIENCE;
    while !rest.is_empty() {
        match write(rest) {
            None => return,
            Some(0) => {
                if patience == 0 {
                    return;
                }
                patience -= 1;
                wait();
            }
            Some(count) => {
                rest = &rest[count..];
                patience = PATIENCE;
            }
        }
    }
}

/// # Safety
/// The device's rings must not be in use.
unsafe fn open_network(
    contract: &Contract,
    index: u32,
    name: &'static str,
    device: &NetworkDevice,
    buffers: &Buffers,
) -> Option<RingDevice> {
    // SAFETY: the caller's promise.
    let (receive, transmit) = unsafe { contract.network(device) }?;
    Some(RingDevice::new(
        index,
        name,
        device,
        receive,
        transmit,
        buffers.clone(),
    ))
}

/// # Safety
/// The file's ring must not be in use.
unsafe fn open_file(
    contract: Contract,
    name: &'static str,
    file: OutputFile,
    missed: &Rc<Cell<u64>>,
) -> Option<File> {
    // SAFETY: the caller's promise.
    let ring = unsafe { contract.output_file(file) }?;
    Some(File {
        contract,
        name,
        ring,
        missed: missed.clone(),
    })
}

impl Platform for Vm {
    type Network = RingDevice;
    type Block = RingBlock;
    type OutputFile = File;

    const NAME: &'static str = "vm";
    const OFFERS: &'static [DeviceKind] = &[
        DeviceKind::Network,
        DeviceKind::Block,
        DeviceKind::InputFile,
        DeviceKind::OutputFile,
    ];

    fn write_console(&self, bytes: &[u8]) {
        self.write_waiting(&self.console, bytes);
    }

    fn monotonic(&self) -> u64 {
        self.contract.clock().read().monotonic_at(clock::counter())
    }

    fn wall(&self) -> i64 {
        self.contract.clock().read().wall_at(clock::counter())
    }

    fn seed(&self) -> [u8; 32] {
        self.contract.page().seed
    }

    fn configuration(&self) -> &'static [u8] {
        self.contract.configuration()
    }

    fn parameters(&self) -> Vec<&'static [u8]> {
        self.contract.parameters().collect()
    }

    fn pool(&self) -> Pool {
        self.buffers.pool.clone()
    }

    fn take_networks(&self) -> Vec<RingDevice> {
        self.networks.take()
    }

    fn take_blocks(&self) -> Vec<RingBlock> {
        // Opened here and not before, so that an image without any has none of the code.
        if self.blocks_taken.replace(true) {
            return Vec::new();
        }
        let open = |(index, name, device)| match device {
            Device::Block(device) => {
                let name = core::str::from_utf8(name).ok()?;
                // SAFETY: the rings are taken once, here: there is one machine over the contract, and
                // this is its first call.
                unsafe { RingBlock::open(&self.contract, index, name, &device) }
            }
            _ => None,
        };
        self.contract.devices().filter_map(open).collect()
    }

    fn input_files(&self) -> Vec<(&'static str, &'static [u8])> {
        let file = |(_, name, device)| match device {
            Device::InputFile(file) => Some((
                core::str::from_utf8(name).ok()?,
                self.contract.file_contents(file),
            )),
            _ => None,
        };
        self.contract.devices().filter_map(file).collect()
    }

    fn take_output_files(&self) -> Vec<File> {
        self.output_files.take()
    }

    fn yield_until(&self, deadline: Option<u64>) -> Wake {
        self.return_buffers();
        #[cfg(sprat_target = "vm")]
        if let Some(statistics) = self.statistics {
            let kilobytes = crate::heap::usage().0 / 1024;
            statistics.set_heap_kilobytes(u32::try_from(kilobytes).unwrap_or(u32::MAX));
        }
        // Something that was missed is to be looked at now.
        let missed = self.missed.take();
        let mut deadline = if missed == 0 {
            deadline.unwrap_or(NO_DEADLINE)
        } else {
            AT_ONCE
        };
        match self.buffers.retry.take() {
            Some(Retry::AtOnce) => deadline = AT_ONCE,
            Some(Retry::Later) => {
                deadline = deadline.min(self.monotonic().saturating_add(RETRY));
            }
            None => {}
        }
        let wake = self.contract.yield_until(deadline);
        let ready = wake.ready | missed;
        Wake {
            ready: ready & !(AbiWake::CONTROL | AbiWake::STOP),
            request: ready & AbiWake::CONTROL != 0,
            stop: ready & AbiWake::STOP != 0,
            now: wake.now,
        }
    }

    fn next_request(&self) -> Option<Request> {
        let mut control = self.control.borrow_mut();
        let control = control.as_mut()?;
        loop {
            // The monitor is trusted; what cannot be read cannot be answered either.
            let present = control.requests.available().unwrap_or(0);
            if present == 0 {
                // What comes from here on would find no room in a buffer that was made for nothing.
                return None;
            }
            // Requests come in whole, so the first one's bytes are among those that are there.
            let mut buffer = vec![0; present as usize];
            let message = control::receive(&mut control.requests, &mut buffer).ok()??;
            let more = message.head.flags & MessageHead::MORE != 0;
            let mut request = match control.partial.take() {
                Some(begun) if begun.number == message.head.id => begun,
                _ => Request {
                    number: message.head.id,
                    kind: MessageKind::from_value(message.head.kind),
                    name: message.name.to_vec(),
                    data: Vec::new(),
                },
            };
            request.data.extend_from_slice(message.data);
            if !more {
                return Some(request);
            }
            control.partial = Some(request);
        }
    }

    fn respond(&self, request: u64, status: u32, answer: &[u8]) {
        let Some(room) = self
            .control
            .borrow()
            .as_ref()
            .map(|control| control::message_room(control.answers.capacity()))
        else {
            return;
        };
        let mut parts = answer.chunks(room.max(1)).peekable();
        loop {
            let part = parts.next().unwrap_or(&[]);
            let last = parts.peek().is_none();
            let head = MessageHead {
                id: request,
                kind: MessageKind::Answer as u16,
                flags: if last { 0 } else { MessageHead::MORE },
                status,
                ..MessageHead::default()
            };
            let mut patience = PATIENCE;
            loop {
                let sent = match self.control.borrow_mut().as_mut() {
                    Some(control) => control::send(&mut control.answers, head, b"", part),
                    None => return,
                };
                match sent {
                    Ok(true) => break,
                    Ok(false) if patience > 0 => {
                        patience -= 1;
                        self.wait_for_room();
                    }
                    Ok(false) | Err(_) => return,
                }
            }
            if last {
                return;
            }
        }
    }

    fn statistics(&self) -> Option<&'static Region> {
        self.statistics
    }

    #[cfg(sprat_target = "vm")]
    fn heap(&self) -> Option<(usize, usize)> {
        Some(crate::heap::usage())
    }

    fn exit(&self, status: i32) -> ! {
        self.contract.exit(status)
    }
}

/// A granted file that is written through a ring.
pub struct File {
    contract: Contract,
    name: &'static str,
    ring: ByteProducer,
    missed: Rc<Cell<u64>>,
}

impl sprat_platform::OutputFile for File {
    fn name(&self) -> &'static str {
        self.name
    }

    fn write(&mut self, bytes: &[u8]) {
        let Self {
            contract,
            ring,
            missed,
            ..
        } = self;
        write_waiting(
            bytes,
            || wait_for_room(contract, missed),
            |rest| ring.write(rest).ok(),
        );
    }
}
