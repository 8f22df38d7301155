//! The program in the kernel that hands an interface's frames to sockets: bpf(2).
//!
//! Five instructions, written down as they are: the crates that load programs read them from object
//! files, which would take another compiler to make.

use std::ffi::{CStr, c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::from_ref;

/// Commands of bpf(2).
const MAP_CREATE: c_int = 0;
const MAP_UPDATE_ELEM: c_int = 2;
const PROG_LOAD: c_int = 5;
const LINK_CREATE: c_int = 28;

/// A map from queues to AF_XDP sockets.
const MAP_TYPE_XSKMAP: u32 = 17;
/// A program that sees frames before the kernel does.
const PROG_TYPE_XDP: u32 = 6;
/// Where such a program is attached.
const ATTACH_XDP: u32 = 37;

/// The helper `bpf_redirect_map`.
const REDIRECT_MAP: i32 = 51;
/// The verdict that leaves a frame to the kernel.
const XDP_PASS: i32 = 2;
/// Where the number of the receiving queue lies in a program's context, `struct xdp_md`.
const RX_QUEUE_INDEX: i16 = 16;

/// The program calls no helper that is for programs under the kernel's own licence alone.
const LICENCE: &CStr = c"MIT OR Apache-2.0";

/// An instruction: `struct bpf_insn`.
#[repr(C)]
struct Instruction {
    code: u8,
    /// The register that is written in the lower half, the one that is read in the upper.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers,
        offset,
        immediate,
    }
}

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
}

#[repr(C)]
struct MapUpdate {
    map: c_int,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgramLoad {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
}

#[repr(C)]
struct LinkCreate {
    program: c_int,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// Has every queue of an interface, of which there is a socket, give its frames to that. Once the last
/// copy of what this returns is closed, the program is taken off again.
pub(super) fn attach(interface: u32, sockets: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
    let count = u32::try_from(sockets.len()).map_err(io::Error::other)?;
    let map = call(
        MAP_CREATE,
        &MapCreate {
            map_type: MAP_TYPE_XSKMAP,
            key_size: 4,
            value_size: 4,
            max_entries: count,
            map_flags: 0,
        },
    )?;
    let map = owned(map);
    for (queue, socket) in (0_u32..).zip(sockets) {
        let socket = socket.as_raw_fd();
        call(
            MAP_UPDATE_ELEM,
            &MapUpdate {
                map: map.as_raw_fd(),
                padding: 0,
                key: address(&queue),
                value: address(&socket),
                flags: 0,
            },
        )?;
    }
    let instructions = [
        // r2 = the frame's queue.
        instruction(0x61, 0x12, RX_QUEUE_INDEX, 0),
        // r1 = the map, in two halves.
        instruction(0x18, 0x11, 0, map.as_raw_fd()),
        instruction(0, 0, 0, 0),
        // r3 = what becomes of a frame of a queue without a socket.
        instruction(0xb7, 0x03, 0, XDP_PASS),
        instruction(0x85, 0, 0, REDIRECT_MAP),
        instruction(0x95, 0, 0, 0),
    ];
    let mut name = [0; 16];
    name[..5].copy_from_slice(b"sprat");
    let program = call(
        PROG_LOAD,
        &ProgramLoad {
            program_type: PROG_TYPE_XDP,
            instruction_count: const { 6 },
            instructions: address(&instructions),
            licence: LICENCE.as_ptr().addr() as u64,
            log_level: 0,
            log_size: 0,
            log: 0,
            kernel_version: 0,
            flags: 0,
            name,
            interface: 0,
            expected_attach_type: ATTACH_XDP,
        },
    )?;
    let program = owned(program);
    let link = call(
        LINK_CREATE,
        &LinkCreate {
            program: program.as_raw_fd(),
            interface,
            attach_type: ATTACH_XDP,
            flags: 0,
        },
    )?;
    // The link keeps the program, and the program the map.
    Ok(owned(link))
}

fn address<T>(value: &T) -> u64 {
    from_ref(value).addr() as u64
}

/// A descriptor that a call has made.
fn owned(descriptor: c_int) -> OwnedFd {
    // SAFETY: the kernel has just made it for the caller, who gives it to nobody else.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn call<T>(command: c_int, attributes: &T) -> io::Result<c_int> {
    // SAFETY: the attributes are as long as said, are those of the command, and whatever they point to
    // outlives the call, which writes nothing: no log is asked for.
    let done: c_long =
        unsafe { libc::syscall(libc::SYS_bpf, command, from_ref(attributes), size_of::<T>()) };
    match c_int::try_from(done) {
        Ok(descriptor @ 0..) => Ok(descriptor),
        _ => Err(io::Error::last_os_error()),
    }
}
