//! Interfaces of the host as a router's devices: by packet sockets.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::SystemTime;

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_click::arguments::{Argument as _, Ipv4Prefix, Ipv6Prefix, NoNames};
use sprat_click::names::Meaning;
use sprat_packet::EtherAddress;
use sprat_switch::port::{Addresses, Packet, Port as _, PortError};
use sprat_userlevel::Interface;

/// Opens an interface, by its name or by its Ethernet address, as Click's kernel module has it too.
pub(super) fn open(name: &str) -> io::Result<Box<dyn Interface>> {
    let found = with_address(name);
    let hint = format!("a capture can stand for it: --in {name}=FILE or --out {name}=FILE");
    match Packet::open(found.as_deref().unwrap_or(name), false) {
        Ok(port) => Ok(Box::new(PacketInterface(port))),
        Err(PortError::NoPacketSocket { .. }) => Err(io::Error::other(format!(
            "live interfaces take root, or the capability CAP_NET_RAW ({hint})"
        ))),
        Err(PortError::Interface { source, .. }) => {
            let text = source.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            Err(io::Error::other(format!("{text} ({hint})")))
        }
        Err(error) => Err(io::Error::other(error)),
    }
}

/// The name of the interface that has this Ethernet address, where the text is one.
fn with_address(text: &str) -> Option<String> {
    let address = EtherAddress::parse(text, &NoNames).ok()?;
    // Those of the network that this process is in, which `/sys` need not show.
    let list = std::fs::read_to_string("/proc/net/dev").ok()?;
    let mut names = list
        .lines()
        .filter_map(|line| line.split_once(':').map(|(name, _)| name.trim()));
    let has =
        |name: &&str| Addresses::of(name).is_some_and(|found| found.ethernet == Some(address.0));
    names.find(has).map(String::from)
}

/// An interface that has nothing to do with the host: for a router that is only looked at.
pub(super) fn imagine(_: &str) -> io::Result<Box<dyn Interface>> {
    Ok(Box::new(Imagined(File::open("/dev/null")?)))
}

struct Imagined(File);

impl Interface for Imagined {
    fn receive(&mut self, _: usize, _: &mut dyn FnMut(i64, &[u8])) -> io::Result<()> {
        Ok(())
    }

    fn send(&mut self, _: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
        Ok(())
    }

    fn hear_all(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn address(&self) -> Option<[u8; 6]> {
        None
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The addresses of an interface, for configurations that name it.
pub(super) fn addresses(name: &str) -> Option<Meaning> {
    let found = Addresses::of(name)?;
    let ipv4_prefix = found
        .ipv4
        .map(|(address, mask)| Ipv4Prefix { address, mask });
    let ipv6_prefix = found
        .ipv6
        .map(|(address, length)| Ipv6Prefix { address, length });
    Some(Meaning {
        ethernet: found.ethernet.map(EtherAddress),
        ipv4: ipv4_prefix.map(|prefix| prefix.address),
        ipv4_prefix,
        ipv6: ipv6_prefix.map(|prefix| prefix.address),
        ipv6_prefix,
        gateway: found.gateway,
        ..Meaning::default()
    })
}

struct PacketInterface(Packet);

impl Interface for PacketInterface {
    fn receive(&mut self, limit: usize, take: &mut dyn FnMut(i64, &[u8])) -> io::Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        });
        let received = self.0.receive_bytes(limit, &mut |frame| {
            take(now, frame);
            true
        });
        received.map(drop).map_err(io::Error::other)
    }

    fn send(&mut self, frames: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
        for frame in frames {
            let frame = Frame::new(frame, FrameHead::default());
            self.0.send(&frame).map_err(io::Error::other)?;
        }
        self.0.kick().map_err(io::Error::other)
    }

    fn hear_all(&mut self) -> io::Result<()> {
        self.0.set_promiscuous()
    }

    fn address(&self) -> Option<[u8; 6]> {
        Some(self.0.address())
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
