//! What several tests need: a device whose host may die at any moment.

use core::cell::RefCell;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;
use std::vec::Vec;

use sprat_devices::{Block, BlockError, MemoryBlock};

/// What a future resolves to that never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// A device that remembers which writes a flush has not covered.
#[derive(Debug)]
pub(crate) struct Fragile {
    blocks: MemoryBlock,
    /// Block by block: the number and what it held before, oldest first.
    unflushed: RefCell<Vec<(u64, Vec<u8>)>>,
    /// Bytes that may be written until the device fails.
    pub(crate) room: RefCell<usize>,
}

impl Fragile {
    pub(crate) fn new(count: usize) -> Rc<Self> {
        Rc::new(Self {
            blocks: MemoryBlock::new(count),
            unflushed: RefCell::default(),
            room: RefCell::new(usize::MAX),
        })
    }

    /// The host dies: of each block that was written since the last flush, in whatever order, the
    /// write has come or not, as `keep` says.
    pub(crate) fn crash(&self, mut keep: impl FnMut() -> bool) {
        for (number, before) in self.unflushed.take().into_iter().rev() {
            if !keep() {
                now(self.blocks.write(number, &before)).expect("was there");
            }
        }
    }

    /// The writer dies, and the host does not: of the last `count` blocks that were written, none has
    /// come.
    pub(crate) fn cut(&self, count: usize) {
        for _ in 0..count {
            let last = self.unflushed.borrow_mut().pop();
            if let Some((number, before)) = last {
                now(self.blocks.write(number, &before)).expect("was there");
            }
        }
    }

    /// How many blocks were written since the last flush.
    pub(crate) fn unflushed(&self) -> usize {
        self.unflushed.borrow().len()
    }
}

impl Block for Fragile {
    fn block_size(&self) -> usize {
        self.blocks.block_size()
    }

    fn block_count(&self) -> u64 {
        self.blocks.block_count()
    }

    async fn read(&self, first: u64, data: &mut [u8]) -> Result<(), BlockError> {
        self.blocks.read(first, data).await
    }

    async fn write(&self, first: u64, data: &[u8]) -> Result<(), BlockError> {
        for (number, data) in (first..).zip(data.chunks(MemoryBlock::BLOCK_SIZE)) {
            let room = self.room.borrow().checked_sub(data.len());
            *self.room.borrow_mut() = room.ok_or(BlockError::NoSpace)?;
            let mut before = std::vec![0; data.len()];
            self.blocks.read(number, &mut before).await?;
            self.unflushed.borrow_mut().push((number, before));
            self.blocks.write(number, data).await?;
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), BlockError> {
        self.unflushed.borrow_mut().clear();
        Ok(())
    }
}
