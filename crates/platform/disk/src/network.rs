//! Network cards: frames between the instance's rings and a device's queues, without a copy. The
//! buffers of the instance's pool are what the device reads and writes.

use sprat_abi::boot::{BootPage, NetworkDevice};
use sprat_abi::frame::{
    BUFFER_STRIDE, FrameHead, HEAD_SIZE, RECEIVE_OFFSET, SINGLE_FRAME_LIMIT, Slot,
};
use sprat_abi::pointer;
use sprat_abi::ring::{Consumer, Producer, ring_capacity};

use crate::queue::Queue;
use crate::virtio::{Bell, Device};
use crate::window::{OutOfMemory, Window};

/// The feature of a card that knows its own address.
const HAS_ADDRESS: u64 = 1 << 5;

/// Bytes that a card has before each frame: all zero in those sent, for nothing is asked of it.
const HEADER: usize = 12;
const HEADER_LENGTH: u32 = 12;

/// Bytes of a buffer that a card may fill: header and frame.
const RECEIVE_LENGTH: u32 = 1868;

const _: () = assert!(RECEIVE_LENGTH as usize == SINGLE_FRAME_LIMIT + HEADER);

/// Queues of a card.
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// A card, and the device of the instance that it is.
pub(crate) struct Card {
    device: Device,
    receive: Queue,
    transmit: Queue,
    receive_bell: Bell,
    transmit_bell: Bell,
    /// Its own Ethernet address, if it knows one.
    pub(crate) address: Option<[u8; 6]>,
    /// How many frames have come to it.
    pub(crate) arrived: u64,
    rings: Option<Rings>,
    /// Physical address of a header, for frames without room in front.
    header: u64,
}

struct Rings {
    receive: Producer<Slot>,
    transmit: Consumer<Slot>,
    bit: u64,
    /// Buffers that are with the card at a time.
    share: u16,
}

impl Card {
    /// Brings a card up. `None` if it will not come.
    pub(crate) fn start(
        device: Device,
        window: &mut Window<'_>,
    ) -> Result<Option<Self>, OutOfMemory> {
        let Some(features) = device.begin(HAS_ADDRESS) else {
            return Ok(None);
        };
        let mut card = Self {
            device,
            receive: Queue::EMPTY,
            transmit: Queue::EMPTY,
            receive_bell: Bell::NONE,
            transmit_bell: Bell::NONE,
            address: None,
            arrived: 0,
            rings: None,
            header: 0,
        };
        let receive = device.queue(RECEIVE, &mut card.receive, window)?;
        let transmit = device.queue(TRANSMIT, &mut card.transmit, window)?;
        let (Some(receive), Some(transmit)) = (receive, transmit) else {
            return Ok(None);
        };
        (card.receive_bell, card.transmit_bell) = (receive, transmit);
        card.header = window.memory(HEADER as u64)?.1;
        if features & HAS_ADDRESS != 0 {
            card.address = Some([0, 1, 2, 3, 4, 5].map(|at| device.configuration(at)));
        }
        device.finish();
        Ok(Some(card))
    }

    /// Joins it to a device of the instance; `cards` are joined in all.
    ///
    /// # Safety
    /// The device must be one of the boot page's, its rings mapped for ever, and joined to no other.
    pub(crate) unsafe fn join(&mut self, entry: &NetworkDevice, index: usize, share: u32) {
        let (Some(receive), Some(transmit)) = (
            ring_capacity::<Slot>(entry.receive.length),
            ring_capacity::<Slot>(entry.transmit.length),
        ) else {
            return;
        };
        // SAFETY: the caller's promise.
        let (receive, transmit) = unsafe {
            (
                Producer::attach(pointer(entry.receive.address), receive),
                Consumer::attach(pointer(entry.transmit.address), transmit),
            )
        };
        self.rings = Some(Rings {
            receive,
            transmit,
            bit: 1 << index,
            share: u16::try_from(share).unwrap_or(u16::MAX).max(1),
        });
    }

    /// Moves frames both ways; the bit of the device if there is something for the instance.
    pub(crate) fn serve(&mut self, buffers: &mut Buffers, wall: i64) -> u64 {
        let sent = self.send(buffers);
        self.deliver(buffers, wall);
        self.refill(buffers);
        let Some(rings) = &self.rings else {
            return 0;
        };
        let waiting = rings.receive.available().unwrap_or(0) < rings.receive.capacity();
        if sent || waiting { rings.bit } else { 0 }
    }

    /// Hands what the instance sends to the card; whether its ring has more room for it.
    fn send(&mut self, buffers: &mut Buffers) -> bool {
        while let Some((buffer, _)) = self.transmit.take() {
            buffers.put(buffer);
        }
        let Some(rings) = &mut self.rings else {
            return false;
        };
        let filled = rings.transmit.available().unwrap_or(0);
        let mut done = 0;
        // A frame takes two descriptors at most.
        while done < filled && self.transmit.room() >= 2 {
            let slot = rings.transmit.read(done);
            let place = done;
            done += 1;
            if slot.check(buffers.count).is_err() {
                continue;
            }
            buffers.held += 1;
            let data = HEAD_SIZE + usize::from(slot.offset);
            let physical = buffers.physical(slot.buffer) + data as u64;
            let length = u32::from(slot.length);
            // Frames that take several buffers are longer than any card's, and the instance's side
            // drops those; what comes here all the same is dropped part by part.
            let added = if slot.is_chained() {
                false
            } else if usize::from(slot.offset) >= HEADER {
                buffers.clear(slot.buffer, data - HEADER, HEADER);
                let whole = (physical - HEADER as u64, length + HEADER_LENGTH);
                self.transmit.add(&[whole], &[], slot.buffer)
            } else {
                let header = (self.header, HEADER_LENGTH);
                self.transmit
                    .add(&[header, (physical, length)], &[], slot.buffer)
            };
            if !added {
                buffers.put(slot.buffer);
            }
            if let Some(spare) = buffers.surplus(slot.flags & Slot::OWN != 0) {
                let returned = Slot {
                    buffer: spare,
                    flags: Slot::RETURNED,
                    ..Slot::default()
                };
                rings.transmit.leave(place, returned);
            }
        }
        if done > 0 {
            rings.transmit.release(done);
        }
        if self.transmit.publish() {
            self.transmit_bell.ring();
        }
        done > 0
    }

    /// Puts what the card received into the instance's ring.
    fn deliver(&mut self, buffers: &mut Buffers, wall: i64) {
        let Some(rings) = &mut self.rings else {
            return;
        };
        let room = rings.receive.available().unwrap_or(0);
        let mut count = 0;
        while count < room {
            let Some((buffer, written)) = self.receive.take() else {
                break;
            };
            self.arrived += 1;
            let length = (written as usize).saturating_sub(HEADER);
            if length == 0 || length > SINGLE_FRAME_LIMIT {
                buffers.put(buffer);
                continue;
            }
            buffers.write_head(buffer, FrameHead::at(wall));
            let slot = Slot {
                buffer,
                offset: RECEIVE_OFFSET,
                length: u16::try_from(length).unwrap_or(0),
                ..Slot::default()
            };
            rings.receive.write(count, slot);
            count += 1;
        }
        if count > 0 {
            rings.receive.publish(count);
            buffers.held -= count;
        }
    }

    /// Gives the card buffers to fill.
    fn refill(&mut self, buffers: &mut Buffers) {
        let Some(rings) = &self.rings else {
            return;
        };
        let share = rings.share.min(self.receive.size());
        while self.receive.under_way() < share {
            let Some(buffer) = buffers.take() else {
                break;
            };
            let start = HEAD_SIZE + usize::from(RECEIVE_OFFSET) - HEADER;
            let physical = buffers.physical(buffer) + start as u64;
            if !self.receive.add(&[], &[(physical, RECEIVE_LENGTH)], buffer) {
                buffers.put(buffer);
                break;
            }
        }
        if self.receive.publish() {
            self.receive_bell.ring();
        }
    }

    /// Has the card interrupt when there is something to do; whether there is already.
    pub(crate) fn watch(&mut self, on: bool) -> bool {
        let blocked = self
            .rings
            .as_ref()
            .is_some_and(|rings| rings.transmit.available().unwrap_or(0) > 0);
        self.receive.set_interrupts(on);
        self.transmit.set_interrupts(on && blocked);
        self.device.acknowledge();
        self.rings.is_some() && (self.receive.has_used() || blocked && self.transmit.has_used())
    }

    /// Whether the card interrupts at all.
    pub(crate) fn interrupts(&self) -> bool {
        self.device.interrupts
    }

    /// Whether frames are still with the card to be sent.
    pub(crate) fn is_sending(&mut self) -> bool {
        while self.transmit.take().is_some() {}
        self.transmit.under_way() > 0
    }
}

/// The instance's pool of buffers, and those of them that are this side's.
pub(crate) struct Buffers {
    base: u64,
    physical: u64,
    count: u32,
    /// Buffers that are this side's and free: the first `free_count` of a list with as many places as
    /// there are buffers.
    free: u64,
    free_count: u32,
    /// Buffers that are this side's, wherever they are.
    held: u32,
    /// How many those should be.
    share: u32,
    supply: Option<Consumer<u32>>,
}

impl Buffers {
    /// The pool of a boot page, which lies at `physical`.
    ///
    /// # Safety
    /// The pool and the supply ring must be mapped for ever where the boot page says, once the
    /// instance's tables are in use, and this be the only one who has the host's side.
    pub(crate) unsafe fn new(
        boot: &BootPage,
        physical: u64,
        window: &mut Window<'_>,
    ) -> Result<Self, OutOfMemory> {
        let (free, _) = window.memory(u64::from(boot.buffer_count) * 4)?;
        let mut buffers = Self {
            base: boot.pool.address,
            physical,
            count: boot.buffer_count,
            free,
            free_count: 0,
            held: boot.first_own_buffer,
            share: boot.first_own_buffer,
            // SAFETY: the caller's promise.
            supply: ring_capacity::<u32>(boot.supply.length).map(|capacity| unsafe {
                Consumer::attach(pointer(boot.supply.address), capacity)
            }),
        };
        for buffer in (0..boot.first_own_buffer.min(boot.buffer_count)).rev() {
            buffers.put(buffer);
        }
        Ok(buffers)
    }

    /// How many buffers this side should have.
    pub(crate) fn share(&self) -> u32 {
        self.share
    }

    /// Takes back the buffers of frames that the instance dropped.
    pub(crate) fn reclaim(&mut self) {
        let mut indexes = [0; 64];
        while let Some(supply) = &mut self.supply {
            let count = supply.pop(&mut indexes).unwrap_or(0);
            if count == 0 {
                return;
            }
            for index in &indexes[..count] {
                if *index < self.count {
                    self.held += 1;
                    self.put(*index);
                }
            }
        }
    }

    fn physical(&self, buffer: u32) -> u64 {
        self.physical + u64::from(buffer) * BUFFER_STRIDE as u64
    }

    fn at(&self, buffer: u32, offset: usize) -> *mut u8 {
        pointer(self.base + u64::from(buffer) * BUFFER_STRIDE as u64).wrapping_add(offset)
    }

    fn clear(&mut self, buffer: u32, offset: usize, length: usize) {
        debug_assert!(buffer < self.count && offset + length <= BUFFER_STRIDE);
        // SAFETY: the buffer is this side's, which its caller has checked to be one of the pool, and
        // the stretch lies inside it.
        unsafe { self.at(buffer, offset).write_bytes(0, length) };
    }

    fn write_head(&mut self, buffer: u32, head: FrameHead) {
        debug_assert!(buffer < self.count);
        // SAFETY: the buffer came back from a queue that holds none but this side's; a head begins it.
        unsafe { self.at(buffer, 0).cast::<FrameHead>().write(head) };
    }

    fn put(&mut self, buffer: u32) {
        if self.free_count < self.count {
            // SAFETY: the list has as many places as there are buffers.
            unsafe {
                pointer(self.free + 4 * u64::from(self.free_count))
                    .cast::<u32>()
                    .write(buffer);
            }
            self.free_count += 1;
        }
    }

    fn take(&mut self) -> Option<u32> {
        self.free_count = self.free_count.checked_sub(1)?;
        // SAFETY: below the number of places, and written by `put`.
        Some(unsafe {
            pointer(self.free + 4 * u64::from(self.free_count))
                .cast::<u32>()
                .read()
        })
    }

    /// A buffer to be given back to the instance, if this side has more than its share, or the instance
    /// needs it.
    fn surplus(&mut self, needed: bool) -> Option<u32> {
        if !needed && self.held <= self.share {
            return None;
        }
        let buffer = self.take()?;
        self.held -= 1;
        Some(buffer)
    }
}
