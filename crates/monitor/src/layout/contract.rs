//! The contract: the offsets of its parts, in the order of what an instance may do with them.

use super::devices::{DevicePlan, Placing};
use super::space::{Cursor, Space};
use super::{CONTRACT_ADDRESS, Content, LayoutError, TABLE_OFFSET, contract_area};
use crate::image::Protection;
use crate::options::Options;
use sprat_abi::boot::{Area, DeviceEntry};
use sprat_abi::bytes::byte_ring_size;
use sprat_abi::call::CallBlock;
use sprat_abi::manifest::{Manifest, NetworkSizes};
use sprat_abi::ring::ring_size;
use sprat_abi::statistics::region_size;
use sprat_abi::{IMAGE_BASE, PAGE_SIZE};

/// An offset, and how many entries there are from it. Nothing is at offset 0 but the boot page.
pub(super) type Ring = (u64, u32);

/// What stands where in the contract.
pub(super) struct Contract {
    pub(super) length: u64,
    pub(super) table_offset: u64,
    pub(super) call_page: u64,
    pub(super) call_block: u64,
    pub(super) statistics: u64,
    pub(super) statistics_length: u64,
    pub(super) console: Ring,
    pub(super) requests: Ring,
    pub(super) responses: Ring,
    pub(super) supply: Ring,
    pub(super) devices: Vec<DevicePlan>,
    pub(super) table: Vec<DeviceEntry>,
    pub(super) configuration: Area,
    pub(super) parameters: Area,
    pub(super) texts: Vec<(u64, Vec<u8>)>,
}

/// Texts, and the offsets they have.
struct Texts(Vec<(u64, Vec<u8>)>);

impl Texts {
    fn add(&mut self, cursor: &mut Cursor, bytes: Vec<u8>) -> Area {
        let length = bytes.len() as u64;
        let offset = cursor.take(length, 8);
        self.0.push((offset, bytes));
        contract_area(offset, length)
    }
}

/// A ring of bytes.
pub(super) fn byte_ring(cursor: &mut Cursor, capacity: u32) -> Ring {
    (cursor.take(byte_ring_size(capacity) as u64, 64), capacity)
}

/// The area of a ring of bytes.
pub(super) fn byte_ring_area((offset, capacity): Ring) -> Area {
    contract_area(offset, byte_ring_size(capacity) as u64)
}

impl Contract {
    /// Plans it, and puts it into the address space with the files that devices are.
    pub(super) fn new(
        manifest: &Manifest<'_>,
        options: &Options,
        sizes: Option<NetworkSizes>,
        space: &mut Space,
    ) -> Result<Self, LayoutError> {
        // Read-only: boot page, clock, device table, texts.
        let mut cursor = Cursor(TABLE_OFFSET);
        let mut texts = Texts(vec![]);
        let table_length = options.devices.len() * size_of::<DeviceEntry>();
        let table_offset = cursor.take(table_length as u64, 64);
        let names: Vec<Area> = options
            .devices
            .iter()
            .map(|grant| texts.add(&mut cursor, grant.name.as_bytes().to_vec()))
            .collect();
        let parameters: String = options
            .parameters
            .iter()
            .map(|(k, v)| format!("{k}={v}\0"))
            .collect();
        let parameters = texts.add(&mut cursor, parameters.into_bytes());
        let configuration = texts.add(&mut cursor, options.configuration.clone());
        let read_length = cursor.0.next_multiple_of(PAGE_SIZE);

        // Executable: the two calls.
        let call_page = cursor.take(PAGE_SIZE, PAGE_SIZE);

        // Writable: everything that changes.
        let write_start = cursor.take(0, PAGE_SIZE);
        let call_block = cursor.take(size_of::<CallBlock>() as u64, 64);
        let supply = sizes.map_or((0, 0), |sizes| {
            let slots = sizes.buffers.next_power_of_two();
            (cursor.take(ring_size::<u32>(slots) as u64, 64), slots)
        });
        let mut placing = Placing {
            cursor: &mut cursor,
            space,
            slots: sizes.map_or(0, |sizes| sizes.ring_slots),
            output_capacity: manifest.regions.output_file,
        };
        let (devices, table) = options
            .devices
            .iter()
            .zip(names)
            .enumerate()
            .map(|(index, (grant, name))| placing.place(index, grant, name))
            .collect::<Result<(Vec<_>, Vec<_>), _>>()?;
        let console = byte_ring(&mut cursor, manifest.regions.console);
        let statistics_length = region_size(manifest.regions.records);
        let statistics = cursor.take(statistics_length, 64);
        let requests = byte_ring(&mut cursor, manifest.regions.control);
        let responses = byte_ring(&mut cursor, manifest.regions.control);
        let length = cursor.0.next_multiple_of(PAGE_SIZE);
        if CONTRACT_ADDRESS + length + 2 * PAGE_SIZE > IMAGE_BASE {
            return Err(LayoutError::Contract(length));
        }

        for (offset, length, protection) in [
            (0, read_length, Protection::Read),
            (call_page, PAGE_SIZE, Protection::ReadExecute),
            (write_start, length - write_start, Protection::ReadWrite),
        ] {
            let content = Content::Contract(offset);
            space.put(contract_area(offset, length), protection, content);
        }
        Ok(Self {
            length,
            table_offset,
            call_page,
            call_block,
            statistics,
            statistics_length,
            console,
            requests,
            responses,
            supply,
            devices,
            table,
            configuration,
            parameters,
            texts: texts.0,
        })
    }
}
