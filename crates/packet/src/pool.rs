//! Where packets' buffers come from and return to.
//!
//! A pool hands out fixed buffers of [`BUFFER_STRIDE`] bytes, last in, first out, so that a
//! router's cache footprint follows its batch. Frames too large for one, and frames asked for
//! when a pool over a fixed region is empty, get a buffer of their own from the heap: asking
//! for a packet never fails for want of pool buffers.

use alloc::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::{Cell, UnsafeCell};
use core::ptr::{self, NonNull};

use crate::head::{BUFFER_CAPACITY, BUFFER_STRIDE, HEAD_SIZE, Head, Offload, UNSET};
use crate::packet::Packet;

/// Bytes left free before a new packet's first byte, room for the headers routers add.
pub const DEFAULT_HEADROOM: usize = 128;

/// `BUFFER_CAPACITY` as heads keep it.
#[expect(clippy::cast_possible_truncation)]
const CAPACITY: u32 = BUFFER_CAPACITY as u32;

/// Buffers a growing pool adds at a time.
const CHUNK: usize = 64;

/// A growing pool stops growing here; more packets than that take heap buffers.
const GROWTH_LIMIT: usize = 1 << 16;

/// A source of packets; clones share the same buffers.
///
/// A pool and its packets belong to one thread.
pub struct Pool {
    core: NonNull<PoolCore>,
}

pub(crate) struct PoolCore {
    /// Buffers nobody holds. Only touched through `PoolCore`'s methods, none of which calls out.
    free: UnsafeCell<Vec<NonNull<Head>>>,
    /// Buffers that left the free list and have not come back, plus one for each `Pool` handle.
    holders: Cell<usize>,
    /// First byte of the region a fixed pool lies in; null for a growing one.
    region: *mut u8,
    buffers: Cell<usize>,
    /// Memory of a growing pool, released with it.
    chunks: UnsafeCell<Vec<NonNull<u8>>>,
}

impl Pool {
    /// A pool that takes memory from the heap as it is needed and gives it back when the pool
    /// and its last packet are gone.
    pub fn growing() -> Self {
        Self::with_core(ptr::null_mut(), 0)
    }

    /// A pool over `count` buffers of [`BUFFER_STRIDE`] bytes at `region`, none of them free
    /// yet: buffers enter by [`Pool::adopt`] and [`Pool::give`].
    ///
    /// # Safety
    /// `region` must be aligned to 64 bytes and valid for reads and writes of
    /// `count * BUFFER_STRIDE` initialised bytes for as long as the pool or a packet of it
    /// lives, and nobody else may access a buffer that the pool holds.
    pub unsafe fn over_region(region: NonNull<u8>, count: usize) -> Self {
        Self::with_core(region.as_ptr(), count)
    }

    fn with_core(region: *mut u8, count: usize) -> Self {
        let core = Box::new(PoolCore {
            free: UnsafeCell::new(Vec::with_capacity(count)),
            holders: Cell::new(1),
            region,
            buffers: Cell::new(count),
            chunks: UnsafeCell::new(Vec::new()),
        });
        Self {
            core: NonNull::from(Box::leak(core)),
        }
    }

    fn core(&self) -> &PoolCore {
        // SAFETY: `holders` counts this handle, so the core has not been freed.
        unsafe { self.core.as_ref() }
    }

    /// An empty packet with `headroom` bytes before it and room for `length` bytes.
    #[inline]
    fn buffer(&self, room: usize) -> NonNull<Head> {
        let core = self.core();
        let head = if room <= BUFFER_CAPACITY {
            core.take().or_else(|| core.grow())
        } else {
            None
        };
        match head {
            Some(head) => {
                core.holders.set(core.holders.get() + 1);
                // SAFETY: the buffer just left the free list.
                unsafe { self.claim(head) };
                head
            }
            None => heap_buffer(room),
        }
    }

    /// A packet of `length` bytes, whose contents are whatever the buffer held before (always
    /// initialised memory of this pool's owner), with `headroom` bytes free in front of it.
    #[inline]
    pub fn packet_uninitialised(&self, headroom: usize, length: usize) -> Packet {
        let head = self.buffer(headroom + length);
        Packet::start(head, headroom, length)
    }

    /// A packet of `length` zero bytes with `headroom` bytes free in front of it.
    pub fn packet_zeroed(&self, headroom: usize, length: usize) -> Packet {
        let mut packet = self.packet_uninitialised(headroom, length);
        packet.data_mut().fill(0);
        packet
    }

    /// A packet holding a copy of `data`, with the default headroom.
    pub fn packet(&self, data: &[u8]) -> Packet {
        let mut packet = self.packet_uninitialised(DEFAULT_HEADROOM, data.len());
        packet.data_mut().copy_from_slice(data);
        packet
    }

    /// Free buffers at hand, not counting what a growing pool could still add.
    pub fn available(&self) -> usize {
        self.core().free_count()
    }

    /// Buffers the pool has, free or held.
    pub fn buffers(&self) -> usize {
        self.core().buffers.get()
    }

    /// Adds buffer `index` of the region to the free ones.
    ///
    /// # Safety
    /// The pool must be over a region, `index` must be below its count, and the buffer must be
    /// neither free nor held by a packet.
    pub unsafe fn give(&self, index: u32) {
        let core = self.core();
        // SAFETY: the caller promises that `index` lies in the region.
        // Nothing is written to the buffer before a packet needs it: a page never touched costs nothing.
        core.put(unsafe { core.head_at(index) });
    }

    /// Takes a free buffer out of the region's pool, to be handed to the other side.
    pub fn take(&self) -> Option<u32> {
        let core = self.core();
        core.take().map(|head| core.index_of(head))
    }

    /// Makes a packet of buffer `index`, which the other side filled with `length` bytes at
    /// `offset` of its data area; timestamp, offload and hash are kept as they stand there.
    /// `None` where the stretch lies outside the buffer.
    ///
    /// # Safety
    /// As for [`Pool::give`].
    pub unsafe fn adopt(&self, index: u32, offset: u16, length: u16) -> Option<Packet> {
        if usize::from(offset) + usize::from(length) > BUFFER_CAPACITY {
            return None;
        }
        let core = self.core();
        // SAFETY: the caller promises that `index` lies in the region.
        let head = unsafe { core.head_at(index) };
        core.holders.set(core.holders.get() + 1);
        // SAFETY: the caller promises that nobody else holds the buffer.
        unsafe { self.claim(head) };
        Some(Packet::arrived(head, u32::from(offset), u32::from(length)))
    }

    /// Writes into a buffer's head that it is this pool's.
    ///
    /// # Safety
    /// `head` must be a buffer of this pool that nobody else holds.
    unsafe fn claim(&self, head: NonNull<Head>) {
        // SAFETY: the caller promises that the buffer is valid and ours.
        unsafe {
            (*head.as_ptr()).pool = self.core.as_ptr();
            (*head.as_ptr()).capacity = CAPACITY;
        }
    }

    /// Takes the buffer out of a packet to be sent: its index, offset and length. A packet
    /// whose buffer is not of this pool's region comes back as it was, to be copied.
    pub fn surrender(&self, packet: Packet) -> Result<(u32, u16, u16), Packet> {
        let core = self.core();
        if core.region.is_null() || !ptr::eq(packet.pool(), core) {
            return Err(packet);
        }
        let (head, offset, length) = packet.into_parts();
        core.holders.set(core.holders.get() - 1);
        // A region's buffers are smaller than 64 KiB, so both fit.
        #[expect(clippy::cast_possible_truncation)]
        Ok((core.index_of(head), offset as u16, length as u16))
    }
}

impl Clone for Pool {
    fn clone(&self) -> Self {
        let core = self.core();
        core.holders.set(core.holders.get() + 1);
        Self { core: self.core }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        release_holder(self.core);
    }
}

impl core::fmt::Debug for Pool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pool")
            .field("buffers", &self.buffers())
            .field("available", &self.available())
            .finish()
    }
}

impl PoolCore {
    fn free_count(&self) -> usize {
        // SAFETY: one thread, and no method keeps a reference across a call out of this module.
        unsafe { (*self.free.get()).len() }
    }

    fn take(&self) -> Option<NonNull<Head>> {
        // SAFETY: as in `free_count`.
        unsafe { (*self.free.get()).pop() }
    }

    fn put(&self, head: NonNull<Head>) {
        // SAFETY: as in `free_count`.
        unsafe { (*self.free.get()).push(head) }
    }

    /// # Safety
    /// The pool is over a region and `index` is below its count.
    unsafe fn head_at(&self, index: u32) -> NonNull<Head> {
        debug_assert!((index as usize) < self.buffers.get());
        // SAFETY: the caller promises that the buffer lies inside the region, which is not null.
        unsafe { NonNull::new_unchecked(self.region.add(index as usize * BUFFER_STRIDE).cast()) }
    }

    fn index_of(&self, head: NonNull<Head>) -> u32 {
        let distance = head.as_ptr().addr() - self.region.addr();
        // A region holds fewer than 2^32 buffers.
        #[expect(clippy::cast_possible_truncation)]
        let index = (distance / BUFFER_STRIDE) as u32;
        index
    }

    /// Adds a chunk of buffers and returns one of them; a fixed or full pool returns none.
    #[cold]
    fn grow(&self) -> Option<NonNull<Head>> {
        if !self.region.is_null() || self.buffers.get() >= GROWTH_LIMIT {
            return None;
        }
        let memory = allocate(chunk_layout());
        // SAFETY: as in `free_count`; the chunk list is touched here and when the core is freed.
        unsafe { (*self.chunks.get()).push(memory) };
        for index in (0..CHUNK).rev() {
            // SAFETY: the chunk is `CHUNK` strides long, aligned for heads, zeroed and ours alone.
            let head = unsafe {
                let head = memory.add(index * BUFFER_STRIDE).cast::<Head>();
                (*head.as_ptr()).pool = self;
                (*head.as_ptr()).capacity = CAPACITY;
                head
            };
            self.put(head);
        }
        self.buffers.set(self.buffers.get() + CHUNK);
        self.take()
    }
}

fn chunk_layout() -> Layout {
    buffer_layout(CHUNK * BUFFER_STRIDE)
}

fn buffer_layout(bytes: usize) -> Layout {
    match Layout::from_size_align(bytes, 64) {
        Ok(layout) => layout,
        Err(_) => panic!("a packet of {bytes} bytes is larger than memory"),
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: every layout here is larger than zero bytes.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// A buffer with room for `room` bytes that belongs to no pool.
#[cold]
pub(crate) fn heap_buffer(room: usize) -> NonNull<Head> {
    let capacity = u32::try_from(room.next_multiple_of(64))
        .unwrap_or_else(|_| panic!("a packet of {room} bytes"));
    let head = allocate(buffer_layout(HEAD_SIZE + capacity as usize)).cast::<Head>();
    // SAFETY: freshly allocated, zeroed, aligned for a head, and ours alone; zero is a valid head.
    unsafe {
        (*head.as_ptr()).pool = ptr::null();
        (*head.as_ptr()).capacity = capacity;
    }
    head
}

/// Returns a buffer to where it came from.
///
/// # Safety
/// `head` must be a buffer that its packet no longer uses.
pub(crate) unsafe fn return_buffer(head: NonNull<Head>) {
    // SAFETY: the caller owns the buffer.
    let (pool, capacity) = unsafe { ((*head.as_ptr()).pool, (*head.as_ptr()).capacity) };
    match NonNull::new(pool.cast_mut()) {
        Some(core) => {
            // SAFETY: the buffer counts as a holder, so the core lives.
            unsafe { core.as_ref() }.put(head);
            release_holder(core);
        }
        // SAFETY: a buffer without a pool was made by `heap_buffer` with this very layout.
        None => unsafe {
            dealloc(
                head.as_ptr().cast(),
                buffer_layout(HEAD_SIZE + capacity as usize),
            )
        },
    }
}

/// Gives up one hold on the core; the last one frees it.
fn release_holder(core: NonNull<PoolCore>) {
    // SAFETY: the caller's hold keeps the core alive until here.
    let holders = unsafe { &core.as_ref().holders };
    holders.set(holders.get() - 1);
    if holders.get() == 0 {
        free_core(core);
    }
}

#[cold]
fn free_core(core: NonNull<PoolCore>) {
    // SAFETY: nobody holds the core or a buffer of it any more, and `with_core` leaked a box.
    let mut owned = unsafe { Box::from_raw(core.as_ptr()) };
    for memory in owned.chunks.get_mut().drain(..) {
        // SAFETY: allocated in `grow` with this layout; every buffer in it is on the free list.
        unsafe { dealloc(memory.as_ptr(), chunk_layout()) };
    }
}

/// Sets a buffer's bookkeeping for a packet that starts anew.
///
/// # Safety
/// `head` must be valid and owned by the caller, `offset + length` within its capacity.
pub(crate) unsafe fn reset_head(head: NonNull<Head>, offset: u32, length: u32) {
    // SAFETY: the caller owns the head.
    let head = unsafe { &mut *head.as_ptr() };
    head.timestamp = 0;
    head.offload = Offload::default();
    head.hash = 0;
    reset_frame(head, offset, length);
}

pub(crate) fn reset_frame(head: &mut Head, offset: u32, length: u32) {
    head.offset = offset;
    head.length = length;
    head.mac = UNSET;
    head.network = UNSET;
    head.transport = UNSET;
    head.annotated = false;
    head.kind = 0;
    head.device = 0;
}
