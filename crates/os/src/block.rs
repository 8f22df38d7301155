//! Block devices.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;

use sprat_devices::{Block, BlockError};
use sprat_platform::{Block as _, BlockRequest, Platform as _, Status};

use crate::local::local;
use crate::ready;
use crate::target::{PlatformBlock, platform};

local! {
    static DEVICES: RefCell<Option<Vec<BlockDevice>>> = RefCell::new(None);
}

/// The block devices of this instance.
pub(crate) fn all() -> Vec<BlockDevice> {
    DEVICES.with(|devices| devices.borrow_mut().get_or_insert_with(take_all).clone())
}

fn take_all() -> Vec<BlockDevice> {
    let device = |device| BlockDevice {
        device: Rc::new(RefCell::new(device)),
    };
    platform().take_blocks().into_iter().map(device).collect()
}

/// A block device of this instance. Clones are handles of the same one.
#[derive(Clone)]
pub struct BlockDevice {
    device: Rc<RefCell<PlatformBlock>>,
}

impl BlockDevice {
    /// Its name: `data`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.device.borrow().name()
    }

    /// Bytes of one request, and of a block.
    fn sizes(&self) -> (usize, usize) {
        let device = self.device.borrow();
        (device.transfer_limit(), device.block_size())
    }

    /// Makes a request and waits for its end; what is read goes to `data`.
    async fn request(&self, request: BlockRequest<'_>, data: &mut [u8]) -> Result<(), BlockError> {
        let mut underway = Underway {
            device: &self.device,
            ticket: None,
        };
        let status = poll_fn(|context| {
            let mut device = self.device.borrow_mut();
            if underway.ticket.is_none() {
                underway.ticket = device.begin(request);
            }
            let finished = underway
                .ticket
                .and_then(|ticket| device.finish(ticket, data));
            if let Some(status) = finished {
                underway.ticket = None;
                // Whoever found too many under way may begin now.
                ready::wake(1 << device.index());
                return Poll::Ready(status);
            }
            ready::wait(device.index(), "a block device", context);
            Poll::Pending
        })
        .await;
        match status {
            Status::Done => Ok(()),
            Status::OutOfRange => Err(BlockError::OutOfRange),
            Status::ReadOnly => Err(BlockError::ReadOnly),
            Status::NoSpace => Err(BlockError::NoSpace),
            Status::Failed | Status::Unknown => Err(BlockError::Failed),
        }
    }
}

/// A request that is forgotten when nobody waits for it any more.
struct Underway<'a> {
    device: &'a RefCell<PlatformBlock>,
    ticket: Option<u32>,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.device.borrow_mut().forget(ticket);
        }
    }
}

impl Block for BlockDevice {
    fn block_size(&self) -> usize {
        self.device.borrow().block_size()
    }

    fn block_count(&self) -> u64 {
        self.device.borrow().block_count()
    }

    async fn read(&self, mut first: u64, data: &mut [u8]) -> Result<(), BlockError> {
        let (limit, block_size) = self.sizes();
        if !data.len().is_multiple_of(block_size) {
            return Err(BlockError::OutOfRange);
        }
        for part in data.chunks_mut(limit) {
            let length = part.len();
            self.request(BlockRequest::Read { first, length }, part)
                .await?;
            first += (length / block_size) as u64;
        }
        Ok(())
    }

    async fn write(&self, mut first: u64, data: &[u8]) -> Result<(), BlockError> {
        let (limit, block_size) = self.sizes();
        if !data.len().is_multiple_of(block_size) {
            return Err(BlockError::OutOfRange);
        }
        for data in data.chunks(limit) {
            self.request(BlockRequest::Write { first, data }, &mut [])
                .await?;
            first += (data.len() / block_size) as u64;
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), BlockError> {
        self.request(BlockRequest::Flush, &mut []).await
    }
}
