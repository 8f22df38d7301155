//! The device that smoltcp sees: one frame to receive, and a batch that frames are added to.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use sprat_packet::{Batch, Pool};

pub(crate) struct Frames<'a> {
    /// The frame to receive, until it was.
    pub(crate) received: Option<&'a [u8]>,
    pub(crate) sent: &'a mut Batch,
    /// How many frames `sent` may hold. Answers go beyond it, by one a frame received.
    pub(crate) limit: usize,
    pub(crate) pool: &'a Pool,
    pub(crate) frame_limit: usize,
}

impl Device for Frames<'_> {
    type RxToken<'t>
        = Received<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Sent<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sent<'_>)> {
        let frame = self.received.take()?;
        let sent = Sent {
            batch: self.sent,
            pool: self.pool,
        };
        Some((Received(frame), sent))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        (self.sent.len() < self.limit).then_some(Sent {
            batch: self.sent,
            pool: self.pool,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.frame_limit;
        capabilities
    }
}

pub(crate) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

pub(crate) struct Sent<'a> {
    batch: &'a mut Batch,
    pool: &'a Pool,
}

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = self.pool.packet_uninitialised(0, length);
        let result = write(packet.data_mut());
        self.batch.push(packet);
        result
    }
}
