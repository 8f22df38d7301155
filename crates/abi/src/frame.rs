//! Frames: buffers, what travels with a frame, and the slots that name it.
//!
//! A buffer is [`BUFFER_STRIDE`] bytes: a head of [`HEAD_SIZE`] bytes and a data area of [`DATA_SIZE`].
//! The stride is an odd number of cache lines, so that the heads of many buffers spread over all sets
//! of a cache; with a power of two they would share a few.

use core::fmt;

/// Distance in bytes from one buffer to the next: 33 cache lines.
pub const BUFFER_STRIDE: usize = 2112;

/// Bytes of a buffer before its data area. The first [`FrameHead::SIZE`] are the contract's, the rest
/// is the instance's own; the host neither reads nor writes it.
pub const HEAD_SIZE: usize = 128;

/// Bytes of a buffer's data area.
pub const DATA_SIZE: usize = BUFFER_STRIDE - HEAD_SIZE;

/// Where in the data area the host puts a frame it delivers: room for what the instance puts in front.
pub const RECEIVE_OFFSET: u16 = 128;

/// Longest frame that fits one buffer when delivered at [`RECEIVE_OFFSET`].
pub const SINGLE_FRAME_LIMIT: usize = DATA_SIZE - RECEIVE_OFFSET as usize;

/// Most buffers one frame may be chained over: enough for 64 KiB.
pub const MAX_CHAIN: usize = 36;

const _: () = {
    assert!(DATA_SIZE == 1984);
    assert!(BUFFER_STRIDE.is_multiple_of(64) && (BUFFER_STRIDE / 64) % 2 == 1);
    assert!(MAX_CHAIN * SINGLE_FRAME_LIMIT >= 65536);
};

/// What travels with a frame, at the beginning of its first buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameHead {
    /// When the frame arrived: nanoseconds since the Unix epoch, 0 if unknown.
    pub timestamp: i64,
    /// Bits of [`offload`].
    pub offload: u32,
    /// With [`offload::NEEDS_CHECKSUM`]: where summing starts, bytes from the frame's first.
    pub checksum_start: u16,
    /// With [`offload::NEEDS_CHECKSUM`]: where the sum goes, bytes from `checksum_start`.
    pub checksum_offset: u16,
    /// With a segment kind: payload bytes in each segment.
    pub segment_size: u16,
    /// 0, or what to cut the frame into: 1 TCP over IPv4, 4 TCP over IPv6 (the values of virtio-net's
    /// `gso_type`).
    pub segment_kind: u8,
    /// Zero.
    pub reserved: u8,
    /// A hash of the frame's flow, with [`offload::HASH`].
    pub hash: u32,
}

impl FrameHead {
    /// Its size in bytes: all that the host reads or writes of a head.
    pub const SIZE: usize = 24;

    /// A head that says only when the frame arrived.
    #[must_use]
    pub const fn at(timestamp: i64) -> Self {
        Self {
            timestamp,
            offload: 0,
            checksum_start: 0,
            checksum_offset: 0,
            segment_size: 0,
            segment_kind: 0,
            reserved: 0,
            hash: 0,
        }
    }
}

/// Bits of [`FrameHead::offload`].
pub mod offload {
    /// A checksum has to be filled in.
    pub const NEEDS_CHECKSUM: u32 = 1 << 0;
    /// Whoever delivered the frame has checked its checksums.
    pub const CHECKSUM_GOOD: u32 = 1 << 1;
    /// The hash is set.
    pub const HASH: u32 = 1 << 2;
}

/// One entry of a network ring: names a stretch of one buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Index of the buffer in the pool.
    pub buffer: u32,
    /// Where the stretch begins, bytes from the start of the data area.
    pub offset: u16,
    /// Its length in bytes.
    pub length: u16,
    /// Bits of [`Slot`]: [`Slot::CHAINED`], [`Slot::RETURNED`], [`Slot::OWN`].
    pub flags: u16,
    /// Zero.
    pub reserved: u16,
    /// Free for the two sides to agree on; zero otherwise.
    pub metadata: u32,
}

const _: () = {
    assert!(size_of::<FrameHead>() == FrameHead::SIZE);
    assert!(core::mem::offset_of!(FrameHead, segment_size) == 16);
    assert!(core::mem::offset_of!(FrameHead, hash) == 20);
    assert!(size_of::<Slot>() == 16);
    assert!(core::mem::offset_of!(Slot, offset) == 4);
    assert!(core::mem::offset_of!(Slot, metadata) == 12);
};

impl Slot {
    /// The frame goes on in the next slot.
    pub const CHAINED: u16 = 1 << 0;

    /// Written by the host into a transmit slot that it has drained: the buffer is the instance's
    /// again. The host does so when it holds its own share of the pool already, so that an instance
    /// that makes more packets than it receives never runs out of buffers.
    pub const RETURNED: u16 = 1 << 1;

    /// Written by the instance into a transmit slot: the buffer is one it makes packets in, and it
    /// needs it back though the host has not its share. What it has received may fill its queues
    /// meanwhile, and only sending empties those.
    pub const OWN: u16 = 1 << 2;

    /// Whether the frame goes on in the next slot.
    #[must_use]
    pub const fn is_chained(&self) -> bool {
        self.flags & Self::CHAINED != 0
    }

    /// The two words that the slot is in shared memory.
    #[inline]
    #[must_use]
    pub const fn to_words(self) -> [u64; 2] {
        [
            self.buffer as u64 | (self.offset as u64) << 32 | (self.length as u64) << 48,
            self.flags as u64 | (self.reserved as u64) << 16 | (self.metadata as u64) << 32,
        ]
    }

    /// The slot that two words of shared memory are.
    #[inline]
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "taking the words apart is what it does"
    )]
    pub const fn from_words(words: [u64; 2]) -> Self {
        Self {
            buffer: words[0] as u32,
            offset: (words[0] >> 32) as u16,
            length: (words[0] >> 48) as u16,
            flags: words[1] as u16,
            reserved: (words[1] >> 16) as u16,
            metadata: (words[1] >> 32) as u32,
        }
    }

    /// Whether the slot can be used with a pool of `buffers` buffers.
    ///
    /// # Errors
    /// The first field that is out of range.
    #[inline]
    pub const fn check(&self, buffers: u32) -> Result<(), SlotLie> {
        if self.buffer >= buffers {
            return Err(SlotLie::Buffer {
                buffer: self.buffer,
                buffers,
            });
        }
        if self.offset as usize + self.length as usize > DATA_SIZE {
            return Err(SlotLie::Extent {
                offset: self.offset,
                length: self.length,
            });
        }
        Ok(())
    }
}

/// A slot, or a supplied buffer index, that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotLie {
    /// The pool has no such buffer.
    Buffer {
        /// The index in the slot.
        buffer: u32,
        /// How many buffers the pool has.
        buffers: u32,
    },
    /// Offset and length reach past the data area.
    Extent {
        /// The offset in the slot.
        offset: u16,
        /// The length in the slot.
        length: u16,
    },
    /// The buffer is the host's at the moment.
    NotYours {
        /// The index in the slot.
        buffer: u32,
    },
    /// The last slot published says that the frame goes on.
    OpenChain,
    /// A frame is chained over more than [`MAX_CHAIN`] buffers.
    LongChain,
}

impl fmt::Display for SlotLie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Buffer { buffer, buffers } => {
                write!(f, "buffer {buffer} does not exist: the pool has {buffers}")
            }
            Self::Extent { offset, length } => {
                write!(
                    f,
                    "offset {offset} and length {length} reach past the {DATA_SIZE} bytes of a buffer"
                )
            }
            Self::NotYours { buffer } => write!(f, "buffer {buffer} belongs to the host"),
            Self::OpenChain => write!(f, "the last slot says that its frame goes on"),
            Self::LongChain => write!(f, "a frame is chained over more than {MAX_CHAIN} buffers"),
        }
    }
}

impl core::error::Error for SlotLie {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slot_may_end_where_the_data_area_ends_and_not_one_byte_later() {
        let slot = Slot {
            buffer: 3,
            offset: 1900,
            length: 84,
            ..Slot::default()
        };
        assert_eq!(slot.check(4), Ok(()));
        assert_eq!(
            slot.check(3),
            Err(SlotLie::Buffer {
                buffer: 3,
                buffers: 3
            })
        );
        let longer = Slot { length: 85, ..slot };
        assert_eq!(
            longer.check(4),
            Err(SlotLie::Extent {
                offset: 1900,
                length: 85
            })
        );
        let most = Slot {
            offset: u16::MAX,
            length: u16::MAX,
            ..slot
        };
        assert!(most.check(4).is_err());
    }

    proptest! {
        #[test]
        fn words_and_slot_are_inverse(a: u64, b: u64) {
            prop_assert_eq!(Slot::from_words([a, b]).to_words(), [a, b]);
        }
    }
}
