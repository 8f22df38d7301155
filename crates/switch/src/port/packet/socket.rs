//! A packet socket: packet(7).

use std::ffi::c_int;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::{from_mut, from_ref};

use super::segment::Lead;
use super::sending::Shape;

/// All protocols, in network byte order.
const EVERY_PROTOCOL: u16 = short(libc::ETH_P_ALL).to_be();

/// A constant of the kernel's that one of its structures holds in less room.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is asserted that it fits"
)]
const fn short(value: c_int) -> u16 {
    assert!(value >= 0 && value <= 0xffff);
    value as u16
}

/// The size of a type, as calls want it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is asserted that it fits"
)]
const fn length_of<T>() -> libc::socklen_t {
    const { assert!(size_of::<T>() <= 4096) };
    size_of::<T>() as libc::socklen_t
}

/// Frames that the kernel hands over in one call.
pub(super) const BATCH: usize = 32;

/// Room for ancillary data: one record with a VLAN tag.
const CONTROL: usize = 64;

/// A frame as the kernel hands it over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrived {
    /// Bytes of the frame, or more where it had no room.
    pub(super) length: usize,
    pub(super) lead: [u8; Lead::LENGTH],
    /// The tag that the kernel took out of the frame: its protocol and value.
    pub(super) tag: Option<(u16, u16)>,
}

pub(super) struct Socket(OwnedFd);

impl Socket {
    /// A socket that sees no frame, as it is of no protocol and not bound.
    pub(super) fn silent() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: it takes numbers only.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// A socket that sees the frames that come in by an interface, with a ring for those that leave.
    pub(super) fn open(interface: i32, sending: Shape) -> io::Result<Self> {
        let socket = Self::silent()?;
        let on: c_int = 1;
        socket.set(libc::PACKET_VNET_HDR, &on)?;
        socket.set(libc::PACKET_AUXDATA, &on)?;
        socket.set(libc::PACKET_IGNORE_OUTGOING, &on)?;
        let version = libc::tpacket_versions::TPACKET_V2 as c_int;
        socket.set(libc::PACKET_VERSION, &version)?;
        socket.set(libc::PACKET_TX_RING, &sending.request()?)?;
        socket.bind(interface)?;
        Ok(socket)
    }

    /// Sees frames for others too, as long as the socket is open.
    pub(super) fn set_promiscuous(&self, interface: i32) -> io::Result<()> {
        // SAFETY: all zeroes are a request.
        let mut request: libc::packet_mreq = unsafe { zeroed() };
        request.mr_ifindex = interface;
        request.mr_type = short(libc::PACKET_MR_PROMISC);
        self.set(libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    fn set<T>(&self, option: c_int, value: &T) -> io::Result<()> {
        // SAFETY: the option's value is as long as said and outlives the call.
        let done = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                from_ref(value).cast(),
                length_of::<T>(),
            )
        };
        check(done)
    }

    fn bind(&self, interface: i32) -> io::Result<()> {
        // SAFETY: all zeroes are an address.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = short(libc::AF_PACKET);
        address.sll_protocol = EVERY_PROTOCOL;
        address.sll_ifindex = interface;
        // SAFETY: the address is as long as said and outlives the call.
        check(unsafe {
            libc::bind(
                self.0.as_raw_fd(),
                from_ref(&address).cast(),
                length_of::<libc::sockaddr_ll>(),
            )
        })
    }

    /// Whether the interface is still there: a socket whose interface was removed belongs to none.
    pub(super) fn has_interface(&self) -> bool {
        // SAFETY: all zeroes are an address.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        let mut length = length_of::<libc::sockaddr_ll>();
        // SAFETY: there is as much room as said, which outlives the call.
        let done = unsafe {
            libc::getsockname(
                self.0.as_raw_fd(),
                (&raw mut address).cast(),
                &raw mut length,
            )
        };
        done == 0 && address.sll_ifindex > 0
    }

    /// Receives what has come, each frame into a room of its own `skip` bytes behind the room's begin;
    /// says how many.
    pub(super) fn receive<const ROOM: usize>(
        &self,
        rooms: &mut [[u8; ROOM]],
        skip: usize,
        arrived: &mut [Arrived; BATCH],
    ) -> io::Result<usize> {
        let mut controls = [[0_u64; CONTROL / 8]; BATCH];
        // SAFETY: all zeroes are parts without bytes, and messages without parts.
        let (mut parts, mut messages): ([[libc::iovec; 2]; BATCH], [libc::mmsghdr; BATCH]) =
            unsafe { zeroed() };
        let mut count: u32 = 0;
        let frames = rooms.iter_mut().zip(arrived.iter_mut());
        let places = messages.iter_mut().zip(&mut parts).zip(&mut controls);
        for ((room, arrived), ((message, parts), control)) in frames.zip(places) {
            let room = &mut room[skip..];
            *parts = [
                part(arrived.lead.as_mut_ptr(), Lead::LENGTH),
                part(room.as_mut_ptr(), room.len()),
            ];
            let header = &mut message.msg_hdr;
            header.msg_iov = parts.as_mut_ptr();
            header.msg_iovlen = 2;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = CONTROL;
            count += 1;
        }
        // SAFETY: every message has two parts and room for ancillary data, all borrowed for the call.
        let done = unsafe {
            libc::recvmmsg(
                self.0.as_raw_fd(),
                messages.as_mut_ptr(),
                count,
                // The length is that of the frame, even if there was less room.
                libc::MSG_TRUNC,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(done).map_err(|_| io::Error::last_os_error())?;
        for (message, arrived) in messages[..count].iter().zip(arrived) {
            arrived.length = (message.msg_len as usize).saturating_sub(Lead::LENGTH);
            arrived.tag = tag(&message.msg_hdr);
        }
        Ok(count)
    }

    /// Frames that had no room in the socket since this was asked last.
    pub(super) fn missed(&self) -> u64 {
        // SAFETY: all zeroes are statistics.
        let mut statistics: libc::tpacket_stats = unsafe { zeroed() };
        let mut length = length_of::<libc::tpacket_stats>();
        // SAFETY: there is as much room as said, which outlives the call.
        let done = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                from_mut(&mut statistics).cast(),
                &raw mut length,
            )
        };
        if done == 0 {
            statistics.tp_drops.into()
        } else {
            0
        }
    }
}

impl From<OwnedFd> for Socket {
    /// One that was opened elsewhere.
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> Self {
        socket.0
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn part(base: *mut u8, length: usize) -> libc::iovec {
    libc::iovec {
        iov_base: base.cast(),
        iov_len: length,
    }
}

fn check(done: c_int) -> io::Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The VLAN tag that ancillary data tell of.
fn tag(header: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: the kernel wrote the records of the ancillary data that the header leads to, and says in
    // it how long they are; a record of this type holds this structure, at any alignment.
    let data = unsafe {
        let record = libc::CMSG_FIRSTHDR(header).as_ref()?;
        let wanted = (libc::SOL_PACKET, libc::PACKET_AUXDATA);
        if (record.cmsg_level, record.cmsg_type) != wanted {
            return None;
        }
        libc::CMSG_DATA(record)
            .cast::<libc::tpacket_auxdata>()
            .read_unaligned()
    };
    if data.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let protocol = match data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID {
        0 => 0x8100,
        _ => data.tp_vlan_tpid,
    };
    Some((protocol, data.tp_vlan_tci))
}
