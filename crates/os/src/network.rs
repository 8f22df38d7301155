//! Network devices.

use alloc::vec::Vec;
use core::future::poll_fn;
#[cfg(feature = "net")]
use core::task::Context;
use core::task::Poll;

use sprat_packet::{Batch, Pool};
use sprat_platform::{Network as _, Platform as _};

use crate::ready::wait;
use crate::target::{NetworkDevice, platform};

/// What a task waits for here.
const WHAT: &str = "a network device";

/// The network devices of this instance, in the order of its manifest. The first call takes them.
#[must_use]
pub fn take_all() -> Vec<Device> {
    platform()
        .take_networks()
        .into_iter()
        .map(|device| Device { device })
        .collect()
}

/// The pool that the devices send from: a packet of any other is copied once more.
#[must_use]
pub fn pool() -> Pool {
    platform().pool()
}

/// A network device: frames in, frames out, by the batch.
pub struct Device {
    device: NetworkDevice,
}

impl Device {
    /// Its name: `eth0`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.device.name()
    }

    /// Its own Ethernet address.
    #[must_use]
    pub fn address(&self) -> [u8; 6] {
        self.device.address()
    }

    /// Longest frame in bytes, Ethernet header included, frame check sequence not.
    #[must_use]
    pub fn frame_limit(&self) -> usize {
        self.device.frame_limit()
    }

    /// Adds at most `limit` frames that have arrived to the end of `frames`; returns how many.
    pub fn try_receive(&mut self, frames: &mut Batch, limit: usize) -> usize {
        self.device.receive(frames, limit)
    }

    /// Sends from the front of `frames` what there is room for; returns how many it took.
    pub fn try_send(&mut self, frames: &mut Batch) -> usize {
        self.device.transmit(frames)
    }

    /// Whether frames wait.
    #[must_use]
    pub fn has_frames(&self) -> bool {
        self.device.has_frames()
    }

    /// Wakes the caller once when frames come, or there is room again.
    #[cfg(feature = "net")]
    pub(crate) fn wake_when_ready(&self, context: &Context<'_>) {
        wait(self.device.index(), WHAT, context);
    }

    /// Waits for frames and adds at most `limit` of them to the end of `frames`; returns how many.
    pub async fn receive(&mut self, frames: &mut Batch, limit: usize) -> usize {
        poll_fn(|context| match self.device.receive(frames, limit) {
            0 => {
                wait(self.device.index(), WHAT, context);
                Poll::Pending
            }
            count => Poll::Ready(count),
        })
        .await
    }

    /// Sends all of `frames`, waiting for room as often as needed.
    pub async fn send(&mut self, frames: &mut Batch) {
        poll_fn(|context| {
            self.device.transmit(frames);
            if frames.is_empty() {
                return Poll::Ready(());
            }
            wait(self.device.index(), WHAT, context);
            Poll::Pending
        })
        .await;
    }
}
