//! A live port on its way from the process that may open it to the one that moves its frames.

use std::os::fd::OwnedFd;

use super::{Packet, Port, PortError, PortSpec, Ring, RingEnd, Tap, Xdp, xdp};

/// What a port is that was opened elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// A tap interface.
    Tap,
    /// An interface of the host, by a packet socket.
    Packet {
        /// The interface's number.
        index: i32,
        /// Its Ethernet address.
        address: [u8; 6],
    },
    /// The same, by AF_XDP sockets.
    Xdp {
        /// The interface's number.
        index: u32,
    },
    /// One end of a pair of rings between two lanes.
    Ring(RingEnd),
}

/// A live port that was opened and is not used yet: its descriptors, and what is known of it.
#[derive(Debug)]
pub struct Claim {
    /// What it is.
    pub what: Claimed,
    /// The interface, or the pair of rings.
    pub name: String,
    /// The longest frame it carries.
    pub frame_limit: usize,
    /// Its descriptors: the interface's or, of rings, their memory, the own bell and the other's; by
    /// AF_XDP the program's, what makes frames come, what is waited for, memory and sockets.
    pub descriptors: Vec<OwnedFd>,
}

impl Claim {
    /// Opens the port of a specification; `None` where it makes sockets of its own later on, and so
    /// cannot be handed over. Rings are made as a pair, by [`Ring::pair`].
    ///
    /// # Errors
    /// The system refuses.
    pub fn open(spec: &PortSpec) -> Result<Option<Self>, PortError> {
        Ok(match spec {
            PortSpec::User { .. } => None,
            PortSpec::Tap(name) => Some(Tap::open(name)?.into_claim()),
            PortSpec::Packet(name) => Some(Packet::open(name, true)?.into_claim()),
            PortSpec::Xdp(name) => Some(Xdp::claim(name)?),
        })
    }

    /// The port.
    ///
    /// # Errors
    /// The descriptors are not what they should be, or the system refuses.
    pub fn into_port(self) -> Result<Box<dyn Port>, PortError> {
        Ok(match self.what {
            Claimed::Tap => Box::new(Tap::of_claim(self)?),
            Claimed::Packet { index, address } => Box::new(Packet::of_claim(self, index, address)?),
            Claimed::Xdp { .. } => Box::new(Xdp::of_claim(self)?),
            Claimed::Ring(end) => Box::new(Ring::of_claim(self, end)?),
        })
    }

    /// Does what is left to whoever opened it, once whoever it was handed to has made a port of it: by
    /// AF_XDP no frame comes or goes before.
    ///
    /// # Errors
    /// The system refuses.
    pub fn complete(&self) -> Result<(), PortError> {
        match self.what {
            Claimed::Xdp { index } => xdp::complete(self, index),
            Claimed::Tap | Claimed::Packet { .. } | Claimed::Ring(_) => Ok(()),
        }
    }

    /// The one descriptor of a port that has one.
    pub(super) fn descriptor(&mut self, kind: &'static str) -> Result<OwnedFd, PortError> {
        self.descriptors.pop().ok_or_else(|| PortError::Interface {
            kind,
            name: self.name.clone(),
            source: std::io::Error::other("no descriptor came with it"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::port::testing::{in_namespace, ip, wait_until_up};
    use sprat_abi::frame::FrameHead;
    use sprat_abi::host::Frame;

    #[test]
    fn a_port_that_was_handed_over_carries_frames_both_ways() {
        in_namespace(|| {
            ip("link add one type veth peer name other");
            for name in ["one", "other"] {
                ip(&format!("link set {name} addrgenmode none up"));
            }
            for name in ["one", "other"] {
                wait_until_up(name);
            }
            let port = |name: &str| {
                let spec = PortSpec::parse(name).expect("a port");
                let claim = Claim::open(&spec).expect("permitted");
                let claim = claim.expect("it can be handed over");
                claim.into_port().expect("a port")
            };
            let (mut one, mut other) = (port("packet:one"), port("packet:other"));
            assert_eq!(
                one.frame_limit(),
                1518,
                "1,500 bytes and a header with a tag"
            );
            let mut frame = [7; 60];
            frame[12..14].copy_from_slice(&[0x88, 0xb5]);
            for _ in 0..2 {
                let mut came = Vec::new();
                let begun = Instant::now();
                // An interface that has just come up may lose what is sent at once.
                while came.is_empty() {
                    assert!(begun.elapsed() < Duration::from_secs(30), "nothing comes");
                    one.send(&Frame::new(&frame, FrameHead::default()))
                        .and_then(|()| one.kick())
                        .expect("sent");
                    std::thread::sleep(Duration::from_millis(5));
                    other
                        .receive(1, i64::MAX, &mut |frame| {
                            frame.append_to(&mut came);
                            true
                        })
                        .expect("received");
                }
                assert_eq!(came, frame);
                std::mem::swap(&mut one, &mut other);
            }
        });
    }

    #[test]
    fn a_network_of_its_own_cannot_be_handed_over() {
        let spec = PortSpec::User { loopback: false };
        assert!(Claim::open(&spec).expect("nothing to open").is_none());
    }
}
