//! A tap interface: the host's kernel is at the other end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use super::assembly::Assembly;
use super::interface::{Interface, Request};
use super::{Arrival, Claim, Claimed, Counters, DropCause, FRAME_LIMIT, Port, PortError, wall_now};

/// What goes through an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// Ethernet frames: a tap interface.
    Frames,
    /// IP packets: a tun interface.
    Packets,
}

/// A tap interface.
pub struct Tap {
    name: String,
    device: OwnedFd,
    frame_limit: usize,
    assembly: Assembly,
    /// The frame read last, and its length where it is still to be delivered.
    buffer: Vec<u8>,
    held: Option<usize>,
    counters: Counters,
}

impl Tap {
    /// Opens the interface of this name; creates it where there is none, which takes
    /// `CAP_NET_ADMIN`. One that is created goes with the port.
    ///
    /// # Errors
    /// The system refuses.
    pub fn open(name: &str) -> Result<Self, PortError> {
        Self::open_as(name, Carries::Frames)
    }

    /// Opens an interface of this name that carries `what`, as [`open`](Self::open) does. Without a
    /// name the kernel chooses one.
    ///
    /// # Errors
    /// The system refuses.
    pub fn open_as(name: &str, what: Carries) -> Result<Self, PortError> {
        Self::attach(name, what).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => PortError::NoTap { name: name.into() },
            _ => PortError::Interface {
                kind: "tap",
                name: name.into(),
                source,
            },
        })
    }

    /// What the interface is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn attach(name: &str, what: Carries) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = rustix::fs::open("/dev/net/tun", flags, Mode::empty())?;
        // The flags are the low half of the value. Without an offload header the kernel hands over
        // frames that are complete.
        let (kind, pattern) = match what {
            Carries::Frames => (libc::IFF_TAP, "tap%d"),
            Carries::Packets => (libc::IFF_TUN, "tun%d"),
        };
        let name = if name.is_empty() { pattern } else { name };
        let mut request = Request::new(name, kind | libc::IFF_NO_PI)?;
        request.ask(&device, libc::TUNSETIFF)?;
        let interface = Interface::new(&request.name())?;
        interface.bring_up()?;
        Ok(Self::over(request.name(), device, interface.frame_limit()?))
    }

    fn over(name: String, device: OwnedFd, frame_limit: usize) -> Self {
        Self {
            name,
            device,
            frame_limit,
            assembly: Assembly::default(),
            buffer: vec![0; FRAME_LIMIT],
            held: None,
            counters: Counters::default(),
        }
    }

    /// What another process needs to use it.
    pub(super) fn into_claim(self) -> Claim {
        Claim {
            what: Claimed::Tap,
            name: self.name,
            frame_limit: self.frame_limit,
            descriptors: vec![self.device],
        }
    }

    /// One that was opened elsewhere.
    pub(super) fn of_claim(mut claim: Claim) -> Result<Self, PortError> {
        let device = claim.descriptor("tap")?;
        Ok(Self::over(claim.name, device, claim.frame_limit))
    }

    /// Hands over up to `limit` frames that have arrived; one that `deliver` does not take is kept.
    /// Returns how many were taken.
    ///
    /// # Errors
    /// The interface gives no more.
    pub fn receive_bytes(
        &mut self,
        limit: usize,
        deliver: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<usize, PortError> {
        let mut taken = 0;
        while taken < limit {
            let length = match self.held.take() {
                Some(length) => length,
                None => match rustix::io::read(&self.device, &mut self.buffer[..]) {
                    Ok(length) => length,
                    // Nothing more, or the interface is down, which may change.
                    Err(Errno::AGAIN | Errno::IO) => break,
                    Err(Errno::INTR) => continue,
                    Err(error) => return Err(self.failed(error)),
                },
            };
            if !deliver(&self.buffer[..length]) {
                self.held = Some(length);
                break;
            }
            self.counters.received.add(length);
            taken += 1;
        }
        Ok(taken)
    }

    fn failed(&self, error: Errno) -> PortError {
        PortError::Interface {
            kind: "tap",
            name: self.name.clone(),
            source: error.into(),
        }
    }
}

/// It can be read when frames have arrived.
impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl Port for Tap {
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
        self.receive_bytes(limit, &mut |bytes| deliver(&Frame::new(bytes, head)))
    }

    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError> {
        let device = &self.device;
        let mut failed = None;
        let sent = self
            .assembly
            .add(part, |frame, _| match rustix::io::write(device, frame) {
                Ok(_) => Ok(frame.len()),
                Err(Errno::AGAIN | Errno::NOBUFS) => Err(DropCause::NoRoom),
                Err(Errno::IO) => Err(DropCause::NoWay),
                Err(Errno::INVAL) => Err(DropCause::Malformed),
                Err(error) => {
                    failed = Some(error);
                    Err(DropCause::NoWay)
                }
            });
        match sent {
            Some(Ok(length)) => self.counters.sent.add(length),
            Some(Err(cause)) => self.counters.drop_frame(cause),
            None => {}
        }
        failed.map_or(Ok(()), |error| Err(self.failed(error)))
    }

    fn frame_limit(&self) -> usize {
        self.frame_limit
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.device.as_fd())
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::testing::{in_namespace, ip, kernel};

    fn with_tap(test: impl FnOnce(Tap) + Send + 'static) {
        in_namespace(|| {
            let tap = Tap::open("tap0").expect("a tap");
            ip("address add 192.0.2.1/24 dev tap0");
            test(tap);
        });
    }

    #[test]
    fn datagrams_go_both_ways_with_right_checksums() {
        with_tap(kernel::exchange_datagrams);
    }

    #[test]
    fn a_connection_carries_much_both_ways() {
        with_tap(kernel::echo_over_a_connection);
    }

    #[test]
    fn a_checksum_that_is_wrong_is_left_as_it_is() {
        with_tap(kernel::send_a_wrong_checksum);
    }

    #[test]
    fn frames_for_a_tap_that_is_down_are_dropped_and_counted() {
        with_tap(|mut tap| {
            ip("link set tap0 down");
            let frame = Frame::new(&[0; 60], FrameHead::default());
            tap.send(&frame).expect("a port that goes on");
            assert_eq!(tap.counters().dropped, [(DropCause::NoWay, 1)]);
            assert_eq!(tap.counters().sent.frames, 0);
        });
    }

    #[test]
    fn two_ports_cannot_have_one_tap() {
        with_tap(|_tap| {
            let error = Tap::open("tap0").err().expect("a refusal").to_string();
            assert!(error.starts_with("tap:tap0: "), "{error}");
        });
    }
}
