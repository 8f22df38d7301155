//! What a run over live ports needs besides: addresses of its own, and a way to be ended.

use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::net::UnixStream;

/// An Ethernet address for a device that shares its network with others: locally administered, and
/// another one in each run.
pub(super) fn address(number: u8) -> [u8; 6] {
    let [a, b, c, d, ..] = RandomState::new().hash_one(number).to_ne_bytes();
    [2, a, b, c, d, number]
}

/// What ends the sleep of a lane where nothing happens: Ctrl-C, and whoever rings the bell.
pub(super) struct Alarm {
    ear: UnixStream,
    bell: UnixStream,
}

impl Alarm {
    /// An alarm that Ctrl-C sets off.
    pub(super) fn new() -> std::io::Result<Self> {
        let (ear, bell) = UnixStream::pair()?;
        ear.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::low_level::pipe::register(signal, bell.try_clone()?)?;
        }
        Ok(Self { ear, bell })
    }

    /// What can be read once the alarm was set off.
    pub(super) fn ear(&self) -> std::io::Result<UnixStream> {
        self.ear.try_clone()
    }

    /// What sets it off when it is written to.
    pub(super) fn bell(&self) -> std::io::Result<UnixStream> {
        self.bell.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_local_and_differ() {
        let (one, other) = (address(1), address(2));
        assert_eq!(one[0] & 3, 2);
        assert_ne!(one, other);
    }
}
