//! Starting the process.
//!
//! The child shares this process's memory until it executes its program (as with `vfork`), so starting
//! it costs the same however much memory this process has.

use crate::memory::{Mapping, SystemError};
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{null, null_mut};

/// A process that was started.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: libc::pid_t,
    /// Stands for the process even after its number was given to another.
    pub(super) handle: OwnedFd,
    /// Whether it has namespaces of its own.
    pub(super) namespaces: bool,
}

/// What the child needs before it executes its program; it may not allocate.
struct Orders<'a> {
    program: RawFd,
    inherited: &'a [RawFd],
    error: c_int,
}

/// Starts a program, with these descriptors and nothing else of this process's: in namespaces of its
/// own where that is allowed.
pub(super) fn start(program: &impl AsRawFd, inherited: &[RawFd]) -> Result<Child, SystemError> {
    let isolated = libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNS;
    // SAFETY: it takes nothing and touches no memory.
    let is_root = unsafe { libc::geteuid() } == 0;
    let user = if is_root { 0 } else { libc::CLONE_NEWUSER };
    match clone(program.as_raw_fd(), inherited, isolated | user) {
        Ok((id, handle)) => Ok(Child {
            id,
            handle,
            namespaces: true,
        }),
        Err(_) => {
            let (id, handle) = clone(program.as_raw_fd(), inherited, 0)?;
            Ok(Child {
                id,
                handle,
                namespaces: false,
            })
        }
    }
}

fn clone(
    program: RawFd,
    inherited: &[RawFd],
    flags: c_int,
) -> Result<(libc::pid_t, OwnedFd), SystemError> {
    const STACK: usize = 16 << 10;
    let stack = Mapping::anonymous(STACK as u64)?;
    let mut orders = Orders {
        program,
        inherited,
        error: 0,
    };
    let mut handle: c_int = -1;
    let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: signals are blocked around the call, so no handler of ours runs in the child. The child
    // runs on a stack of its own and this thread sleeps until it has executed its program or ended, so
    // `orders` and the stack outlive its use of them. It only makes system calls.
    let id = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let top = stack.base().wrapping_add(STACK).cast::<c_void>();
        let id = libc::clone(
            become_program,
            top,
            flags,
            (&raw mut orders).cast(),
            &raw mut handle,
        );
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, null_mut());
        id
    };
    if id < 0 {
        return Err(SystemError::last("starting a process"));
    }
    // SAFETY: the kernel made the descriptor for this call.
    let handle = unsafe { OwnedFd::from_raw_fd(handle) };
    if orders.error != 0 {
        // SAFETY: the child has ended; its number is still its own until this.
        unsafe { libc::waitpid(id, null_mut(), libc::__WALL) };
        return Err(SystemError::new(
            "executing a program",
            std::io::Error::from_raw_os_error(orders.error),
        ));
    }
    Ok((id, handle))
}

/// The child. It shares all memory with its parent, which sleeps.
extern "C" fn become_program(orders: *mut c_void) -> c_int {
    // SAFETY: the parent passed a pointer to its orders and sleeps; only system calls are made, with
    // pointers to data that outlive them.
    unsafe {
        let orders = &mut *orders.cast::<Orders<'_>>();
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let no_cores = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_cores);
        for &fd in orders.inherited {
            libc::fcntl(fd, libc::F_SETFD, 0);
        }
        let arguments: [*const c_char; 2] = [c"sprat-instance".as_ptr(), null()];
        let environment: [*const c_char; 1] = [null()];
        libc::syscall(
            libc::SYS_execveat,
            orders.program,
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        orders.error = *libc::__errno_location();
        libc::_exit(127)
    }
}
