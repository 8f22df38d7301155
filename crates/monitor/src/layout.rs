//! Where everything lies in an instance's address space, under either monitor.
//!
//! | from | what |
//! |---|---|
//! | 0 | nothing: page zero and 2 MiB above it are unmapped |
//! | `0x20_0000` | the vm monitor's two supervisor pages, out of the instance's reach |
//! | `0x20_4000` | the contract: boot page, clock, device table and texts (read); the two calls (read, execute); call block, statistics and rings (read, write) |
//! | after an unmapped page | the stack |
//! | `0x100_0000` | the image |
//! | `0x2000_0000` | the heap, then the pool, then files granted to be read, each from a multiple of 2 MiB |
//!
//! Between any two of these at least one page is unmapped.

use crate::image::{Image, Protection};
use crate::memory::HUGE_PAGE;
use crate::options::{GrantedDevice, Options, OptionsError};
use sprat_abi::block::{Answer, BLOCK_SIZE, BlockDevice, DATA_SIZE, RING_ENTRIES, Request};
use sprat_abi::boot::{
    Area, BootPage, DeviceEntry, InputFile, MonitorKind, NetworkDevice, OutputFile, features,
};
use sprat_abi::bytes::byte_ring_size;
use sprat_abi::call::CallBlock;
use sprat_abi::clock::ClockPage;
use sprat_abi::frame::{BUFFER_STRIDE, Slot};
use sprat_abi::manifest::NetworkSizes;
use sprat_abi::ring::ring_size;
use sprat_abi::statistics::region_size;
use sprat_abi::{IMAGE_BASE, IMAGE_END, PAGE_SIZE};

/// Where the vm monitor's supervisor pages lie.
pub(crate) const SUPERVISOR_ADDRESS: u64 = 0x20_0000;

/// Where the contract lies.
pub(crate) const CONTRACT_ADDRESS: u64 = 0x20_4000;

/// Offset of the clock in the contract: behind the boot page, in the same page of memory.
pub(crate) const CLOCK_OFFSET: u64 = 320;

const TABLE_OFFSET: u64 = 384;

/// Bytes of a block device's ring of requests.
const REQUESTS_SIZE: u64 = ring_size::<Request>(RING_ENTRIES) as u64;

/// Bytes of a block device's ring of answers.
const ANSWERS_SIZE: u64 = ring_size::<Answer>(RING_ENTRIES) as u64;

/// Highest address that anything may have: the lower half, less a good margin.
const ADDRESS_LIMIT: u64 = 1 << 46;

/// One stretch of the address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) address: u64,
    pub(crate) length: u64,
    pub(crate) protection: Protection,
    pub(crate) content: Content,
}

/// What a stretch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The contract, from this offset.
    Contract(u64),
    /// The image's memory, from this offset.
    Image(u64),
    /// Zeroes of its own.
    Zero,
    /// The buffer pool.
    Pool,
    /// The contents of a granted file: its place among the devices.
    File(usize),
}

/// A device's place in the contract, as offsets.
#[derive(Clone, Debug)]
pub(crate) enum DevicePlan {
    Network {
        receive: u64,
        transmit: u64,
        slots: u32,
    },
    Block {
        requests: u64,
        answers: u64,
        data: u64,
    },
    InputFile,
    OutputFile {
        ring: u64,
        capacity: u32,
    },
}

/// The whole plan: what lies where, and the bytes that are known beforehand.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) boot: BootPage,
    pub(crate) contract_length: u64,
    /// Offset of the page that holds the two calls.
    pub(crate) call_page: u64,
    pub(crate) call_block: u64,
    pub(crate) statistics: u64,
    pub(crate) statistics_length: u64,
    pub(crate) console: (u64, u32),
    pub(crate) requests: (u64, u32),
    pub(crate) responses: (u64, u32),
    pub(crate) supply: (u64, u32),
    pub(crate) sizes: NetworkSizes,
    pub(crate) pool_length: u64,
    pub(crate) devices: Vec<DevicePlan>,
    /// Bytes to write at these offsets of the contract.
    texts: Vec<(u64, Vec<u8>)>,
    table: Vec<DeviceEntry>,
}

/// The plan does not fit an address space.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// What was granted does not go with the image.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// Configuration, parameters and rings take more than there is room for.
    #[error("configuration, parameters and rings take {0} bytes, and there is room for {room}", room = IMAGE_BASE - CONTRACT_ADDRESS)]
    Contract(u64),
    /// Heap, pool and files take more than an address space.
    #[error("heap, pool and files do not fit an address space")]
    Large,
    /// A granted file's length is not known.
    #[error("the granted file `{name}` has no length: {error}")]
    File {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        error: std::io::Error,
    },
}

/// Gives out offsets, one after the other.
struct Cursor(u64);

impl Cursor {
    fn take(&mut self, length: u64, alignment: u64) -> u64 {
        let at = self.0.next_multiple_of(alignment);
        self.0 = at + length;
        at
    }
}

impl Plan {
    /// Plans the address space of an instance.
    pub(crate) fn new(
        image: &Image,
        options: &Options,
        monitor: MonitorKind,
    ) -> Result<Self, LayoutError> {
        let manifest = image.manifest();
        options.check(&manifest)?;
        let has_network = options
            .devices
            .iter()
            .any(|grant| matches!(grant.device, GrantedDevice::Network { .. }));
        let sizes = options.network.unwrap_or(manifest.network);
        let heap_length = options.heap.unwrap_or(manifest.memory.heap);
        if heap_length > ADDRESS_LIMIT {
            return Err(LayoutError::Large);
        }

        // Read-only: boot page, clock, device table, texts.
        let mut cursor = Cursor(TABLE_OFFSET);
        let mut texts = vec![];
        let table_offset = cursor.take(
            options.devices.len() as u64 * size_of::<DeviceEntry>() as u64,
            64,
        );
        let mut text = |cursor: &mut Cursor, bytes: Vec<u8>| {
            let offset = cursor.take(bytes.len() as u64, 8);
            let area = Area::new(CONTRACT_ADDRESS + offset, bytes.len() as u64);
            texts.push((offset, bytes));
            area
        };
        let names: Vec<Area> = options
            .devices
            .iter()
            .map(|grant| text(&mut cursor, grant.name.as_bytes().to_vec()))
            .collect();
        let parameters: String = options
            .parameters
            .iter()
            .map(|(k, v)| format!("{k}={v}\0"))
            .collect();
        let parameters = text(&mut cursor, parameters.into_bytes());
        let configuration = text(&mut cursor, options.configuration.clone());
        let read_length = cursor.0.next_multiple_of(PAGE_SIZE);

        // Executable: the two calls.
        let call_page = cursor.take(PAGE_SIZE, PAGE_SIZE);

        // Writable: everything that changes.
        let write_start = cursor.take(0, PAGE_SIZE);
        let call_block = cursor.take(size_of::<CallBlock>() as u64, 64);
        let byte_ring = |cursor: &mut Cursor, capacity: u32| {
            (cursor.take(byte_ring_size(capacity) as u64, 64), capacity)
        };
        let supply_slots = sizes.buffers.next_power_of_two();
        let supply = if has_network {
            (
                cursor.take(ring_size::<u32>(supply_slots) as u64, 64),
                supply_slots,
            )
        } else {
            (0, 0)
        };
        let mut devices = vec![];
        for grant in &options.devices {
            devices.push(match grant.device {
                GrantedDevice::Network { .. } => {
                    let length = ring_size::<Slot>(sizes.ring_slots) as u64;
                    DevicePlan::Network {
                        receive: cursor.take(length, 64),
                        transmit: cursor.take(length, 64),
                        slots: sizes.ring_slots,
                    }
                }
                GrantedDevice::Block { .. } => DevicePlan::Block {
                    requests: cursor.take(REQUESTS_SIZE, 64),
                    answers: cursor.take(ANSWERS_SIZE, 64),
                    // Apart from all others, so that pages nobody uses are never touched.
                    data: cursor.take(u64::from(DATA_SIZE), PAGE_SIZE),
                },
                GrantedDevice::InputFile(_) => DevicePlan::InputFile,
                GrantedDevice::OutputFile => {
                    let (ring, capacity) = byte_ring(&mut cursor, manifest.regions.output_file);
                    DevicePlan::OutputFile { ring, capacity }
                }
            });
        }
        let console = byte_ring(&mut cursor, manifest.regions.console);
        let statistics_length = region_size(manifest.regions.records);
        let statistics = cursor.take(statistics_length, 64);
        let requests = byte_ring(&mut cursor, manifest.regions.control);
        let responses = byte_ring(&mut cursor, manifest.regions.control);
        let contract_length = cursor.0.next_multiple_of(PAGE_SIZE);
        if CONTRACT_ADDRESS + contract_length + 2 * PAGE_SIZE > IMAGE_BASE {
            return Err(LayoutError::Contract(contract_length));
        }

        let mut pieces = vec![];
        let mut piece = |address, length, protection, content| {
            if length > 0 {
                pieces.push(Piece {
                    address,
                    length,
                    protection,
                    content,
                });
            }
        };
        let contract = |offset| (CONTRACT_ADDRESS + offset, Content::Contract(offset));
        piece(contract(0).0, read_length, Protection::Read, contract(0).1);
        piece(
            contract(call_page).0,
            PAGE_SIZE,
            Protection::ReadExecute,
            contract(call_page).1,
        );
        let (address, content) = contract(write_start);
        piece(
            address,
            contract_length - write_start,
            Protection::ReadWrite,
            content,
        );
        for segment in image.segments() {
            let offset = segment.pages.start - image.span().start;
            let length = segment.pages.end - segment.pages.start;
            piece(
                segment.pages.start,
                length,
                segment.protection,
                Content::Image(offset),
            );
        }

        // The big things, each from a multiple of 2 MiB and with at least a page unmapped behind it.
        let mut high = Cursor(IMAGE_END);
        let mut stretch = |length: u64| {
            let address = high.take(length, HUGE_PAGE);
            high.take(PAGE_SIZE, 1);
            if high.0 > ADDRESS_LIMIT {
                Err(LayoutError::Large)
            } else {
                Ok(address)
            }
        };
        let heap_length = heap_length.next_multiple_of(PAGE_SIZE);
        let heap = stretch(heap_length)?;
        piece(heap, heap_length, Protection::ReadWrite, Content::Zero);
        let pool_length = if has_network {
            u64::from(sizes.buffers) * BUFFER_STRIDE as u64
        } else {
            0
        };
        let pool_length = pool_length.next_multiple_of(PAGE_SIZE);
        let pool = stretch(pool_length)?;
        piece(pool, pool_length, Protection::ReadWrite, Content::Pool);

        let stack_length = manifest.memory.stack.next_multiple_of(PAGE_SIZE);
        let near = CONTRACT_ADDRESS + contract_length + PAGE_SIZE;
        let stack = if near + stack_length + PAGE_SIZE <= IMAGE_BASE {
            near
        } else {
            stretch(stack_length)?
        };
        piece(stack, stack_length, Protection::ReadWrite, Content::Zero);

        let area = |(offset, capacity): (u64, u32)| {
            Area::new(CONTRACT_ADDRESS + offset, byte_ring_size(capacity) as u64)
        };
        let mut table = vec![];
        for ((index, grant), (name, plan)) in options
            .devices
            .iter()
            .enumerate()
            .zip(names.iter().zip(&devices))
        {
            table.push(match (&grant.device, plan) {
                (
                    &GrantedDevice::Network {
                        address,
                        frame_limit,
                        features,
                    },
                    &DevicePlan::Network {
                        receive,
                        transmit,
                        slots,
                    },
                ) => {
                    let ring = |offset| {
                        Area::new(CONTRACT_ADDRESS + offset, ring_size::<Slot>(slots) as u64)
                    };
                    NetworkDevice {
                        address,
                        frame_limit,
                        features,
                        receive: ring(receive),
                        transmit: ring(transmit),
                    }
                    .to_entry(*name)
                }
                (
                    &GrantedDevice::Block {
                        blocks, read_only, ..
                    },
                    &DevicePlan::Block {
                        requests,
                        answers,
                        data,
                    },
                ) => {
                    let part = |offset, length| Area::new(CONTRACT_ADDRESS + offset, length);
                    BlockDevice {
                        block_size: BLOCK_SIZE,
                        block_count: blocks,
                        features: if read_only { features::READ_ONLY } else { 0 },
                        requests: part(requests, REQUESTS_SIZE),
                        answers: part(answers, ANSWERS_SIZE),
                        data: part(data, u64::from(DATA_SIZE)),
                    }
                    .to_entry(*name)
                }
                (GrantedDevice::InputFile(file), _) => {
                    let length = file
                        .metadata()
                        .map_err(|error| LayoutError::File {
                            name: grant.name.clone(),
                            error,
                        })?
                        .len();
                    if length > ADDRESS_LIMIT {
                        return Err(LayoutError::Large);
                    }
                    let address = stretch(length)?;
                    let pages = length.next_multiple_of(PAGE_SIZE);
                    piece(address, pages, Protection::Read, Content::File(index));
                    InputFile {
                        contents: Area::new(address, length),
                    }
                    .to_entry(*name)
                }
                (_, &DevicePlan::OutputFile { ring, capacity }) => OutputFile {
                    ring: area((ring, capacity)),
                }
                .to_entry(*name),
                (
                    GrantedDevice::Network { .. }
                    | GrantedDevice::Block { .. }
                    | GrantedDevice::OutputFile,
                    _,
                ) => {
                    unreachable!("each device's plan was made from its grant above")
                }
            });
        }

        let call_address = CONTRACT_ADDRESS + call_page;
        let span = image.span();
        let boot = BootPage {
            monitor: monitor as u32,
            yield_call: call_address,
            exit_call: call_address + EXIT_OFFSET,
            call_block: CONTRACT_ADDRESS + call_block,
            clock: CONTRACT_ADDRESS + CLOCK_OFFSET,
            image: Area::new(span.start, span.end - span.start),
            heap: Area::new(heap, heap_length),
            stack: Area::new(stack, stack_length),
            statistics: Area::new(CONTRACT_ADDRESS + statistics, statistics_length),
            console: area(console),
            control_requests: area(requests),
            control_responses: area(responses),
            pool: Area::new(if has_network { pool } else { 0 }, pool_length),
            buffer_count: if has_network { sizes.buffers } else { 0 },
            first_own_buffer: if has_network {
                sizes.buffers - sizes.own_buffers
            } else {
                0
            },
            supply: if has_network {
                Area::new(
                    CONTRACT_ADDRESS + supply.0,
                    ring_size::<u32>(supply.1) as u64,
                )
            } else {
                Area::default()
            },
            configuration,
            parameters,
            device_table: CONTRACT_ADDRESS + table_offset,
            device_count: u32::try_from(table.len()).unwrap_or(u32::MAX),
            ..BootPage::default()
        };
        Ok(Self {
            pieces,
            boot,
            contract_length,
            call_page,
            call_block,
            statistics,
            statistics_length,
            console,
            requests,
            responses,
            supply,
            sizes,
            pool_length,
            devices,
            texts,
            table,
        })
    }

    /// Where the stack pointer starts: as if the entry had been called, by nobody.
    pub(crate) fn stack_pointer(&self) -> u64 {
        self.boot.stack.address + self.boot.stack.length - 8
    }

    /// Everything that is to be in the contract before the instance starts, by offset.
    pub(crate) fn contents(&self, calls: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut contents = vec![(0, bytes_of(&self.boot)), (self.call_page, calls.to_vec())];
        let table = self.table.iter().flat_map(bytes_of).collect();
        contents.push((self.boot.device_table - CONTRACT_ADDRESS, table));
        contents.extend(self.texts.iter().cloned());
        contents
    }
}

/// Offset of the exit call from the yield call, in the call page.
pub(crate) const EXIT_OFFSET: u64 = 256;

/// The bytes of a structure of the contract.
fn bytes_of<T: Copyable>(value: &T) -> Vec<u8> {
    let bytes = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: such structures have no padding, so every byte of theirs is set.
    unsafe { std::slice::from_raw_parts(bytes, size_of::<T>()) }.to_vec()
}

/// Structures without padding.
///
/// # Safety
/// Every byte of a value must be part of a field that is an integer, an array of them, or likewise.
unsafe trait Copyable {}
// SAFETY: its fields are asserted to lie without gaps.
unsafe impl Copyable for BootPage {}
// SAFETY: its fields are asserted to lie without gaps.
unsafe impl Copyable for DeviceEntry {}

const _: () = {
    assert!(size_of::<BootPage>() as u64 == CLOCK_OFFSET);
    assert!(CLOCK_OFFSET + size_of::<ClockPage>() as u64 == TABLE_OFFSET);
};
