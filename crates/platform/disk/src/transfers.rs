//! What is under way to a disk: requests of the instance's ring as chains of a virtqueue, and the
//! answers back (section 5.2.6 of the Virtual I/O Device specification, version 1.2). The device reads
//! and writes the instance's data area itself.
//!
//! The contract has requests served in the order of the ring, and devices work on what they have in any
//! order: so only reads are under way together, and whatever is none is under way alone.

use sprat_abi::block::{Answer, BLOCK_SIZE, Operation, Request, Status};
use sprat_abi::ring::{Consumer, Producer};

use crate::queue::Queue;

/// Most requests that are under way at a time.
pub const MOST: u32 = 32;

/// Bytes of memory that requests' heads take: for each its head and, behind that, its status.
pub const MEMORY: u64 = MOST as u64 * STRIDE;

const STRIDE: u64 = 32;
const STATUS: u64 = 16;

/// Most descriptors of a request: its head, its bytes, its status.
pub const CHAIN: usize = 3;

/// Types of requests.
pub(crate) const READ: u32 = 0;
const WRITE: u32 = 1;
const FLUSH: u32 = 4;
#[cfg(sprat_target = "disk")]
pub(crate) const NAME: u32 = 8;

/// A place for a request's head and status, before the device wrote there.
const UNWRITTEN: u8 = 0xff;

/// What a disk is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// How many blocks it has.
    pub blocks: u64,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// Whether it may keep what was written to itself until it is told to flush.
    pub flushes: bool,
}

/// Where requests' heads lie: where they are mapped, and physically.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// [`MEMORY`] bytes, mapped here.
    pub mapped: u64,
    /// Their physical address.
    pub physical: u64,
}

impl Heads {
    /// Writes the head of a request into a place; what the device reads and, last, writes of it.
    pub(crate) fn write(self, place: u32, kind: u32, sector: u64) -> ((u64, u32), (u64, u32)) {
        let offset = u64::from(place) * STRIDE;
        let at = self.mapped + offset;
        // SAFETY: a place inside the memory that whoever made the value gave to it alone; no request is
        // under way there.
        unsafe {
            sprat_abi::pointer(at)
                .cast::<[u32; 2]>()
                .write_volatile([kind, 0]);
            sprat_abi::pointer(at + 8)
                .cast::<u64>()
                .write_volatile(sector);
            sprat_abi::pointer(at + STATUS).write_volatile(UNWRITTEN);
        }
        let physical = self.physical + offset;
        ((physical, 16), (physical + STATUS, 1))
    }

    /// What the device says of a request.
    pub(crate) fn status(self, place: u32) -> Status {
        let at = self.mapped + u64::from(place) * STRIDE + STATUS;
        // SAFETY: as above; the device has written there, or will, which the read being volatile is for.
        match unsafe { sprat_abi::pointer(at).read_volatile() } {
            0 => Status::Done,
            2 => Status::Unknown,
            _ => Status::Failed,
        }
    }
}

/// Requests of one device of the instance.
#[derive(Debug)]
pub struct Transfers {
    requests: Consumer<Request>,
    answers: Producer<Answer>,
    geometry: Geometry,
    heads: Heads,
    /// Physical address and length of the data area.
    data: (u64, u32),
    /// Places of heads that are in use, a bit each, and the tags of their requests.
    used: u32,
    tags: [u32; MOST as usize],
    /// Whether what is under way is reads.
    reading: bool,
}

/// A request that the device is to be asked.
struct Chain {
    kind: u32,
    sector: u64,
    bytes: Option<(u64, u32)>,
}

impl Transfers {
    /// Transfers between two rings and the data area that lies at a physical address, so many bytes
    /// long, of a device like this.
    ///
    /// # Safety
    /// The heads' memory must be this value's alone, mapped as long as the value lives. The device may
    /// write to the data area at any time.
    #[must_use]
    pub unsafe fn new(
        (requests, answers): (Consumer<Request>, Producer<Answer>),
        data: (u64, u32),
        heads: Heads,
        geometry: Geometry,
    ) -> Self {
        Self {
            requests,
            answers,
            geometry,
            heads,
            data,
            used: 0,
            tags: [0; MOST as usize],
            reading: false,
        }
    }

    /// Answers what the device has done, and hands it what comes next. [`Queue::publish`] is left to
    /// the caller.
    pub fn serve(&mut self, queue: &mut Queue) {
        while let Some((place, _)) = queue.take() {
            let bit = 1_u32.checked_shl(place).unwrap_or(0);
            if self.used & bit == 0 {
                continue;
            }
            self.used &= !bit;
            let tag = self.tags[place as usize];
            self.answer(tag, self.heads.status(place));
        }
        // A ring whose index cannot be has nothing, and no room: the instance hurts itself alone.
        while self.requests.available().unwrap_or(0) > 0
            && self.answers.available().unwrap_or(0) > self.used.count_ones()
        {
            let request = self.requests.read(0);
            let operation = Operation::from_value(request.operation);
            let reads = operation == Some(Operation::Read);
            let waits = self.used != 0 && !(reads && self.reading);
            if waits || self.used == u32::MAX || queue.room() < CHAIN {
                return;
            }
            match self.chain(operation, &request) {
                Ok(chain) => {
                    self.reading = reads;
                    self.begin(&chain, request.tag, queue);
                }
                Err(status) => self.answer(request.tag, status),
            }
            self.requests.release(1);
        }
    }

    /// What to ask the device for a request, or the answer that needs no asking.
    fn chain(&self, operation: Option<Operation>, request: &Request) -> Result<Chain, Status> {
        let (first, size) = self.data;
        let (kind, bytes) = match operation {
            None => return Err(Status::Unknown),
            // What it has written is where it lasts.
            Some(Operation::Flush) if !self.geometry.flushes => return Err(Status::Done),
            Some(Operation::Flush) => (FLUSH, None),
            Some(Operation::Read | Operation::Write) => {
                let inside = request
                    .offset
                    .checked_add(request.length)
                    .is_some_and(|end| end <= size);
                let count = u64::from(request.length / BLOCK_SIZE);
                let whole = request.length.is_multiple_of(BLOCK_SIZE) && count > 0;
                let end = request.first.checked_add(count);
                if !inside || !whole || end.is_none_or(|end| end > self.geometry.blocks) {
                    return Err(Status::OutOfRange);
                }
                let kind = match operation {
                    Some(Operation::Read) => READ,
                    _ if self.geometry.read_only => return Err(Status::ReadOnly),
                    _ => WRITE,
                };
                let bytes = (first + u64::from(request.offset), request.length);
                (kind, Some(bytes))
            }
        };
        Ok(Chain {
            kind,
            sector: if kind == FLUSH { 0 } else { request.first },
            bytes,
        })
    }

    /// Hands a request to the device. There is a place for it and room in the queue.
    fn begin(&mut self, chain: &Chain, tag: u32, queue: &mut Queue) {
        let place = self.used.trailing_ones();
        let (head, status) = self.heads.write(place, chain.kind, chain.sector);
        match chain.bytes {
            None => queue.add(&[head], &[status], place),
            Some(bytes) if chain.kind == READ => queue.add(&[head], &[bytes, status], place),
            Some(bytes) => queue.add(&[head, bytes], &[status], place),
        };
        self.used |= 1 << place;
        self.tags[place as usize] = tag;
    }

    /// Answers a request. There is room: so many are under way at most.
    fn answer(&mut self, tag: u32, status: Status) {
        let status = status as u32;
        self.answers.write(0, Answer { tag, status });
        self.answers.publish(1);
    }

    /// Whether the instance has answers to take.
    #[must_use]
    pub fn has_answers(&self) -> bool {
        self.answers.available().unwrap_or(0) < self.answers.capacity()
    }

    /// Whether the device has requests, or should have.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.used != 0 || self.requests.available().unwrap_or(0) > 0
    }
}

#[cfg(test)]
#[path = "transfers_tests.rs"]
mod tests;
