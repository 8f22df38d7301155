//! What a waiting place is woken with: by other threads, and by sockets.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Remembers one ring until it is waited for.
#[derive(Debug)]
pub(crate) struct Alarm {
    bell: OwnedFd,
}

impl Alarm {
    /// # Errors
    /// The system has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { bell })
    }

    /// Wakes whoever waits, or whoever waits next.
    pub(crate) fn ring(&self) {
        // Refused only while it rings already, and then it does.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Waits until rung or one of the descriptors can be read, at most for `limit` where there is one.
    /// May return sooner.
    pub(crate) fn wait(&self, descriptors: &[BorrowedFd<'_>], limit: Option<Duration>) {
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let bell = self.bell.as_fd();
        let mut waited: Vec<_> = descriptors
            .iter()
            .chain([&bell])
            .map(|descriptor| PollFd::from_borrowed_fd(*descriptor, PollFlags::IN))
            .collect();
        // A signal ends the wait, and whatever else would is there the next time.
        let _ = poll(&mut waited, limit.as_ref());
        // Empty where something else came first.
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_ring_is_remembered_once() {
        let alarm = Alarm::new().expect("a descriptor");
        alarm.ring();
        alarm.ring();
        let begun = Instant::now();
        alarm.wait(&[], Some(LONG));
        assert!(begun.elapsed() < LONG, "nobody heard it");
        let begun = Instant::now();
        alarm.wait(&[], Some(Duration::from_millis(20)));
        assert!(begun.elapsed() >= Duration::from_millis(20), "it rang on");
    }

    #[test]
    fn a_descriptor_that_can_be_read_ends_the_wait() {
        let alarm = Alarm::new().expect("a descriptor");
        let (mut here, there) = UnixStream::pair().expect("a pair");
        here.write_all(b"x").expect("room");
        let begun = Instant::now();
        alarm.wait(&[there.as_fd()], Some(LONG));
        assert!(begun.elapsed() < LONG, "it was not seen");
    }
}
