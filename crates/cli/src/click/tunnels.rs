//! Interfaces that a router makes in the host's own network: tun and tap.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process::Command;
use std::time::SystemTime;

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_click::environment::Tunnel;
use sprat_switch::port::{Carries, Port as _, PortError, Tap};
use sprat_userlevel::Interface;

/// Makes an interface; it goes when nobody holds it any more.
pub(super) fn open(tunnel: &Tunnel) -> io::Result<(String, Box<dyn Interface>)> {
    let what = if tunnel.ethernet {
        Carries::Frames
    } else {
        Carries::Packets
    };
    let tap = Tap::open_as(&tunnel.name, what).map_err(|error| match error {
        PortError::NoTap { .. } => {
            io::Error::other("making an interface takes root, or the capability CAP_NET_ADMIN")
        }
        PortError::Interface { source, .. } => source,
        error => io::Error::other(error),
    })?;
    let name = tap.name().to_owned();
    for arguments in settings(tunnel, &name) {
        ip(&arguments)?;
    }
    Ok((name, Box::new(TunnelInterface { tap })))
}

/// What `ip` is to do.
fn settings(tunnel: &Tunnel, name: &str) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(address) = tunnel.ethernet_address.filter(|_| tunnel.ethernet) {
        let bytes = address.0.map(|byte| format!("{byte:02x}"));
        let address = bytes.join(":");
        all.push(format!("link set dev {name} address {address}"));
    }
    if let Some(mtu) = tunnel.mtu {
        all.push(format!("link set dev {name} mtu {mtu}"));
    }
    if let Some(address) = tunnel.address {
        all.push(format!("address replace {address} dev {name}"));
    }
    if let Some(address) = tunnel.address6 {
        all.push(format!("address replace {address} dev {name}"));
    }
    all.push(format!("link set dev {name} up"));
    if let Some(gateway) = tunnel.gateway {
        all.push(format!("route add default via {gateway} dev {name}"));
    }
    all
}

/// Runs `ip`.
fn ip(arguments: &str) -> io::Result<()> {
    let failed = |why: &str| io::Error::other(format!("ip {arguments}: {why}"));
    let done = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .map_err(|error| failed(&error.to_string()))?;
    if done.status.success() {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&done.stderr);
        Err(failed(said.lines().next().unwrap_or("it failed")))
    }
}

struct TunnelInterface {
    tap: Tap,
}

impl Interface for TunnelInterface {
    fn receive(&mut self, limit: usize, take: &mut dyn FnMut(i64, &[u8])) -> io::Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        });
        let received = self.tap.receive_bytes(limit, &mut |frame| {
            take(now, frame);
            true
        });
        received.map(drop).map_err(io::Error::other)
    }

    fn send(&mut self, frames: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
        for frame in frames {
            let frame = Frame::new(frame, FrameHead::default());
            self.tap.send(&frame).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn hear_all(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn address(&self) -> Option<[u8; 6]> {
        None
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.tap.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_is_set_up_before_it_is_brought_up_and_routed_to() {
        let tunnel = Tunnel {
            ethernet: true,
            address: sprat_click::arguments::Ipv4Prefix::new([10, 0, 0, 1].into(), 8),
            gateway: Some([10, 0, 0, 2].into()),
            ethernet_address: Some(sprat_packet::EtherAddress([0, 1, 2, 3, 4, 5])),
            mtu: Some(1400),
            ..Tunnel::default()
        };
        let expected = [
            "link set dev t0 address 00:01:02:03:04:05",
            "link set dev t0 mtu 1400",
            "address replace 10.0.0.1/8 dev t0",
            "link set dev t0 up",
            "route add default via 10.0.0.2 dev t0",
        ];
        assert_eq!(settings(&tunnel, "t0"), expected);
    }
}
