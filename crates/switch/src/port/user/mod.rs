//! A network of the instance's own, joined to the host's by ordinary sockets: no root, no tap. See
//! [`sprat_usernet`].

#[cfg(test)]
mod tests;

use std::os::fd::BorrowedFd;

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_usernet::{Loss, OpenError, Options, Publish, UserNetwork};

use super::assembly::Assembly;
use super::{Arrival, Counters, DropCause, Port, PortError, wall_now};

/// The port.
pub struct User {
    network: UserNetwork,
    assembly: Assembly,
    counters: Counters,
}

impl User {
    /// Opens the port and the sockets of published ports.
    ///
    /// # Errors
    /// A port that cannot be published; what the system refuses.
    pub fn open(options: &Options) -> Result<Self, PortError> {
        let network = UserNetwork::open(options).map_err(|error| match error {
            OpenError::Wait(source) => PortError::Wait(source),
            OpenError::Publish {
                host,
                transport,
                source,
            } => PortError::Publish {
                host,
                transport,
                source,
            },
        })?;
        Ok(Self {
            network,
            assembly: Assembly::default(),
            counters: Counters::default(),
        })
    }

    /// What is published, with the host's ports as they are.
    #[must_use]
    pub fn publications(&self) -> &[Publish] {
        self.network.publications()
    }
}

impl From<Loss> for DropCause {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::OverLong => Self::OverLong,
            Loss::Malformed => Self::Malformed,
            Loss::Unsupported => Self::Unsupported,
            Loss::Forbidden => Self::Forbidden,
            Loss::NoWay => Self::NoWay,
            Loss::Unknown => Self::Unknown,
            Loss::TooMany => Self::TooMany,
        }
    }
}

impl Port for User {
    fn next_arrival(&mut self) -> Result<Arrival, PortError> {
        Ok(Arrival::Live)
    }

    fn receive(
        &mut self,
        limit: usize,
        _: i64,
        deliver: &mut dyn FnMut(&Frame<'_>) -> bool,
    ) -> Result<usize, PortError> {
        let head = FrameHead::at(wall_now());
        let Counters {
            received, dropped, ..
        } = &mut self.counters;
        self.network
            .receive(
                limit,
                &mut |frame| {
                    let taken = deliver(&Frame::new(frame, head));
                    if taken {
                        received.add(frame.len());
                    }
                    taken
                },
                &mut |loss| super::count_drops(dropped, loss.into(), 1),
            )
            .map_err(PortError::Wait)
    }

    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError> {
        let taken = self.assembly.add(part, |frame, _| {
            self.counters.sent.add(frame.len());
            self.network.send(frame).map_err(DropCause::from)
        });
        if let Some(Err(cause)) = taken {
            self.counters.drop_frame(cause);
        }
        Ok(())
    }

    fn frame_limit(&self) -> usize {
        self.network.frame_limit()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.network.descriptor())
    }

    fn deadline(&self) -> Option<u64> {
        self.network.deadline()
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}
