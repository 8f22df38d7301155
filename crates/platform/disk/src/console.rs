//! The virtio console: on a machine that has one, what the instance says goes there.

use sprat_abi::pointer;

use crate::clock;
use crate::queue::Queue;
use crate::virtio::{Bell, Device};
use crate::window::{OutOfMemory, Window};

/// The queue of what is said, of a device that has one console alone.
const TRANSMIT: u16 = 1;

/// Bytes that are handed over at a time: a page.
const PART: usize = 4096;

/// Longest that the device may take to take them.
const PATIENCE: u64 = 1_000_000_000;

/// The console.
pub(crate) struct Console {
    transmit: Queue,
    bell: Bell,
    /// A page of memory: where it is mapped, and where it lies.
    page: (u64, u64),
}

impl Console {
    /// Brings a console up. `None` if it will not come.
    pub(crate) fn start(
        device: Device,
        window: &mut Window<'_>,
    ) -> Result<Option<Self>, OutOfMemory> {
        if device.begin(0).is_none() {
            return Ok(None);
        }
        let mut transmit = Queue::EMPTY;
        let Some(bell) = device.queue(TRANSMIT, &mut transmit, window)? else {
            return Ok(None);
        };
        let page = window.memory(PART as u64)?;
        device.finish();
        Ok(Some(Self {
            transmit,
            bell,
            page,
        }))
    }

    /// Writes bytes as they are; whether the device took them.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        bytes.chunks(PART).all(|part| self.write_part(part))
    }

    fn write_part(&mut self, part: &[u8]) -> bool {
        let (mapped, physical) = self.page;
        // SAFETY: a page of this value's, mapped for ever, which the device is done with: each part is
        // waited for, and after one that never was taken there is no further one.
        unsafe { pointer(mapped).copy_from_nonoverlapping(part.as_ptr(), part.len()) };
        let length = u32::try_from(part.len()).unwrap_or(0);
        self.transmit.add(&[(physical, length)], &[], 0);
        if self.transmit.publish() {
            self.bell.ring();
        }
        let begin = clock::counter();
        while self.transmit.take().is_none() {
            if clock::counter() - begin > clock::ticks(PATIENCE) {
                return false;
            }
            core::hint::spin_loop();
        }
        true
    }
}
