//! A device's place in the contract, and what the device table says of it.

use super::contract::{Ring, byte_ring, byte_ring_area};
use super::space::{Cursor, Space};
use super::{Content, LayoutError, contract_area};
use crate::image::Protection;
use crate::options::{Grant, GrantedDevice};
use sprat_abi::PAGE_SIZE;
use sprat_abi::block::{Answer, BLOCK_SIZE, BlockDevice, DATA_SIZE, RING_ENTRIES, Request};
use sprat_abi::boot::{Area, DeviceEntry, InputFile, NetworkDevice, OutputFile, features};
use sprat_abi::frame::Slot;
use sprat_abi::ring::ring_size;

/// Bytes of a block device's ring of requests.
const REQUESTS_SIZE: u64 = ring_size::<Request>(RING_ENTRIES) as u64;

/// Bytes of a block device's ring of answers.
const ANSWERS_SIZE: u64 = ring_size::<Answer>(RING_ENTRIES) as u64;

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

/// Gives devices their places.
pub(super) struct Placing<'a> {
    pub(super) cursor: &'a mut Cursor,
    pub(super) space: &'a mut Space,
    /// Slots of a ring of frames.
    pub(super) slots: u32,
    /// Bytes of the ring behind a file that is written.
    pub(super) output_capacity: u32,
}

impl Placing<'_> {
    /// Gives the `index`th device its place.
    pub(super) fn place(
        &mut self,
        index: usize,
        grant: &Grant,
        name: Area,
    ) -> Result<(DevicePlan, DeviceEntry), LayoutError> {
        Ok(match &grant.device {
            &GrantedDevice::Network {
                address,
                frame_limit,
                features,
            } => {
                let length = ring_size::<Slot>(self.slots) as u64;
                let receive = self.cursor.take(length, 64);
                let transmit = self.cursor.take(length, 64);
                let entry = NetworkDevice {
                    address,
                    frame_limit,
                    features,
                    receive: contract_area(receive, length),
                    transmit: contract_area(transmit, length),
                }
                .to_entry(name);
                let slots = self.slots;
                let plan = DevicePlan::Network {
                    receive,
                    transmit,
                    slots,
                };
                (plan, entry)
            }
            GrantedDevice::Block {
                blocks, read_only, ..
            } => self.block(*blocks, *read_only, name),
            GrantedDevice::InputFile(file) => {
                let length = file
                    .metadata()
                    .map_err(|error| LayoutError::File {
                        name: grant.name.clone(),
                        error,
                    })?
                    .len();
                let content = Content::File(index);
                let place = self.space.append(length, Protection::Read, content)?;
                let contents = Area::new(place.address, length);
                (DevicePlan::InputFile, InputFile { contents }.to_entry(name))
            }
            GrantedDevice::OutputFile => {
                let (ring, capacity): Ring = byte_ring(self.cursor, self.output_capacity);
                let entry = OutputFile {
                    ring: byte_ring_area((ring, capacity)),
                };
                let plan = DevicePlan::OutputFile { ring, capacity };
                (plan, entry.to_entry(name))
            }
        })
    }

    fn block(&mut self, blocks: u64, read_only: bool, name: Area) -> (DevicePlan, DeviceEntry) {
        let requests = self.cursor.take(REQUESTS_SIZE, 64);
        let answers = self.cursor.take(ANSWERS_SIZE, 64);
        // Apart from all others, so that pages nobody uses are never touched.
        let data = self.cursor.take(u64::from(DATA_SIZE), PAGE_SIZE);
        let entry = BlockDevice {
            block_size: BLOCK_SIZE,
            block_count: blocks,
            features: if read_only { features::READ_ONLY } else { 0 },
            requests: contract_area(requests, REQUESTS_SIZE),
            answers: contract_area(answers, ANSWERS_SIZE),
            data: contract_area(data, u64::from(DATA_SIZE)),
        }
        .to_entry(name);
        let plan = DevicePlan::Block {
            requests,
            answers,
            data,
        };
        (plan, entry)
    }
}
