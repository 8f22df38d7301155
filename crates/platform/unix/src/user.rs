//! A device in a network in user mode: sockets of this program at its other end.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sprat_packet::{Batch, Packet, Pool};
use sprat_usernet::{OpenError, Options, UserNetwork, monotonic_now};

use crate::Wire;

/// The other end of a device.
pub(crate) struct User {
    network: UserNetwork,
}

impl User {
    /// Opens the network, and says where its published ports are.
    pub(crate) fn open(device: &str, options: &Options) -> Result<Self, OpenError> {
        let network = UserNetwork::open(options)?;
        for publication in network.publications() {
            crate::complain(format_args!("{device}: {publication}"));
        }
        Ok(Self { network })
    }
}

impl Wire for User {
    fn receive(&mut self, pool: &Pool, frames: &mut Batch, limit: usize) -> usize {
        let received = self.network.receive(
            limit,
            &mut |frame| {
                frames.push(pool.packet(frame));
                true
            },
            // Who lost it sends it again, or finds out that nobody answers.
            &mut |_| {},
        );
        received.unwrap_or_else(|error| {
            crate::complain(format_args!("the network in user mode: {error}"));
            0
        })
    }

    fn send(&mut self, packet: &Packet) {
        // What leads nowhere is lost, as in any network.
        let _ = self.network.send(packet.data());
    }

    fn has_frames(&self) -> bool {
        // What its sockets have becomes frames when they are asked for.
        let mut sockets = [PollFd::from_borrowed_fd(
            self.network.descriptor(),
            PollFlags::IN,
        )];
        self.patience() == Some(Duration::ZERO)
            || poll(&mut sockets, Some(&Timespec::default())).is_ok_and(|count| count > 0)
    }

    fn is_open(&self) -> bool {
        true
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.network.descriptor())
    }

    fn patience(&self) -> Option<Duration> {
        let deadline = self.network.deadline()?;
        Some(Duration::from_nanos(
            deadline.saturating_sub(monotonic_now()),
        ))
    }
}
