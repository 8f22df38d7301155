//! The host's side of an instance's shared memory.

mod networks;
mod time;

use crate::blocks::FileBlocks;
use crate::layout::{CLOCK_OFFSET, DevicePlan, Plan};
use crate::memory::Mapping;
use crate::options::{Grant, GrantedDevice, Options};
use sprat_abi::block::{BLOCK_SIZE, DATA_SIZE, RING_ENTRIES};
use sprat_abi::bytes::{ByteConsumer, ByteProducer};
use sprat_abi::call::{CallBlock, Wake};
use sprat_abi::clock::ClockPage;
use sprat_abi::control::{self, Message, MessageHead};
use sprat_abi::frame::BUFFER_STRIDE;
use sprat_abi::host::{BlockPort, BufferPool, Geometry, Lie, NetworkPort};
use sprat_abi::ring::{Consumer, Producer};
use sprat_abi::statistics::{Event, Region, Snapshot};
use std::sync::Arc;

use networks::Network;
use time::Time;

/// The host's side of everything an instance shares: frames in and out, console, files, control
/// messages, statistics. All of it may be used between entries, and after the instance's end.
///
/// A method that returns a [`Lie`] found the instance breaking the contract: it is to be ended with
/// [`Instance::kill`](crate::Instance::kill), and the lie is its cause of death.
#[derive(Debug)]
pub struct Shared {
    // The rings' pointers lead into the mappings, so they are declared, and dropped, before them.
    pool: Option<BufferPool>,
    networks: Vec<Network>,
    outputs: Vec<Output>,
    blocks: Vec<Block>,
    console: ByteConsumer,
    requests: ByteProducer,
    responses: ByteConsumer,
    statistics: Option<Region>,
    clock: *const ClockPage,
    time: Time,
    call_block: *const CallBlock,
    /// Bits of devices that were drained since the last entry: they have room again.
    drained: u64,
    _keep: [Arc<Mapping>; 3],
}

// SAFETY: the two pointers lead to structures of atomics in the mappings kept.
unsafe impl Send for Shared {}

#[derive(Debug)]
struct Block {
    bit: u64,
    port: BlockPort,
    file: FileBlocks,
}

/// About how many bytes of a block device are moved at a time.
const BLOCK_TURN: u64 = 1 << 20;

#[derive(Debug)]
struct Output {
    name: String,
    bit: u64,
    ring: ByteConsumer,
}

/// What was granted as the block device at this place of the table.
fn granted_blocks(options: &Options, index: usize) -> Option<(Geometry, FileBlocks)> {
    let GrantedDevice::Block {
        file,
        blocks,
        read_only,
    } = &options.devices.get(index)?.device
    else {
        return None;
    };
    let geometry = Geometry {
        block_size: BLOCK_SIZE,
        block_count: *blocks,
        read_only: *read_only,
    };
    Some((geometry, FileBlocks(file.clone())))
}

/// Where the two stretches of shared memory lie in this process.
pub(crate) struct Board {
    /// The mapping the contract lies in, and its offset there.
    pub(crate) contract: (Arc<Mapping>, u64),
    /// The mapping the pool lies in, and its offset there.
    pub(crate) pool: (Arc<Mapping>, u64),
    /// Of an instance on a machine of its own, whose boot monitor serves its devices: that machine's
    /// memory, and where the contract would begin there, as far as its writable part goes. Files,
    /// requests and statistics are used there.
    pub(crate) machine: Option<(Arc<Mapping>, *mut u8)>,
}

impl Shared {
    /// The host's side of memory that holds nothing but zeroes yet.
    pub(crate) fn new(board: Board, plan: &Plan, options: &Options) -> Self {
        let contract = board.contract.0.at(board.contract.1, plan.contract_length);
        let pool_base = board.pool.0.at(board.pool.1, plan.pool_length);
        let at = |offset: u64| contract.wrapping_add(sprat_abi::length(offset));
        let (machine, inside) = board
            .machine
            .unwrap_or((board.contract.0.clone(), contract));
        let inside = |offset: u64| inside.wrapping_add(sprat_abi::length(offset));
        let named = |index: usize| {
            options
                .devices
                .get(index)
                .map_or(String::new(), |g: &Grant| g.name.clone())
        };
        let (mut networks, mut outputs, mut blocks) = (vec![], vec![], vec![]);
        // SAFETY: the plan puts every ring and structure inside the contract, aligned and apart from
        // all others, and the mappings are kept as long as the value lives. Nobody but the instance has
        // another side, and no references lead into the mappings but to atomics.
        unsafe {
            let pool = (plan.pool_length > 0).then(|| {
                debug_assert!(
                    u64::from(plan.sizes.buffers) * BUFFER_STRIDE as u64 <= plan.pool_length
                );
                let supply = Consumer::attach(at(plan.supply.0), plan.supply.1);
                BufferPool::new(
                    pool_base,
                    plan.sizes.buffers,
                    plan.boot.first_own_buffer,
                    supply,
                )
            });
            for (index, device) in plan.devices.iter().enumerate() {
                let (name, bit) = (named(index), 1 << index);
                match *device {
                    DevicePlan::Network {
                        receive,
                        transmit,
                        slots,
                    } => networks.push(Network {
                        name,
                        bit,
                        port: NetworkPort::new(
                            Producer::attach(at(receive), slots),
                            Consumer::attach(at(transmit), slots),
                        ),
                    }),
                    DevicePlan::OutputFile { ring, capacity } => {
                        outputs.push(Output {
                            name,
                            bit,
                            ring: ByteConsumer::attach(inside(ring), capacity),
                        });
                    }
                    DevicePlan::Block {
                        requests,
                        answers,
                        data,
                    } => blocks.extend(granted_blocks(options, index).map(|(geometry, file)| {
                        Block {
                            bit,
                            port: BlockPort::new(
                                Consumer::attach(at(requests), RING_ENTRIES),
                                Producer::attach(at(answers), RING_ENTRIES),
                                at(data),
                                DATA_SIZE,
                                geometry,
                            ),
                            file,
                        }
                    })),
                    DevicePlan::InputFile => {}
                }
            }
            Self {
                pool,
                networks,
                outputs,
                blocks,
                console: ByteConsumer::attach(at(plan.console.0), plan.console.1),
                requests: ByteProducer::attach(inside(plan.requests.0), plan.requests.1),
                responses: ByteConsumer::attach(inside(plan.responses.0), plan.responses.1),
                statistics: Region::attach(inside(plan.statistics), plan.statistics_length),
                clock: at(CLOCK_OFFSET).cast(),
                time: Time::Unset,
                call_block: at(plan.call_block).cast(),
                drained: 0,
                _keep: [board.contract.0, board.pool.0, machine],
            }
        }
    }

    /// Names of the files being written. [`Shared::read_output`] takes their places in this order.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &str> {
        self.outputs.iter().map(|output| output.name.as_str())
    }

    /// Serves what the instance asked of its block devices, on this thread: about a MiB and one flush of
    /// each. Says how many requests that were; more may wait. Do it after each entry.
    ///
    /// # Errors
    /// If the instance broke a ring.
    #[inline]
    pub fn serve_blocks(&mut self) -> Result<u32, Lie> {
        let mut served = 0;
        for block in &mut self.blocks {
            served += block.port.serve(BLOCK_TURN, &mut block.file)?;
        }
        Ok(served)
    }

    /// Reads what the instance wrote to its console; says how many bytes.
    ///
    /// # Errors
    /// If the instance broke the ring.
    pub fn read_console(&mut self, bytes: &mut [u8]) -> Result<usize, Lie> {
        self.console.read(bytes).map_err(Lie::Console)
    }

    /// Reads what the instance wrote to a file; says how many bytes.
    ///
    /// # Errors
    /// If the instance broke the ring.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn read_output(&mut self, output: usize, bytes: &mut [u8]) -> Result<usize, Lie> {
        let output = &mut self.outputs[output];
        let count = output.ring.read(bytes).map_err(Lie::File)?;
        if count > 0 {
            self.drained |= output.bit;
        }
        Ok(count)
    }

    /// How many bytes the ring of a file that is being written holds: as much as can be read after an
    /// entry.
    ///
    /// # Panics
    /// If there is no such file.
    #[must_use]
    pub fn output_limit(&self, output: usize) -> usize {
        self.outputs[output].ring.capacity() as usize
    }

    /// Sends a control request; `false` if there is no room for it now. See [`control::send`].
    ///
    /// # Errors
    /// If the instance broke the ring.
    pub fn send_request(
        &mut self,
        head: MessageHead,
        name: &[u8],
        data: &[u8],
    ) -> Result<bool, Lie> {
        control::send(&mut self.requests, head, name, data).map_err(|lie| Lie::Control(lie.into()))
    }

    /// Whether a request waits that the instance has not taken yet.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.requests.available() != Ok(self.requests.capacity())
    }

    /// Takes the next answer to a control request. `buffer` should hold
    /// [`answer_limit`](Self::answer_limit) bytes.
    ///
    /// # Errors
    /// If the instance broke the ring.
    pub fn receive_answer<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<Message<'b>>, Lie> {
        control::receive(&mut self.responses, buffer).map_err(Lie::Control)
    }

    /// Size of the ring for requests, in bytes.
    #[must_use]
    pub fn request_limit(&self) -> u32 {
        self.requests.capacity()
    }

    /// Bytes of heap that the instance says are in use.
    #[must_use]
    pub fn heap_bytes(&self) -> u64 {
        let kilobytes = self.statistics.as_ref().map(Region::heap_kilobytes);
        u64::from(kilobytes.unwrap_or(0)) * 1024
    }

    /// Longest answer, in bytes.
    #[must_use]
    pub fn answer_limit(&self) -> usize {
        self.responses.capacity() as usize
    }

    /// Counters of elements, tasks and devices, as the instance wrote them.
    pub fn records(&self) -> impl Iterator<Item = Snapshot> + '_ {
        self.statistics.iter().flat_map(Region::records)
    }

    /// The newest events, oldest first, as the instance wrote them.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.statistics.iter().flat_map(Region::events)
    }

    /// The block of the two calls.
    pub(crate) fn call_block(&self) -> &CallBlock {
        // SAFETY: inside the contract, which is kept; made of atomics.
        unsafe { &*self.call_block }
    }

    /// The bitmap for the next return from `yield`.
    pub(crate) fn take_ready(&mut self) -> u64 {
        let mut ready = std::mem::take(&mut self.drained);
        for network in &self.networks {
            // A broken ring is reported by whoever uses it; here it only counts as something to do.
            if network.port.waiting() != Ok(0) {
                ready |= network.bit;
            }
        }
        for block in &self.blocks {
            if block.port.waiting() != Ok(0) {
                ready |= block.bit;
            }
        }
        if self.has_requests() {
            ready |= Wake::CONTROL;
        }
        ready
    }
}
