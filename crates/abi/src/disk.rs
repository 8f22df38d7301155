//! What a self-booting image is made of: the plan of its instance's address space.
//!
//! A `disk` image is the boot monitor (`crates/platform/disk`) and, from the first page behind it, a
//! payload: a [`PlanHead`], the [`Piece`]s it counts, and the bytes that they are stored with. All of
//! it is laid out when the image is built, so that booting is mapping pages and little else.
//!
//! The reader trusts the writer, since both are parts of one file, but for its length and its bytes:
//! a disk may have been cut short or damaged, so they are under a [checksum].

/// First eight bytes of a payload: `SPRATDK1`, little endian.
pub const PLAN_MAGIC: u64 = u64::from_le_bytes(*b"SPRATDK1");

/// The beginning of a payload.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanHead {
    /// [`PLAN_MAGIC`].
    pub magic: u64,
    /// Bytes of the whole payload, this head included: a multiple of the page size.
    pub length: u64,
    /// [`checksum`] of everything behind this head.
    pub checksum: u64,
    /// Address of the image's first instruction.
    pub entry: u64,
    /// The stack pointer it is entered with.
    pub stack_pointer: u64,
    /// Address of the [boot page](crate::boot::BootPage), which is stored complete but for what only
    /// the machine knows: the calls' addresses, the heap's length, the seed.
    pub boot_page: u64,
    /// Fewest bytes of heap that the instance can do with; the boot page has the most it wants.
    pub least_heap: u64,
    /// Bits of [`flags`].
    pub flags: u64,
    /// How many [`Piece`]s follow.
    pub pieces: u64,
    /// Written by the boot monitor before it enters the image: the physical address of the piece that
    /// the rings lie in. Zero until then.
    pub rings_at: u64,
}

impl PlanHead {
    /// The words that it is in the payload.
    #[must_use]
    pub const fn to_words(&self) -> [u64; 10] {
        [
            self.magic,
            self.length,
            self.checksum,
            self.entry,
            self.stack_pointer,
            self.boot_page,
            self.least_heap,
            self.flags,
            self.pieces,
            self.rings_at,
        ]
    }
}

/// Bits of [`PlanHead::flags`].
pub mod flags {
    /// The boot page's seed is to be kept, for runs that repeat.
    pub const FIXED_SEED: u64 = 1 << 0;
    /// Whoever started the machine has its memory in hand and uses the instance's rings and statistics
    /// there, unannounced, as a monitor does: they are looked at every millisecond.
    pub const WATCHED: u64 = 1 << 1;
}

/// One stretch of the instance's address space.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Its first address, on a page.
    pub address: u64,
    /// Its bytes, whole pages.
    pub length: u64,
    /// Where its stored bytes lie in the payload, on a page.
    pub offset: u64,
    /// How many are stored, whole pages; the others are zero.
    pub stored: u64,
    /// [`READ`], [`READ_WRITE`] or [`READ_EXECUTE`].
    pub protection: u64,
}

impl Piece {
    /// The words that it is in the payload.
    #[must_use]
    pub const fn to_words(&self) -> [u64; 5] {
        [
            self.address,
            self.length,
            self.offset,
            self.stored,
            self.protection,
        ]
    }
}

/// The word of [`CallBlock::private`](crate::call::CallBlock::private) that is not zero when the
/// instance is to come to an end.
pub const STOP_WORD: usize = 0;

/// The word that counts how often the instance has yielded.
pub const YIELDS_WORD: usize = 1;

/// The word that says how many frames had come to the machine's cards, and one more, when the processor
/// last had nothing to do. Zero until it had.
pub const RESTED_WORD: usize = 2;

/// A [`Piece::protection`]: can be read.
pub const READ: u64 = 0;
/// A [`Piece::protection`]: can be read and written.
pub const READ_WRITE: u64 = 1;
/// A [`Piece::protection`]: can be read and executed.
pub const READ_EXECUTE: u64 = 2;

const _: () = {
    assert!(size_of::<PlanHead>() == 80);
    assert!(size_of::<Piece>() == 40);
};

/// The checksum of a payload behind its head: FNV-1a over words of eight bytes, little endian, which
/// a whole megabyte of is taken in under a millisecond.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |word: u64| sum = (sum ^ word).wrapping_mul(0x100_0000_01b3);
    for word in words.by_ref() {
        // Eight bytes, by `chunks_exact`.
        add(u64::from_le_bytes(word.try_into().unwrap_or_default()));
    }
    for byte in words.remainder() {
        add(u64::from(*byte));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_sees_a_changed_bit_and_a_missing_end() {
        let bytes: [u8; 100] = core::array::from_fn(|index| u8::try_from(index).unwrap_or(0));
        let sum = checksum(&bytes);
        assert_ne!(sum, checksum(&bytes[..99]));
        for at in 0..bytes.len() {
            let mut other = bytes;
            other[at] ^= 0x80;
            assert_ne!(sum, checksum(&other), "byte {at}");
        }
    }

    #[test]
    fn the_checksum_of_one_byte_is_that_of_the_definition() {
        // FNV-1a, 64 bits, of "a": from the test vectors of its authors.
        assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
