//! What stands before the bytes of every frame: the head of a buffer.
//!
//! A buffer is a 128-byte head and a data area behind it. The first 24 bytes of the head
//! travel with the frame between an instance and its monitor (`sprat_abi` names them); the
//! rest is this library's bookkeeping and Click's annotations and never leaves the instance.

use crate::pool::PoolCore;

/// Bytes of Click annotations each packet carries.
pub const ANNOTATION_SIZE: usize = 48;

/// Bytes from one pool buffer to the next: an odd number of cache lines, so that the heads of
/// neighbouring buffers fall into different cache sets.
pub const BUFFER_STRIDE: usize = 2112;

/// Bytes of a buffer's head.
pub const HEAD_SIZE: usize = 128;

/// Bytes of frame a pool buffer has room for, headroom included.
pub const BUFFER_CAPACITY: usize = BUFFER_STRIDE - HEAD_SIZE;

/// Marks a header offset that has not been set.
pub(crate) const UNSET: u32 = u32::MAX;

/// Work on a frame left to whoever sends it on, as virtio and Linux describe it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Offload {
    /// Which of the fields below are requests; zero asks for nothing.
    pub flags: u32,
    /// Where the bytes to be summed begin, from the start of the frame.
    pub checksum_start: u16,
    /// Where the sum is stored, from `checksum_start`.
    pub checksum_offset: u16,
    /// Payload bytes of each segment to be cut.
    pub segment_size: u16,
    /// The kind of segmentation.
    pub segment_kind: u8,
    /// Padding.
    pub reserved: u8,
}

#[repr(C, align(64))]
pub(crate) struct Head {
    /// Nanoseconds since the Unix epoch; zero says none.
    pub(crate) timestamp: i64,
    pub(crate) offload: Offload,
    pub(crate) hash: u32,
    /// The pool the buffer returns to; null for one that came from the heap alone.
    pub(crate) pool: *const PoolCore,
    /// Bytes of the data area.
    pub(crate) capacity: u32,
    /// Where the frame begins in the data area.
    pub(crate) offset: u32,
    pub(crate) length: u32,
    /// Offsets of the headers in the data area, or `UNSET`. Kept against the area and not
    /// against the frame so that they survive stripping and encapsulation.
    pub(crate) mac: u32,
    pub(crate) network: u32,
    pub(crate) transport: u32,
    /// Whether `annotations` holds values; while false it reads as zeros and its line stays cold.
    pub(crate) annotated: bool,
    pub(crate) kind: u8,
    pub(crate) device: u16,
    reserved: u32,
    pub(crate) annotations: [u8; ANNOTATION_SIZE],
    reserved_tail: [u8; 16],
}

const _: () = assert!(size_of::<Head>() == HEAD_SIZE);
const _: () = assert!(core::mem::offset_of!(Head, hash) == 20);
const _: () = assert!(core::mem::offset_of!(Head, annotations) == 64);
