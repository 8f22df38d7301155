//! Raw sockets of IPv4, which never block.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::rc::Rc;

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketType, recv, sendto, socket_with,
};
use sprat_click::environment::{AccessError, Connection};

use crate::readiness::{Readiness, Watched};
use crate::sockets::{FLAGS, later, system};

/// The protocol of sockets that only send, and whose packets bring their own IP header.
const OWN_HEADER: u8 = 255;

/// Where an IPv4 header has its destination.
const DESTINATION: usize = 16;

/// Opens two sockets: one hears the packets of a protocol, the other sends any.
pub(crate) fn open(
    protocol: u8,
    readiness: &Readiness,
) -> Result<Box<dyn Connection>, AccessError> {
    let socket = |protocol: u8| {
        let protocol = NonZeroU32::new(protocol.into()).map(Protocol::from_raw);
        let socket = socket_with(AddressFamily::INET, SocketType::RAW, FLAGS, protocol);
        socket.map_err(system)
    };
    Ok(Box::new(Raw {
        hearing: readiness.add(socket(protocol)?),
        sending: readiness.add(socket(OWN_HEADER)?),
    }))
}

struct Raw {
    hearing: Rc<Watched>,
    sending: Rc<Watched>,
}

impl Connection for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, AccessError> {
        if !self.hearing.readable.get() {
            return Ok(None);
        }
        match recv(&self.hearing.socket, buffer, RecvFlags::empty()) {
            Ok((count, _)) => Ok(Some(count)),
            Err(error) => later(error, &self.hearing.readable),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, AccessError> {
        // What has no whole header goes nowhere.
        let Some(destination) = bytes.get(DESTINATION..).and_then(<[u8]>::first_chunk::<4>) else {
            return Ok(Some(bytes.len()));
        };
        if !self.sending.writable.get() {
            return Ok(None);
        }
        let destination = SocketAddrV4::new(Ipv4Addr::from(*destination), 0);
        match sendto(
            &self.sending.socket,
            bytes,
            SendFlags::NOSIGNAL,
            &destination,
        ) {
            Ok(count) => Ok(Some(count)),
            Err(error) => later(error, &self.sending.writable),
        }
    }
}
