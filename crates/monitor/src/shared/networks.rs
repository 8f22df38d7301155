//! Frames to and from an instance's network devices.

use sprat_abi::host::{BufferPool, Delivery, Filler, Frame, Lie, NetworkPort};

use super::Shared;

#[derive(Debug)]
pub(super) struct Network {
    pub(super) name: String,
    pub(super) bit: u64,
    pub(super) port: NetworkPort,
}

impl Shared {
    /// Names of the network devices. The methods below take their places in this order.
    pub fn networks(&self) -> impl ExactSizeIterator<Item = &str> {
        self.networks.iter().map(|network| network.name.as_str())
    }

    /// How many frames of one buffer could be delivered to a network device now.
    ///
    /// # Errors
    /// If the instance broke a ring.
    ///
    /// # Panics
    /// If there is no such device.
    pub fn room(&self, network: usize) -> Result<u32, Lie> {
        match &self.pool {
            Some(pool) => self.networks[network].port.room(pool),
            None => Ok(0),
        }
    }

    /// Delivered slots that the instance has not taken yet.
    ///
    /// # Errors
    /// If the instance broke a ring.
    ///
    /// # Panics
    /// If there is no such device.
    pub fn waiting(&self, network: usize) -> Result<u32, Lie> {
        self.networks[network].port.waiting()
    }

    /// Delivered frames that the instance has not taken yet; of one that is half taken, the rest.
    ///
    /// # Errors
    /// If the instance broke a ring.
    ///
    /// # Panics
    /// If there is no such device.
    pub fn waiting_frames(&self, network: usize) -> Result<u32, Lie> {
        self.networks[network].port.waiting_frames()
    }

    /// Whether a network device has sent something that was not drained yet.
    ///
    /// # Errors
    /// If the instance broke a ring.
    ///
    /// # Panics
    /// If there is no such device.
    pub fn has_sent(&self, network: usize) -> Result<bool, Lie> {
        self.networks[network].port.has_sent()
    }

    /// Whether the instance has filled the ring that a network device sends by, so that it may wait
    /// for room.
    ///
    /// # Errors
    /// If the instance broke a ring.
    ///
    /// # Panics
    /// If there is no such device.
    pub fn is_full(&self, network: usize) -> Result<bool, Lie> {
        self.networks[network].port.is_full()
    }

    /// Begins a delivery to a network device; `None` never happens for one that
    /// [`networks`](Self::networks) lists.
    ///
    /// # Errors
    /// If the instance broke a ring.
    #[inline]
    pub fn fill(&mut self, network: usize) -> Result<Option<Filler<'_>>, Lie> {
        match (&mut self.pool, self.networks.get_mut(network)) {
            (Some(pool), Some(network)) => network.port.fill(pool).map(Some),
            _ => Ok(None),
        }
    }

    /// Copies frames to a network device; see [`NetworkPort::deliver`].
    ///
    /// # Errors
    /// If the instance broke a ring.
    #[inline]
    pub fn deliver<'f>(
        &mut self,
        network: usize,
        frames: impl IntoIterator<Item = Frame<'f>>,
    ) -> Result<Delivery<'f>, Lie> {
        match (&mut self.pool, self.networks.get_mut(network)) {
            (Some(pool), Some(network)) => network.port.deliver(pool, frames),
            _ => Ok(Delivery {
                delivered: 0,
                refused: None,
            }),
        }
    }

    /// Hands every frame a network device sent to `sink`, part by part; see [`NetworkPort::drain`].
    /// Says how many slots that were.
    ///
    /// # Errors
    /// If the instance broke a ring.
    #[inline]
    pub fn drain(
        &mut self,
        network: usize,
        limit: u32,
        sink: impl FnMut(Frame<'_>),
    ) -> Result<u32, Lie> {
        let (Some(pool), Some(network)) = (&mut self.pool, self.networks.get_mut(network)) else {
            return Ok(0);
        };
        let drained = network.port.drain(pool, limit, sink)?;
        if drained > 0 {
            self.drained |= network.bit;
        }
        Ok(drained)
    }

    /// Takes back the buffers of frames that the instance dropped. Do it after each entry.
    ///
    /// # Errors
    /// If the instance broke a ring.
    #[inline]
    pub fn reclaim(&mut self) -> Result<u32, Lie> {
        self.pool.as_mut().map_or(Ok(0), BufferPool::reclaim)
    }

    /// Buffers that are the host's to fill now.
    #[must_use]
    pub fn free_buffers(&self) -> u32 {
        self.pool.as_ref().map_or(0, BufferPool::free)
    }
}
