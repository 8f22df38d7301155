//! The instance's side: attaching to the contract, and the two calls.
//!
//! The instance trusts its monitor, which built its address space; it checks only that both speak the
//! same version.

use crate::ABI_VERSION;
use crate::block::{Answer, BlockDevice, Request};
use crate::boot::{Area, BOOT_MAGIC, BootPage, Device, DeviceEntry, NetworkDevice, OutputFile};
use crate::bytes::{ByteConsumer, ByteProducer, byte_ring_capacity};
use crate::call::{CallBlock, ExitCall, Wake, YieldCall};
use crate::clock::ClockPage;
use crate::frame::{BUFFER_STRIDE, FrameHead, HEAD_SIZE, Slot};
use crate::pointer;
use crate::ring::{Consumer, Producer, ring_capacity};
use crate::statistics::Region;
use core::fmt;

/// Why a boot page cannot be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// It does not begin with [`BOOT_MAGIC`].
    Magic,
    /// The monitor speaks another version of the contract.
    Version(u32),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => write!(f, "there is no boot page where one was promised"),
            Self::Version(found) => {
                write!(
                    f,
                    "the monitor speaks version {found} of the contract, this image {ABI_VERSION}"
                )
            }
        }
    }
}

impl core::error::Error for AttachError {}

/// The contract of this instance: everything its monitor gave it.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    page: &'static BootPage,
}

impl Contract {
    /// Attaches to the boot page whose address came in RDI.
    ///
    /// # Errors
    /// If there is none, or one of another version.
    ///
    /// # Safety
    /// `page` must be the address the monitor entered the image with, or a page made like one: all its
    /// addresses valid for ever, its memory as the documentation of [`BootPage`] says.
    pub unsafe fn attach(page: *const BootPage) -> Result<Self, AttachError> {
        // SAFETY: by the caller's promise the page is valid for ever, and nobody writes it.
        let page = unsafe { &*page };
        if page.magic != BOOT_MAGIC {
            return Err(AttachError::Magic);
        }
        if page.version != ABI_VERSION {
            return Err(AttachError::Version(page.version));
        }
        Ok(Self { page })
    }

    /// The page itself.
    #[must_use]
    pub fn page(&self) -> &'static BootPage {
        self.page
    }

    /// Gives the processor back until something happened or `deadline` (monotonic nanoseconds) passed.
    pub fn yield_until(&self, deadline: u64) -> Wake {
        self.call_block().set_deadline(deadline);
        // SAFETY: the address comes from this instance's boot page and is of such a function.
        unsafe {
            let call: YieldCall = core::mem::transmute(pointer(self.page.yield_call));
            call()
        }
    }

    /// Ends the instance.
    pub fn exit(&self, status: i32) -> ! {
        // SAFETY: the address comes from this instance's boot page and is of such a function.
        unsafe {
            let call: ExitCall = core::mem::transmute(pointer(self.page.exit_call));
            call(status)
        }
    }

    fn call_block(&self) -> &'static CallBlock {
        // SAFETY: valid for ever by the promise made to `attach`, and made of atomics.
        unsafe { &*pointer(self.page.call_block).cast::<CallBlock>() }
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &'static ClockPage {
        // SAFETY: valid for ever by the promise made to `attach`, and made of atomics.
        unsafe { &*pointer(self.page.clock).cast::<ClockPage>() }
    }

    /// The configuration text; empty if there is none.
    #[must_use]
    pub fn configuration(&self) -> &'static [u8] {
        Self::text(self.page.configuration)
    }

    /// The boot parameters as `KEY=VALUE` texts.
    pub fn parameters(&self) -> impl Iterator<Item = &'static [u8]> {
        Self::text(self.page.parameters)
            .split(|&byte| byte == 0)
            .filter(|text| !text.is_empty())
    }

    /// The contents of read-only memory that never changes.
    fn text(area: Area) -> &'static [u8] {
        if area.is_empty() {
            return &[];
        }
        // SAFETY: valid for ever and never written, by the promise made to `attach`.
        unsafe { core::slice::from_raw_parts(pointer(area.address), crate::length(area.length)) }
    }

    /// The devices: the bit each has in [`Wake::ready`], its name, and what it is.
    pub fn devices(&self) -> impl Iterator<Item = (u32, &'static [u8], Device)> + use<> {
        let (table, size) = (
            self.page.device_table,
            u64::from(self.page.device_entry_size),
        );
        (0..self.page.device_count).map(move |index| {
            let entry = pointer(table + u64::from(index) * size).cast::<DeviceEntry>();
            // SAFETY: the table lies in read-only memory of the contract, and its entries are at least
            // as long as this version's.
            let entry = unsafe { &*entry };
            (index, Self::text(entry.name), entry.device())
        })
    }

    /// The contents of a file that was granted to be read.
    #[must_use]
    pub fn file_contents(&self, file: crate::boot::InputFile) -> &'static [u8] {
        Self::text(file.contents)
    }

    /// The statistics region, if there is one.
    #[must_use]
    pub fn statistics(&self) -> Option<Region> {
        let area = self.page.statistics;
        // SAFETY: valid for ever by the promise made to `attach`.
        unsafe { Region::attach(pointer(area.address), area.length) }
    }

    /// The console to write to. Take it once.
    ///
    /// # Safety
    /// Only one producer of a ring may be in use at a time.
    #[must_use]
    pub unsafe fn console(&self) -> Option<ByteProducer> {
        // SAFETY: the promises made to `attach` and by the caller.
        unsafe { Self::byte_producer(self.page.console) }
    }

    /// The control rings: requests in, answers out. Take them once.
    ///
    /// # Safety
    /// Only one side of a ring may be in use at a time.
    #[must_use]
    pub unsafe fn control(&self) -> Option<(ByteConsumer, ByteProducer)> {
        let requests = self.page.control_requests;
        let capacity = byte_ring_capacity(requests.length)?;
        // SAFETY: the promises made to `attach` and by the caller.
        unsafe {
            let answers = Self::byte_producer(self.page.control_responses)?;
            Some((
                ByteConsumer::attach(pointer(requests.address), capacity),
                answers,
            ))
        }
    }

    /// The ring of a file that was granted to be written. Take it once.
    ///
    /// # Safety
    /// Only one producer of a ring may be in use at a time.
    #[must_use]
    pub unsafe fn output_file(&self, file: OutputFile) -> Option<ByteProducer> {
        // SAFETY: the promises made to `attach` and by the caller.
        unsafe { Self::byte_producer(file.ring) }
    }

    /// # Safety
    /// As for [`ByteProducer::attach`].
    unsafe fn byte_producer(area: Area) -> Option<ByteProducer> {
        let capacity = byte_ring_capacity(area.length)?;
        // SAFETY: the caller's promise.
        Some(unsafe { ByteProducer::attach(pointer(area.address), capacity) })
    }

    /// The rings of a network device: receive and transmit. Take them once.
    ///
    /// # Safety
    /// Only one side of a ring may be in use at a time.
    #[must_use]
    pub unsafe fn network(
        &self,
        device: &NetworkDevice,
    ) -> Option<(Consumer<Slot>, Producer<Slot>)> {
        let receive = ring_capacity::<Slot>(device.receive.length)?;
        let transmit = ring_capacity::<Slot>(device.transmit.length)?;
        // SAFETY: the promises made to `attach` and by the caller.
        unsafe {
            Some((
                Consumer::attach(pointer(device.receive.address), receive),
                Producer::attach(pointer(device.transmit.address), transmit),
            ))
        }
    }

    /// The rings of a block device, requests and answers, and its data area. Take them once.
    ///
    /// # Safety
    /// Only one side of a ring may be in use at a time, and one user of a data area.
    #[must_use]
    pub unsafe fn block(
        &self,
        device: &BlockDevice,
    ) -> Option<(Producer<Request>, Consumer<Answer>, *mut u8)> {
        let requests = ring_capacity::<Request>(device.requests.length)?;
        let answers = ring_capacity::<Answer>(device.answers.length)?;
        // SAFETY: the promises made to `attach` and by the caller.
        unsafe {
            Some((
                Producer::attach(pointer(device.requests.address), requests),
                Consumer::attach(pointer(device.answers.address), answers),
                pointer(device.data.address),
            ))
        }
    }

    /// The ring that takes back the buffers of dropped frames. Take it once.
    ///
    /// # Safety
    /// Only one side of a ring may be in use at a time.
    #[must_use]
    pub unsafe fn supply(&self) -> Option<Producer<u32>> {
        let capacity = ring_capacity::<u32>(self.page.supply.length)?;
        // SAFETY: the promises made to `attach` and by the caller.
        Some(unsafe { Producer::attach(pointer(self.page.supply.address), capacity) })
    }

    /// The buffer pool.
    #[must_use]
    pub fn pool(&self) -> Pool {
        Pool {
            base: pointer(self.page.pool.address),
            count: self.page.buffer_count,
            first_own: self.page.first_own_buffer,
        }
    }
}

/// The buffer pool, as addresses. Who may use which buffer is for its user to keep track of.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    base: *mut u8,
    count: u32,
    first_own: u32,
}

impl Pool {
    /// A pool of `count` buffers from `base`; those from `first_own` on are the instance's.
    #[must_use]
    pub const fn new(base: *mut u8, count: u32, first_own: u32) -> Self {
        Self {
            base,
            count,
            first_own,
        }
    }

    /// How many buffers it has.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The buffers that are the instance's from the start.
    #[must_use]
    pub const fn own(&self) -> core::ops::Range<u32> {
        self.first_own..self.count
    }

    /// Address of the first buffer.
    #[must_use]
    pub const fn base(&self) -> *mut u8 {
        self.base
    }

    /// Where a buffer begins: its [`FrameHead`].
    #[must_use]
    #[inline]
    pub const fn head(&self, buffer: u32) -> *mut FrameHead {
        self.base
            .wrapping_add(buffer as usize * BUFFER_STRIDE)
            .cast()
    }

    /// Where a buffer's data area begins.
    #[must_use]
    #[inline]
    pub const fn data(&self, buffer: u32) -> *mut u8 {
        self.base
            .wrapping_add(buffer as usize * BUFFER_STRIDE + HEAD_SIZE)
    }
}
