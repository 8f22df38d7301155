//! A block device's rings and data, from the host's side.

use super::Lie;
use crate::block::{Answer, Operation, Request, Status};
use crate::ring::{Consumer, Producer};
use core::marker::PhantomData;

/// A stretch of a device's data area: memory that the instance shares, and may change at any time.
#[derive(Debug)]
pub struct Stretch<'a> {
    start: *mut u8,
    length: usize,
    marker: PhantomData<&'a ()>,
}

impl Stretch<'_> {
    /// Where it begins. All of it may be read and written as long as the value lives, and no reference
    /// may lead there.
    #[must_use]
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// Its length in bytes: whole blocks, one at least.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.length
    }
}

/// What holds a device's blocks. A place is given in bytes from the device's start, and was checked: a
/// stretch never reaches past the device's end.
pub trait Blocks {
    /// Fills a stretch.
    fn read(&mut self, place: u64, into: &Stretch<'_>) -> Status;

    /// Takes over a stretch.
    fn write(&mut self, place: u64, from: &Stretch<'_>) -> Status;

    /// Returns when everything written is where it lasts.
    fn flush(&mut self) -> Status;
}

/// How large a device is, and what may be done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of a block: a power of two.
    pub block_size: u32,
    /// How many there are.
    pub block_count: u64,
    /// Whether they cannot be written.
    pub read_only: bool,
}

/// The host's side of a block device.
#[derive(Debug)]
pub struct BlockPort {
    requests: Consumer<Request>,
    answers: Producer<Answer>,
    data: *mut u8,
    data_size: u32,
    geometry: Geometry,
}

// SAFETY: the data area is shared with an instance in any case; on the host's side it has one owner.
unsafe impl Send for BlockPort {}

impl BlockPort {
    /// A device over its two rings and its data area.
    ///
    /// # Safety
    /// `data_size` bytes from `data` must stay valid for reads and writes as long as the value lives,
    /// with no references leading into them.
    #[must_use]
    pub unsafe fn new(
        requests: Consumer<Request>,
        answers: Producer<Answer>,
        data: *mut u8,
        data_size: u32,
        geometry: Geometry,
    ) -> Self {
        Self {
            requests,
            answers,
            data,
            data_size,
            geometry,
        }
    }

    /// Both rings back to the start, for an instance that is started again.
    pub fn reset(&mut self) {
        self.requests.reset();
        self.answers.reset();
    }

    /// How many answers the instance has not taken yet.
    ///
    /// # Errors
    /// If the ring's index cannot be.
    pub fn waiting(&self) -> Result<u32, Lie> {
        let free = self.answers.available().map_err(Lie::AnswerIndex)?;
        Ok(self.answers.capacity() - free)
    }

    /// Serves requests in order until there are no more, answers have no room, about `limit` bytes were
    /// moved, or a flush was served. Says how many requests were.
    ///
    /// # Errors
    /// If a ring's index or a request's stretch cannot be.
    pub fn serve(&mut self, limit: u64, blocks: &mut dyn Blocks) -> Result<u32, Lie> {
        let waiting = self.requests.available().map_err(Lie::RequestIndex)?;
        let room = self.answers.available().map_err(Lie::AnswerIndex)?;
        let mut served = 0;
        let mut moved = 0;
        while served < waiting.min(room) && moved < limit {
            let request = self.requests.read(served);
            let operation = Operation::from_value(request.operation);
            let status = match operation {
                Some(Operation::Flush) => blocks.flush(),
                Some(Operation::Read | Operation::Write) => {
                    let stretch = self.stretch(&request)?;
                    moved += u64::from(request.length);
                    match self.place(&request) {
                        None => Status::OutOfRange,
                        Some(place) if operation == Some(Operation::Read) => {
                            blocks.read(place, &stretch)
                        }
                        Some(_) if self.geometry.read_only => Status::ReadOnly,
                        Some(place) => blocks.write(place, &stretch),
                    }
                }
                None => Status::Unknown,
            };
            let answer = Answer {
                tag: request.tag,
                status: status as u32,
            };
            self.answers.write(served, answer);
            served += 1;
            if operation == Some(Operation::Flush) {
                break;
            }
        }
        if served > 0 {
            self.requests.release(served);
            self.answers.publish(served);
        }
        Ok(served)
    }

    /// The stretch of the data area that a request names.
    fn stretch(&self, request: &Request) -> Result<Stretch<'_>, Lie> {
        let end = u64::from(request.offset) + u64::from(request.length);
        if end > u64::from(self.data_size) {
            return Err(Lie::BlockStretch {
                offset: request.offset,
                length: request.length,
                size: self.data_size,
            });
        }
        Ok(Stretch {
            start: self.data.wrapping_add(request.offset as usize),
            length: request.length as usize,
            marker: PhantomData,
        })
    }

    /// Where on the device a request begins, in bytes; `None` where the device has no such blocks.
    fn place(&self, request: &Request) -> Option<u64> {
        let size = u64::from(self.geometry.block_size);
        let count = u64::from(request.length) / size;
        let whole = u64::from(request.length).is_multiple_of(size) && count > 0;
        let end = request.first.checked_add(count)?;
        if !whole || end > self.geometry.block_count {
            return None;
        }
        request.first.checked_mul(size)
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
