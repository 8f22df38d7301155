//! One frame and what travels with it.

use core::fmt;
use core::mem;
use core::ptr::{self, NonNull};

use crate::annotations::Annotations;
use crate::head::{HEAD_SIZE, Head, Offload, UNSET};
use crate::pool::{self, Pool, PoolCore};
use crate::{ANNOTATION_SIZE, DEFAULT_HEADROOM};

/// How a frame was addressed on the link it came from (Click's packet type annotation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum PacketKind {
    /// To this host.
    #[default]
    Host = 0,
    /// To everybody.
    Broadcast = 1,
    /// To a group.
    Multicast = 2,
    /// To someone else.
    OtherHost = 3,
    /// Sent by this host.
    Outgoing = 4,
}

/// A packet: one owner, one buffer, one pointer wide.
///
/// Data never is shared: whoever holds a packet may write it, and a copy ([`Packet::duplicate`])
/// is a copy. Stripping and encapsulation move the start of the data and no bytes.
pub struct Packet {
    head: NonNull<Head>,
}

impl Packet {
    pub(crate) fn start(head: NonNull<Head>, offset: usize, length: usize) -> Self {
        // Buffers were chosen to hold both, and none is larger than 4 GiB.
        #[expect(clippy::cast_possible_truncation)]
        // SAFETY: the buffer just left its pool, so it is ours, with room for `offset + length`.
        unsafe {
            pool::reset_head(head, offset as u32, length as u32);
        }
        Self { head }
    }

    /// A packet whose travelling fields the other side has filled in.
    pub(crate) fn arrived(head: NonNull<Head>, offset: u32, length: u32) -> Self {
        let mut packet = Self { head };
        pool::reset_frame(packet.head_mut(), offset, length);
        packet
    }

    pub(crate) fn into_parts(self) -> (NonNull<Head>, u32, u32) {
        let (offset, length) = (self.head().offset, self.head().length);
        let head = self.head;
        mem::forget(self);
        (head, offset, length)
    }

    pub(crate) fn pool(&self) -> *const PoolCore {
        self.head().pool
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: a packet owns its buffer, whose head is always initialised.
        unsafe { self.head.as_ref() }
    }

    #[inline]
    fn head_mut(&mut self) -> &mut Head {
        // SAFETY: as in `head`, and `&mut self` makes the access exclusive.
        unsafe { self.head.as_mut() }
    }

    /// The first byte of the data area. Derived from the buffer's pointer and not from a
    /// reference to the head, which would not be allowed to reach behind it.
    #[inline]
    fn area(&self) -> *mut u8 {
        // SAFETY: the data area begins right behind the head of the same allocation.
        unsafe { self.head.as_ptr().cast::<u8>().add(HEAD_SIZE) }
    }

    /// The frame's bytes.
    #[inline]
    pub fn data(&self) -> &[u8] {
        let head = self.head();
        // SAFETY: `offset + length <= capacity` always holds, the area is initialised memory,
        // and it is owned by this packet.
        unsafe {
            core::slice::from_raw_parts(self.area().add(head.offset as usize), head.length as usize)
        }
    }

    /// The frame's bytes, to be changed.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        let (offset, length) = (self.head().offset as usize, self.head().length as usize);
        // SAFETY: as in `data`, and `&mut self` makes the access exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.area().add(offset), length) }
    }

    /// Bytes of the frame.
    #[inline]
    pub fn len(&self) -> usize {
        self.head().length as usize
    }

    /// Whether the frame has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes free before the frame.
    #[inline]
    pub fn headroom(&self) -> usize {
        self.head().offset as usize
    }

    /// Bytes free behind the frame.
    #[inline]
    pub fn tailroom(&self) -> usize {
        let head = self.head();
        (head.capacity - head.offset - head.length) as usize
    }

    /// Removes up to `count` bytes from the front; returns whether there were as many.
    #[inline]
    pub fn strip(&mut self, count: usize) -> bool {
        let head = self.head_mut();
        let (enough, taken) = match u32::try_from(count) {
            Ok(count) if count <= head.length => (true, count),
            _ => (false, head.length),
        };
        head.offset += taken;
        head.length -= taken;
        enough
    }

    /// Puts `count` bytes before the frame. Their contents are what stood there: after
    /// [`Packet::strip`] they are the stripped bytes. The buffer is replaced where there is no
    /// headroom.
    #[inline]
    pub fn prepend(&mut self, count: usize) -> &mut [u8] {
        if count > self.headroom() {
            self.relocate(count + DEFAULT_HEADROOM, self.tailroom());
        }
        let head = self.head_mut();
        // At most the headroom, which is a `u32`.
        #[expect(clippy::cast_possible_truncation)]
        let count32 = count as u32;
        head.offset -= count32;
        head.length += count32;
        &mut self.data_mut()[..count]
    }

    /// Puts `count` bytes behind the frame, with unspecified (but initialised) contents.
    pub fn append(&mut self, count: usize) -> &mut [u8] {
        if count > self.tailroom() {
            self.relocate(self.headroom(), count);
        }
        let end = self.len();
        // At most the tailroom, which is a `u32`.
        #[expect(clippy::cast_possible_truncation)]
        let count32 = count as u32;
        self.head_mut().length += count32;
        &mut self.data_mut()[end..]
    }

    /// Cuts the frame to at most `length` bytes.
    #[inline]
    pub fn truncate(&mut self, length: usize) {
        let head = self.head_mut();
        if let Ok(length) = u32::try_from(length) {
            head.length = head.length.min(length);
        }
    }

    /// Moves the frame to a heap buffer with the given room around it, keeping everything else.
    #[cold]
    fn relocate(&mut self, headroom: usize, tailroom: usize) {
        let headroom = headroom.max(self.headroom());
        let buffer = pool::heap_buffer(headroom + self.len() + tailroom);
        let mut larger = Packet::start(buffer, headroom, self.len());
        larger.copy_contents(self);
        *self = larger;
    }

    /// A copy of this packet, annotations and header positions included, from `pool`.
    ///
    /// Bytes that were stripped from the front are copied too, so that what `Strip` took
    /// `Unstrip` brings back on either copy.
    pub fn duplicate(&self, pool: &Pool) -> Packet {
        let mut copy = pool.packet_uninitialised(self.headroom(), self.len());
        copy.copy_contents(self);
        copy
    }

    /// Copies frame, headroom and all that travels with them into a packet of the same length
    /// and at least the same headroom.
    fn copy_contents(&mut self, from: &Packet) {
        let before = from.headroom();
        let bytes = before + from.len();
        debug_assert!(self.headroom() >= before && self.len() == from.len());
        let target = self.headroom() - before;
        // SAFETY: both stretches lie within their buffers' data areas, which are distinct.
        unsafe { ptr::copy_nonoverlapping(from.area(), self.area().add(target), bytes) };
        self.copy_metadata(from);
    }

    /// Copies all that is not data: annotations, timestamp, header positions.
    pub fn copy_metadata(&mut self, from: &Packet) {
        let source = from.head();
        let target = self.head_mut();
        target.timestamp = source.timestamp;
        target.offload = source.offload;
        target.hash = source.hash;
        target.kind = source.kind;
        target.device = source.device;
        let shift = i64::from(target.offset) - i64::from(source.offset);
        target.mac = moved(source.mac, shift);
        target.network = moved(source.network, shift);
        target.transport = moved(source.transport, shift);
        target.annotated = source.annotated;
        if source.annotated {
            target.annotations = source.annotations;
        }
    }

    /// When the frame was captured or made, in nanoseconds since the Unix epoch; zero: not set.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        self.head().timestamp
    }

    /// Sets the timestamp, in nanoseconds since the Unix epoch.
    #[inline]
    pub fn set_timestamp(&mut self, nanoseconds: i64) {
        self.head_mut().timestamp = nanoseconds;
    }

    /// The work on this frame left to its sender.
    pub fn offload(&self) -> Offload {
        self.head().offload
    }

    /// Sets the work left to the frame's sender.
    pub fn set_offload(&mut self, offload: Offload) {
        self.head_mut().offload = offload;
    }

    /// The flow hash its receiver gave the frame; zero: none.
    pub fn hash(&self) -> u32 {
        self.head().hash
    }

    /// How the frame was addressed on its link.
    pub fn kind(&self) -> PacketKind {
        match self.head().kind {
            1 => PacketKind::Broadcast,
            2 => PacketKind::Multicast,
            3 => PacketKind::OtherHost,
            4 => PacketKind::Outgoing,
            _ => PacketKind::Host,
        }
    }

    /// Sets how the frame was addressed on its link.
    pub fn set_kind(&mut self, kind: PacketKind) {
        self.head_mut().kind = kind as u8;
    }

    /// The number of the device the frame came from; zero: none.
    pub fn device(&self) -> u16 {
        self.head().device
    }

    /// Sets the number of the device the frame came from.
    pub fn set_device(&mut self, device: u16) {
        self.head_mut().device = device;
    }

    /// Where the link header begins, from the start of the frame; negative once stripped.
    #[inline]
    pub fn mac_offset(&self) -> Option<isize> {
        self.relative(self.head().mac)
    }

    /// Where the network header begins, from the start of the frame.
    #[inline]
    pub fn network_offset(&self) -> Option<isize> {
        self.relative(self.head().network)
    }

    /// Where the transport header begins, from the start of the frame.
    #[inline]
    pub fn transport_offset(&self) -> Option<isize> {
        self.relative(self.head().transport)
    }

    #[inline]
    fn relative(&self, position: u32) -> Option<isize> {
        (position != UNSET).then(|| position as isize - self.head().offset as isize)
    }

    /// Says that the link header begins `offset` bytes into the frame.
    #[inline]
    pub fn set_mac_header(&mut self, offset: usize) {
        let position = self.position(offset);
        self.head_mut().mac = position;
    }

    /// Says that the link header begins `offset` bytes into the frame, is `length` long, and is followed
    /// by the network header.
    #[inline]
    pub fn set_link_header(&mut self, offset: usize, length: usize) {
        let (mac, network) = (self.position(offset), self.position(offset + length));
        let head = self.head_mut();
        head.mac = mac;
        head.network = network;
    }

    /// Says that the network header begins `offset` bytes into the frame and is `length` long.
    #[inline]
    pub fn set_network_header(&mut self, offset: usize, length: usize) {
        let network = self.position(offset);
        let transport = self.position(offset + length);
        let head = self.head_mut();
        head.network = network;
        head.transport = transport;
    }

    /// Forgets where the headers are.
    pub fn clear_headers(&mut self) {
        let head = self.head_mut();
        head.mac = UNSET;
        head.network = UNSET;
        head.transport = UNSET;
    }

    #[inline]
    fn position(&self, offset: usize) -> u32 {
        let head = self.head();
        u32::try_from(offset).map_or(head.capacity, |offset| {
            head.offset.saturating_add(offset).min(head.capacity)
        })
    }

    /// The bytes from `position` of the data area to the end of the frame.
    #[inline]
    fn tail(&self, position: u32) -> Option<&[u8]> {
        let head = self.head();
        let end = head.offset + head.length;
        // The header may lie before the frame, in bytes that were stripped but still stand there.
        (position <= end).then(|| {
            // SAFETY: `position <= end <= capacity`, and the area is initialised memory that
            // this packet owns.
            unsafe {
                core::slice::from_raw_parts(
                    self.area().add(position as usize),
                    (end - position) as usize,
                )
            }
        })
    }

    #[inline]
    fn tail_mut(&mut self, position: u32) -> Option<&mut [u8]> {
        let end = self.head().offset + self.head().length;
        (position <= end).then(|| {
            // SAFETY: as in `tail`, and `&mut self` makes the access exclusive.
            unsafe {
                core::slice::from_raw_parts_mut(
                    self.area().add(position as usize),
                    (end - position) as usize,
                )
            }
        })
    }

    /// The bytes from the link header on, also where it has been stripped; `None` where unset.
    pub fn mac_header(&self) -> Option<&[u8]> {
        self.tail(self.head().mac)
    }

    /// The bytes from the link header on, to be changed.
    pub fn mac_header_mut(&mut self) -> Option<&mut [u8]> {
        self.tail_mut(self.head().mac)
    }

    /// The bytes from the network header to the end of the frame; `None` where it is unset.
    #[inline]
    pub fn network_header(&self) -> Option<&[u8]> {
        self.tail(self.head().network)
    }

    /// The bytes from the network header on, to be changed.
    #[inline]
    pub fn network_header_mut(&mut self) -> Option<&mut [u8]> {
        self.tail_mut(self.head().network)
    }

    /// The bytes from the transport header to the end of the frame; `None` where it is unset.
    #[inline]
    pub fn transport_header(&self) -> Option<&[u8]> {
        self.tail(self.head().transport)
    }

    /// The bytes from the transport header on, to be changed.
    #[inline]
    pub fn transport_header_mut(&mut self) -> Option<&mut [u8]> {
        self.tail_mut(self.head().transport)
    }

    /// Bytes of the network header; zero where it is unset.
    #[inline]
    pub fn network_header_len(&self) -> usize {
        let head = self.head();
        if head.network == UNSET {
            0
        } else {
            (head.transport - head.network) as usize
        }
    }

    /// Click's annotations.
    #[inline]
    pub fn annotations(&self) -> Annotations<'_> {
        let head = self.head();
        Annotations::new(if head.annotated {
            &head.annotations
        } else {
            &[0; ANNOTATION_SIZE]
        })
    }

    /// Click's annotations as bytes, to be changed.
    #[inline]
    pub fn annotations_mut(&mut self) -> &mut [u8; ANNOTATION_SIZE] {
        let head = self.head_mut();
        if !head.annotated {
            head.annotated = true;
            head.annotations = [0; ANNOTATION_SIZE];
        }
        &mut head.annotations
    }

    /// Sets all annotations, the timestamp and the packet kind back to nothing.
    pub fn clear_annotations(&mut self) {
        let head = self.head_mut();
        head.annotated = false;
        head.timestamp = 0;
        head.kind = 0;
        head.device = 0;
    }

    /// Asks the processor to fetch this packet's head and first bytes, which will be needed soon.
    #[inline]
    pub fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: prefetching has no effect on memory and faults on no address; SSE is part of
        // every x86-64 processor.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let start = self.head.as_ptr().cast::<i8>();
            _mm_prefetch::<_MM_HINT_T0>(start);
            _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(HEAD_SIZE + DEFAULT_HEADROOM));
        }
    }
}

fn moved(position: u32, shift: i64) -> u32 {
    if position == UNSET {
        UNSET
    } else {
        u32::try_from(i64::from(position) + shift).unwrap_or(UNSET)
    }
}

impl Drop for Packet {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the packet owns its buffer and is gone after this.
        unsafe { pool::return_buffer(self.head) }
    }
}

impl PartialEq for Packet {
    /// Whether both are the same packet, not merely equal bytes.
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.head.as_ptr(), other.head.as_ptr())
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("timestamp", &self.timestamp())
            .field("data", &self.data())
            .finish()
    }
}
