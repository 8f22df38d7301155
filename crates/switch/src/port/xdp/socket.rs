//! A socket of one queue, as who may make one makes it: created, given its memory, and bound.
//!
//! Between the last two its rings are mapped, by whoever is to use it, which may be another process:
//! the kernel lets nobody map rings of a socket that is bound.

use std::ffi::c_int;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::from_ref;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::super::mapping::Mapping;
use super::queue::{CHUNKS, DEPTH, chunk_size};

/// A structure's size, as calls want it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is asserted that it fits"
)]
const fn length_of<T>() -> libc::socklen_t {
    const { assert!(size_of::<T>() <= 4096) };
    size_of::<T>() as libc::socklen_t
}

/// A file with memory for the frames of so many queues, of up to `limit` bytes each. Who has it cannot
/// take the memory away.
pub(super) fn memory(limit: usize, queues: u32) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create("sprat-xdp", flags)?;
    ftruncate(&file, u64::from(queues) * queue_size(limit))?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// Bytes of a queue's frames.
pub(super) fn queue_size(limit: usize) -> u64 {
    u64::from(CHUNKS) * u64::from(chunk_size(limit))
}

/// Makes a socket, with its part of the memory for frames; it is not bound yet.
pub(super) fn create(memory: BorrowedFd<'_>, number: u32, limit: usize) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: it takes numbers only.
    let socket = unsafe { libc::socket(libc::AF_XDP, kind, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and is nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let size = queue_size(limit);
    let length = usize::try_from(size).map_err(io::Error::other)?;
    // The kernel keeps the pages; where they are mapped here is forgotten.
    let mapping = Mapping::new(memory, u64::from(number) * size, length)?;
    // SAFETY: all zeroes are a request.
    let mut request: libc::xdp_umem_reg = unsafe { zeroed() };
    request.addr = mapping.address();
    request.len = size;
    request.chunk_size = chunk_size(limit);
    set(&socket, libc::XDP_UMEM_REG, &request)?;
    for ring in [
        libc::XDP_UMEM_FILL_RING,
        libc::XDP_UMEM_COMPLETION_RING,
        libc::XDP_RX_RING,
        libc::XDP_TX_RING,
    ] {
        set(&socket, ring, &DEPTH)?;
    }
    Ok(socket)
}

/// Binds a socket to a queue of an interface: from now on frames come and go.
pub(super) fn bind(socket: BorrowedFd<'_>, interface: u32, queue: u32) -> io::Result<()> {
    // SAFETY: all zeroes are an address.
    let mut address: libc::sockaddr_xdp = unsafe { zeroed() };
    address.sxdp_family = u16::try_from(libc::AF_XDP).map_err(io::Error::other)?;
    address.sxdp_flags = libc::XDP_USE_NEED_WAKEUP;
    address.sxdp_ifindex = interface;
    address.sxdp_queue_id = queue;
    // SAFETY: the address is as long as said and outlives the call.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            from_ref(&address).cast(),
            length_of::<libc::sockaddr_xdp>(),
        )
    })
}

/// What the kernel says of a socket by this option.
pub(super) fn get<T: Plain>(socket: BorrowedFd<'_>, option: c_int) -> io::Result<T> {
    // SAFETY: all zeroes are such a structure.
    let mut value: T = unsafe { zeroed() };
    let mut length = length_of::<T>();
    // SAFETY: there is as much room as said, which outlives the call.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            option,
            (&raw mut value).cast(),
            &raw mut length,
        )
    })?;
    // A kernel before 5.9 has shorter ones, whose numbers stand elsewhere.
    match length == length_of::<T>() {
        true => Ok(value),
        false => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Structures of numbers, of which any are valid.
///
/// # Safety
/// That is what the type is.
pub(super) unsafe trait Plain {}

// SAFETY: 64-bit numbers.
unsafe impl Plain for libc::xdp_mmap_offsets {}
// SAFETY: the same.
unsafe impl Plain for libc::xdp_statistics {}

fn set<T>(socket: &OwnedFd, option: c_int, value: &T) -> io::Result<()> {
    // SAFETY: the option's value is as long as said and outlives the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_XDP,
            option,
            from_ref(value).cast(),
            length_of::<T>(),
        )
    })
}

fn check(done: c_int) -> io::Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
