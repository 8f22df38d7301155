//! A block device over its two rings and its data area.

use alloc::boxed::Box;
use core::ptr;

use sprat_abi::block::{Answer, BlockDevice, Operation, Request};
use sprat_abi::guest::Contract;
use sprat_abi::ring::{Consumer, Producer};
use sprat_platform::{Block, BlockRequest, Status};

/// Bytes of the data area that one request uses.
const BUFFER: usize = 32 << 10;

/// A block device: bytes are copied to and from buffers in the memory shared with the monitor.
pub struct RingBlock {
    index: usize,
    name: &'static str,
    block_size: u32,
    block_count: u64,
    requests: Producer<Request>,
    answers: Consumer<Answer>,
    data: *mut u8,
    /// What each buffer is used for. Its number is the tag of the request.
    buffers: Box<[Use]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Free,
    Underway,
    /// Under way, and nobody asks after it.
    Forgotten,
    Finished(Status),
}

impl RingBlock {
    /// # Safety
    /// The device's rings and data area must not be in use.
    pub(crate) unsafe fn open(
        contract: &Contract,
        index: u32,
        name: &'static str,
        device: &BlockDevice,
    ) -> Option<Self> {
        let whole = sprat_abi::length(device.data.length) / BUFFER;
        let sound = device.block_size.is_power_of_two() && device.block_size as usize <= BUFFER;
        // SAFETY: the caller's promise.
        let (requests, answers, data) = unsafe { contract.block(device) }?;
        // As many as there are entries, so that a buffer always has room in the rings.
        let count = whole
            .min(requests.capacity() as usize)
            .min(answers.capacity() as usize);
        (sound && count > 0).then(|| Self {
            index: index as usize,
            name,
            block_size: device.block_size,
            block_count: device.block_count,
            requests,
            answers,
            data,
            buffers: alloc::vec![Use::Free; count].into_boxed_slice(),
        })
    }

    /// Takes the answers that have come.
    fn collect(&mut self) {
        // The monitor is trusted: an impossible index is a ring without answers.
        let count = self.answers.available().unwrap_or(0);
        for ahead in 0..count {
            let answer = self.answers.read(ahead);
            if let Some(buffer) = self.buffers.get_mut(answer.tag as usize) {
                *buffer = match *buffer {
                    Use::Underway => Use::Finished(Status::from_value(answer.status)),
                    _ => Use::Free,
                };
            }
        }
        if count > 0 {
            self.answers.release(count);
        }
    }

    /// Where a buffer begins.
    fn buffer(&self, number: usize) -> *mut u8 {
        self.data.wrapping_add(number * BUFFER)
    }
}

impl Block for RingBlock {
    fn name(&self) -> &'static str {
        self.name
    }

    fn index(&self) -> usize {
        self.index
    }

    fn block_size(&self) -> usize {
        self.block_size as usize
    }

    fn block_count(&self) -> u64 {
        self.block_count
    }

    fn transfer_limit(&self) -> usize {
        BUFFER
    }

    fn begin(&mut self, request: BlockRequest<'_>) -> Option<u32> {
        self.collect();
        let number = self.buffers.iter().position(|used| *used == Use::Free)?;
        let (operation, first, length) = match request {
            BlockRequest::Read { first, length } => (Operation::Read, first, length),
            BlockRequest::Write { first, data } => {
                let data = &data[..data.len().min(BUFFER)];
                // SAFETY: the buffer lies inside the data area, which is this device's alone; it is
                // free, so the monitor does not touch it, and no reference leads there.
                unsafe {
                    ptr::copy_nonoverlapping(data.as_ptr(), self.buffer(number), data.len());
                }
                (Operation::Write, first, data.len())
            }
            BlockRequest::Flush => (Operation::Flush, 0, 0),
        };
        let tag = u32::try_from(number).ok()?;
        let request = Request {
            tag,
            operation: operation as u16,
            reserved: 0,
            first,
            offset: u32::try_from(number * BUFFER).ok()?,
            length: u32::try_from(length.min(BUFFER)).ok()?,
        };
        if self.requests.push(&[request]) != Ok(1) {
            return None;
        }
        self.buffers[number] = Use::Underway;
        Some(tag)
    }

    fn finish(&mut self, ticket: u32, data: &mut [u8]) -> Option<Status> {
        self.collect();
        let number = ticket as usize;
        let Some(&Use::Finished(status)) = self.buffers.get(number) else {
            return None;
        };
        let length = data.len().min(BUFFER);
        // SAFETY: the buffer lies inside the data area; the monitor is done with it.
        unsafe { ptr::copy_nonoverlapping(self.buffer(number), data.as_mut_ptr(), length) };
        self.buffers[number] = Use::Free;
        Some(status)
    }

    fn forget(&mut self, ticket: u32) {
        if let Some(buffer) = self.buffers.get_mut(ticket as usize) {
            *buffer = match *buffer {
                Use::Underway => Use::Forgotten,
                _ => Use::Free,
            };
        }
    }
}
