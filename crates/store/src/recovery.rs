//! Reading a log from its beginning to where it ends.

use alloc::vec;
use alloc::vec::Vec;
use sprat_devices::Block;

use crate::LogError;
use crate::layout::{Head, Layout};
use crate::writer::{INTERNAL, Place, RECORD_HEAD, RECORD_LIMIT, Writer};

/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// The bytes of a half, in order.
struct Reader<'b, B> {
    block: &'b B,
    layout: Layout,
    start: u64,
    /// The block after the last one read.
    next: u64,
    /// What was read, and how much of it was taken.
    piece: Vec<u8>,
    taken: usize,
}

impl<B: Block> Reader<'_, B> {
    /// Bytes from here to the end of the half.
    fn left(&self) -> u64 {
        let blocks = self.layout.half - self.next;
        blocks * self.layout.block_size as u64 + (self.piece.len() - self.taken) as u64
    }

    /// Adds the next `count` bytes to `to`; there must be as many.
    async fn take(&mut self, mut count: usize, to: &mut Vec<u8>) -> Result<(), LogError> {
        while count > 0 {
            if self.taken == self.piece.len() {
                self.read().await?;
            }
            let ready = &self.piece[self.taken..];
            let ready = &ready[..ready.len().min(count)];
            to.extend_from_slice(ready);
            self.taken += ready.len();
            count -= ready.len();
        }
        Ok(())
    }

    /// Reads the next piece.
    async fn read(&mut self) -> Result<(), LogError> {
        let size = self.layout.block_size;
        let most = (PIECE / size).max(1) as u64;
        let blocks = most.min(self.layout.half - self.next);
        let Ok(count @ 1..) = usize::try_from(blocks) else {
            return Err(LogError::Damaged);
        };
        self.piece.resize(count * size, 0);
        let first = self.start + self.next;
        self.block.read(first, &mut self.piece).await?;
        self.next += blocks;
        self.taken = 0;
        Ok(())
    }
}

/// Hands the records of the log that counts to `replay`; its end, and whether there was something
/// behind it that is no record.
pub(crate) async fn replay(
    block: &impl Block,
    layout: Layout,
    head: &Head,
    replay: &mut dyn FnMut(Place, &[u8]),
) -> Result<(Writer, bool), LogError> {
    let mut reader = Reader {
        block,
        layout,
        start: layout.start(head.half),
        next: 0,
        piece: Vec::new(),
        taken: 0,
    };
    let mut checksum = head.seed();
    let mut end = 0;
    let mut torn = false;
    let mut record = Vec::new();
    while reader.left() >= RECORD_HEAD as u64 {
        record.clear();
        reader.take(RECORD_HEAD, &mut record).await?;
        let Some((&[l0, l1, l2, l3, s0, s1, s2, s3], _)) = record.split_first_chunk() else {
            break;
        };
        let place = Place {
            position: end,
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            before: checksum,
        };
        if place.length == 0 {
            break;
        }
        let length = (place.length & !INTERNAL) as usize;
        torn = length == 0 || length > RECORD_LIMIT || length as u64 > reader.left();
        if torn {
            break;
        }
        record.clear();
        reader.take(length, &mut record).await?;
        let expected = place.checksum(&record);
        torn = expected != u32::from_le_bytes([s0, s1, s2, s3]);
        if torn {
            break;
        }
        checksum = expected;
        end += place.size();
        if place.length & INTERNAL == 0 {
            replay(place, &record);
        }
    }
    let writer = writer(block, layout, head, checksum, end).await?;
    Ok((writer, torn))
}

/// What adds records at `end`.
async fn writer(
    block: &impl Block,
    layout: Layout,
    head: &Head,
    checksum: u32,
    end: u64,
) -> Result<Writer, LogError> {
    let size = layout.block_size as u64;
    let (last, rest) = (end / size, end % size);
    let mut tail = Vec::new();
    if rest > 0 {
        tail = vec![0; layout.block_size];
        block
            .read(layout.start(head.half) + last, &mut tail)
            .await?;
        tail.truncate(usize::try_from(rest).map_err(|_| LogError::Damaged)?);
    }
    Ok(Writer::new(layout, head.half, checksum, last, tail))
}
