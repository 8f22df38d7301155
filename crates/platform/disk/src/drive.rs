//! Disks: virtio's block devices, each the block device of the instance that it is joined to.

use sprat_abi::block::{Answer, BLOCK_SIZE, BlockDevice, Request, Status};
use sprat_abi::boot::features;
use sprat_abi::pointer;
use sprat_abi::ring::{Consumer, Producer, ring_capacity};

use crate::queue::Queue;
use crate::transfers::{CHAIN, Geometry, Heads, MEMORY, NAME, READ, Transfers};
use crate::virtio::{Bell, Device};
use crate::window::{OutOfMemory, Window};
use crate::{bios, clock};

/// Features of a disk: it cannot be written; it has to be told to flush.
const READ_ONLY: u64 = 1 << 5;
const FLUSH: u64 = 1 << 9;

/// Bytes of a disk's name.
const NAME_LENGTH: usize = 20;

/// Bytes of a block.
const BLOCK: usize = BLOCK_SIZE as usize;

/// Longest that a disk may take to say what it is called, and what begins it.
const PATIENCE: u64 = 2_000_000_000;

/// A disk.
pub(crate) struct Drive {
    device: Device,
    queue: Queue,
    bell: Bell,
    heads: Heads,
    geometry: Geometry,
    /// What it is called, with zeroes behind.
    name: [u8; NAME_LENGTH],
    joined: Option<(Transfers, u64)>,
}

impl Drive {
    /// Brings a disk up. `None` if it will not come, or holds a self-booting image: what a machine
    /// boots from is not the instance's to write.
    pub(crate) fn start(
        device: Device,
        window: &mut Window<'_>,
    ) -> Result<Option<Self>, OutOfMemory> {
        let Some(agreed) = device.begin(READ_ONLY | FLUSH) else {
            return Ok(None);
        };
        let mut queue = Queue::EMPTY;
        let Some(bell) = device.queue(0, &mut queue, window)? else {
            return Ok(None);
        };
        // Heads, and behind them room for a block.
        let (mapped, physical) = window.memory(MEMORY + u64::from(BLOCK_SIZE))?;
        device.finish();
        let blocks = [0, 1, 2, 3, 4, 5, 6, 7].map(|at| device.configuration(at));
        let mut drive = Self {
            device,
            queue,
            bell,
            heads: Heads { mapped, physical },
            geometry: Geometry {
                blocks: u64::from_le_bytes(blocks),
                read_only: agreed & READ_ONLY != 0,
                flushes: agreed & FLUSH != 0,
            },
            name: [0; NAME_LENGTH],
            joined: None,
        };
        if usize::from(drive.queue.size()) < CHAIN {
            return Ok(None);
        }
        if let Some(name) = drive.ask(NAME, 20) {
            drive.name.copy_from_slice(&name[..NAME_LENGTH]);
        }
        let first = drive.ask(READ, BLOCK_SIZE);
        let bootable = first.is_some_and(|block| bios::is_boot_sector(&block));
        let answers = drive.queue.under_way() == 0;
        Ok((answers && !bootable).then_some(drive))
    }

    /// Has the disk write the first bytes of its memory's last block, and waits for it: what it is
    /// called, or its first block. `None` if it will not.
    fn ask(&mut self, kind: u32, length: u32) -> Option<[u8; BLOCK]> {
        let (head, status) = self.heads.write(0, kind, 0);
        let block = (self.heads.physical + MEMORY, length);
        self.queue.add(&[head], &[block, status], 0);
        if self.queue.publish() {
            self.bell.ring();
        }
        let begin = clock::counter();
        while self.queue.take().is_none() {
            if clock::counter() - begin > clock::ticks(PATIENCE) {
                return None;
            }
            core::hint::spin_loop();
        }
        if self.heads.status(0) != Status::Done {
            return None;
        }
        let at = pointer(self.heads.mapped + MEMORY).cast::<[u8; BLOCK]>();
        // SAFETY: the block behind the heads, mapped for ever; the device is done with it.
        Some(unsafe { at.read_volatile() })
    }

    /// Whether it is called so.
    pub(crate) fn is_called(&self, name: &[u8]) -> bool {
        let end = self.name.iter().position(|byte| *byte == 0);
        !name.is_empty() && self.name[..end.unwrap_or(NAME_LENGTH)] == *name
    }

    /// Joins it to a device of the instance, whose data area lies at `data`. The device's entry gets
    /// the disk's own size.
    ///
    /// # Safety
    /// The device must be one of the boot page's, its rings mapped for ever and joined to no other disk.
    pub(crate) unsafe fn join(&mut self, entry: &mut BlockDevice, index: usize, data: u64) {
        let (Some(requests), Some(answers)) = (
            ring_capacity::<Request>(entry.requests.length),
            ring_capacity::<Answer>(entry.answers.length),
        ) else {
            return;
        };
        self.geometry.read_only |= entry.is_read_only();
        entry.block_count = self.geometry.blocks;
        if self.geometry.read_only {
            entry.features |= features::READ_ONLY;
        }
        let length = u32::try_from(entry.data.length).unwrap_or(0);
        // SAFETY: the caller's promise; the heads are this disk's, and it was asked all it is asked by
        // itself.
        let transfers = unsafe {
            let rings = (
                Consumer::attach(pointer(entry.requests.address), requests),
                Producer::attach(pointer(entry.answers.address), answers),
            );
            Transfers::new(rings, (data, length), self.heads, self.geometry)
        };
        self.joined = Some((transfers, 1 << index));
    }

    /// Moves requests and answers; the bit of the device if there is something for the instance.
    pub(crate) fn serve(&mut self) -> u64 {
        let Some((transfers, bit)) = &mut self.joined else {
            return 0;
        };
        transfers.serve(&mut self.queue);
        if self.queue.publish() {
            self.bell.ring();
        }
        if transfers.has_answers() { *bit } else { 0 }
    }

    /// Has the disk interrupt when it has done something; whether it has already.
    pub(crate) fn watch(&mut self, on: bool) -> bool {
        self.queue.set_interrupts(on);
        self.device.acknowledge();
        self.queue.has_used()
    }

    /// Whether it interrupts at all.
    pub(crate) fn interrupts(&self) -> bool {
        self.device.interrupts
    }

    /// Whether requests are still to be done.
    pub(crate) fn is_busy(&self) -> bool {
        let transfers = self.joined.as_ref();
        transfers.is_some_and(|(transfers, _)| transfers.is_busy())
    }
}
