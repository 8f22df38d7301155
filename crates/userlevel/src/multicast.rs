//! Multicast groups of UDP, as sockets that never block.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, bind, getsockname, recvfrom, sendto,
    socket_with, sockopt,
};
use sprat_click::environment::{AccessError, Connection, MulticastGroup};

use crate::readiness::{Readiness, Watched};
use crate::sockets::{FLAGS, later, system};

fn socket() -> Result<OwnedFd, AccessError> {
    socket_with(AddressFamily::INET, SocketType::DGRAM, FLAGS, None).map_err(system)
}

/// Joins a group: one socket hears it, the other speaks.
pub(crate) fn join(
    group: &MulticastGroup,
    readiness: &Readiness,
) -> Result<Box<dyn Connection>, AccessError> {
    let interface = group
        .source
        .map_or(Ipv4Addr::UNSPECIFIED, |source| *source.ip());
    let hearing = socket()?;
    // Others on this machine may hear the same group.
    sockopt::set_socket_reuseaddr(&hearing, true).map_err(system)?;
    bind(&hearing, &group.group).map_err(system)?;
    sockopt::set_ip_add_membership(&hearing, group.group.ip(), &interface).map_err(system)?;
    let (speaking, own) = speaker(group)?;
    Ok(Box::new(Group {
        hearing: readiness.add(hearing),
        speaking: readiness.add(speaking),
        group: group.group,
        own,
        last: None,
    }))
}

/// A socket that speaks to a group, and what it sends from where that is known.
fn speaker(group: &MulticastGroup) -> Result<(OwnedFd, Option<SocketAddr>), AccessError> {
    let speaking = socket()?;
    let mut own = None;
    if let Some(source) = group.source {
        sockopt::set_socket_reuseaddr(&speaking, true).map_err(system)?;
        bind(&speaking, &source).map_err(system)?;
        sockopt::set_ip_multicast_if(&speaking, source.ip()).map_err(system)?;
        let bound = getsockname(&speaking).map_err(system)?;
        own = SocketAddr::try_from(bound).ok();
    }
    sockopt::set_ip_multicast_loop(&speaking, group.looped).map_err(system)?;
    Ok((speaking, own))
}

struct Group {
    hearing: Rc<Watched>,
    speaking: Rc<Watched>,
    group: SocketAddrV4,
    /// What it sends from, where that is known.
    own: Option<SocketAddr>,
    last: Option<SocketAddr>,
}

impl Connection for Group {
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, AccessError> {
        while self.hearing.readable.get() {
            match recvfrom(&self.hearing.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((count, _, peer)) => {
                    self.last = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                    if self.last.is_none() || self.last != self.own {
                        return Ok(Some(count));
                    }
                }
                Err(error) => return later(error, &self.hearing.readable),
            }
        }
        Ok(None)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, AccessError> {
        if !self.speaking.writable.get() {
            return Ok(None);
        }
        match sendto(
            &self.speaking.socket,
            bytes,
            SendFlags::NOSIGNAL,
            &self.group,
        ) {
            Ok(count) => Ok(Some(count)),
            Err(error) => later(error, &self.speaking.writable),
        }
    }

    fn peer(&self) -> Option<std::net::IpAddr> {
        self.last.map(|peer| peer.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn member(group: SocketAddrV4, readiness: &Readiness) -> Box<dyn Connection> {
        let group = MulticastGroup {
            group,
            source: Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)),
            looped: true,
        };
        join(&group, readiness).unwrap()
    }

    /// A group with a port that nobody else uses.
    fn group() -> SocketAddrV4 {
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        SocketAddrV4::new(Ipv4Addr::new(239, 255, 3, 7), port)
    }

    fn heard(member: &mut dyn Connection, readiness: &Readiness) -> Option<Vec<u8>> {
        let mut buffer = [0; 64];
        for _ in 0..20 {
            if let Some(count) = member.read(&mut buffer).unwrap() {
                return Some(buffer[..count].to_vec());
            }
            readiness.wait(Some(Duration::from_millis(10)));
        }
        None
    }

    #[test]
    fn members_hear_each_other_and_not_themselves() {
        let readiness = Readiness::default();
        let group = group();
        let mut one = member(group, &readiness);
        let mut other = member(group, &readiness);
        assert_eq!(one.write(b"hello"), Ok(Some(5)));
        assert_eq!(
            heard(&mut *other, &readiness).as_deref(),
            Some(&b"hello"[..])
        );
        assert_eq!(other.peer(), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(heard(&mut *one, &readiness), None);
    }

    // Over the loopback interface it is heard all the same.
    #[test]
    fn the_system_is_told_whether_this_machine_hears_what_is_sent() {
        for looped in [true, false] {
            let group = MulticastGroup {
                group: group(),
                source: None,
                looped,
            };
            let (speaking, _) = speaker(&group).unwrap();
            assert_eq!(sockopt::ip_multicast_loop(&speaking), Ok(looped));
        }
    }
}
