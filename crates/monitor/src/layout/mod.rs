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

mod contract;
mod devices;
mod space;

use crate::image::{Image, Protection};
use crate::options::{GrantedDevice, Options, OptionsError};
use contract::{Contract, byte_ring_area};
pub(crate) use devices::DevicePlan;
use space::Space;
use sprat_abi::boot::{Area, BootPage, DeviceEntry, MonitorKind};
use sprat_abi::clock::ClockPage;
use sprat_abi::frame::BUFFER_STRIDE;
use sprat_abi::manifest::NetworkSizes;
use sprat_abi::ring::ring_size;
use sprat_abi::{IMAGE_BASE, PAGE_SIZE};

/// Where the vm monitor's supervisor pages lie.
pub(crate) const SUPERVISOR_ADDRESS: u64 = 0x20_0000;

/// Where the contract lies.
pub(crate) const CONTRACT_ADDRESS: u64 = 0x20_4000;

/// Offset of the clock in the contract: behind the boot page, in the same page of memory.
pub(crate) const CLOCK_OFFSET: u64 = 320;

const TABLE_OFFSET: u64 = 384;

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

/// A part of the contract, in the instance's memory.
fn contract_area(offset: u64, length: u64) -> Area {
    Area::new(CONTRACT_ADDRESS + offset, length)
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
        let sizes = options.network.unwrap_or(manifest.network);
        let has_network = options
            .devices
            .iter()
            .any(|grant| matches!(grant.device, GrantedDevice::Network { .. }));
        // What an instance without a network has nothing of.
        let used = has_network.then_some(sizes);

        let mut space = Space::new();
        let heap = options.heap.unwrap_or(manifest.memory.heap);
        let heap = space.append(heap, Protection::ReadWrite, Content::Zero)?;
        let pool = match used {
            Some(sizes) => {
                let length = u64::from(sizes.buffers) * BUFFER_STRIDE as u64;
                space.append(length, Protection::ReadWrite, Content::Pool)?
            }
            None => Area::default(),
        };
        let contract = Contract::new(&manifest, options, used, &mut space)?;
        space.put_image(image);
        let stack = place_stack(manifest.memory.stack, contract.length, &mut space)?;

        let call_address = CONTRACT_ADDRESS + contract.call_page;
        let span = image.span();
        let boot = BootPage {
            monitor: monitor as u32,
            yield_call: call_address,
            exit_call: call_address + EXIT_OFFSET,
            call_block: CONTRACT_ADDRESS + contract.call_block,
            clock: CONTRACT_ADDRESS + CLOCK_OFFSET,
            image: Area::new(span.start, span.end - span.start),
            heap,
            stack,
            statistics: contract_area(contract.statistics, contract.statistics_length),
            console: byte_ring_area(contract.console),
            control_requests: byte_ring_area(contract.requests),
            control_responses: byte_ring_area(contract.responses),
            pool,
            buffer_count: used.map_or(0, |sizes| sizes.buffers),
            first_own_buffer: used.map_or(0, |sizes| sizes.buffers - sizes.own_buffers),
            supply: match contract.supply {
                (_, 0) => Area::default(),
                (offset, slots) => contract_area(offset, ring_size::<u32>(slots) as u64),
            },
            configuration: contract.configuration,
            parameters: contract.parameters,
            device_table: CONTRACT_ADDRESS + contract.table_offset,
            device_count: u32::try_from(contract.table.len()).unwrap_or(u32::MAX),
            ..BootPage::default()
        };
        Ok(Self {
            pieces: space.pieces,
            boot,
            contract_length: contract.length,
            call_page: contract.call_page,
            call_block: contract.call_block,
            statistics: contract.statistics,
            statistics_length: contract.statistics_length,
            console: contract.console,
            requests: contract.requests,
            responses: contract.responses,
            supply: contract.supply,
            sizes,
            pool_length: pool.length,
            devices: contract.devices,
            texts: contract.texts,
            table: contract.table,
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

/// Puts the stack near the contract where there is room, and behind everything else otherwise.
fn place_stack(length: u64, contract: u64, space: &mut Space) -> Result<Area, LayoutError> {
    let near = CONTRACT_ADDRESS + contract + PAGE_SIZE;
    let (content, protection) = (Content::Zero, Protection::ReadWrite);
    if length > IMAGE_BASE || near + length.next_multiple_of(PAGE_SIZE) + PAGE_SIZE > IMAGE_BASE {
        return space.append(length, protection, content);
    }
    let area = Area::new(near, length.next_multiple_of(PAGE_SIZE));
    space.put(area, protection, content);
    Ok(area)
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
