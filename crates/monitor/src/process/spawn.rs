//! Starting the process.
//!
//! The child shares this process's memory until it executes its program (as with `vfork`), so starting
//! it costs the same however much memory this process has. Most of the cost is its namespaces', so it
//! is started early and waits there for its [`Orders`].

use crate::memory::{Mapping, SystemError};
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// A process that was started.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: libc::pid_t,
    /// Stands for the process even after its number was given to another.
    pub(super) handle: OwnedFd,
    /// Whether it has namespaces of its own.
    pub(super) namespaces: bool,
}

/// What a child that was started waits for.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Futex: [`Self::WAIT`], [`Self::EXECUTE`], [`Self::ABANDON`] or [`Self::GONE`].
    word: AtomicU32,
    program: OnceLock<Program>,
    /// Why the child could not execute its program; 0 if it did.
    error: AtomicI32,
}

/// What a child executes.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) file: OwnedFd,
    /// The descriptors that it keeps, of all that this process has.
    pub(super) inherited: Vec<RawFd>,
}

impl Orders {
    const WAIT: u32 = 0;
    const EXECUTE: u32 = 1;
    const ABANDON: u32 = 2;
    /// The child ended before it had orders.
    const GONE: u32 = 3;

    /// Lets the child execute a program. Its descriptors must stay open until the child is there.
    pub(super) fn execute(&self, program: Program) {
        // Nobody else gives orders: they have one owner, who gives them once.
        let _ = self.program.set(program);
        self.give(Self::EXECUTE);
    }

    /// Lets the child end.
    pub(super) fn abandon(&self) {
        self.give(Self::ABANDON);
    }

    /// Whether the child waits for them, or will when it has started.
    pub(super) fn are_awaited(&self) -> bool {
        self.word.load(Ordering::Acquire) == Self::WAIT
    }

    /// The child is no more, or is its program; true if it had no orders until then.
    fn end(&self) -> bool {
        let (awaited, gone) = (Self::WAIT, Self::GONE);
        let ended =
            (self.word).compare_exchange(awaited, gone, Ordering::AcqRel, Ordering::Acquire);
        ended.is_ok()
    }

    fn give(&self, order: u32) {
        self.word.store(order, Ordering::Release);
        // SAFETY: the futex outlives the call.
        unsafe { libc::syscall(libc::SYS_futex, &raw const self.word, libc::FUTEX_WAKE, 1) };
    }

    /// The program to execute, when it is known; `None` to end instead. Allocates nothing.
    fn wait(&self) -> Option<&Program> {
        loop {
            match self.word.load(Ordering::Acquire) {
                Self::WAIT => {
                    // SAFETY: the futex outlives the call; without a time it waits for as long as it takes.
                    unsafe {
                        libc::syscall(
                            libc::SYS_futex,
                            &raw const self.word,
                            libc::FUTEX_WAIT,
                            Self::WAIT,
                            null::<libc::timespec>(),
                        )
                    };
                }
                Self::EXECUTE => return self.program.get(),
                _ => return None,
            }
        }
    }
}

/// Starts a process that does as ordered, in namespaces of its own where that is allowed. Returns when
/// it executes its program, with nothing else of this process's than it should inherit; `None` if it
/// was abandoned.
pub(super) fn start(orders: &Orders) -> Result<Option<Child>, SystemError> {
    let isolated = libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNS;
    // SAFETY: it takes nothing and touches no memory.
    let is_root = unsafe { libc::geteuid() } == 0;
    let user = if is_root { 0 } else { libc::CLONE_NEWUSER };
    let process = match clone(orders, isolated | user) {
        Ok(process) => Ok((true, process)),
        Err(_) => clone(orders, 0).map(|process| (false, process)),
    };
    let ended = orders.end();
    let (namespaces, (id, handle)) = process?;
    let error = orders.error.load(Ordering::Acquire);
    let abandoned = orders.word.load(Ordering::Acquire) == Orders::ABANDON;
    if error != 0 || abandoned || ended {
        // SAFETY: the child has ended or is about to; its number is still its own until this.
        unsafe { libc::waitpid(id, null_mut(), libc::__WALL) };
    }
    if error != 0 {
        return Err(SystemError::new(
            "executing a program",
            std::io::Error::from_raw_os_error(error),
        ));
    }
    if ended {
        return Err(SystemError::new(
            "starting a process",
            std::io::Error::other("it was ended before it had its program"),
        ));
    }
    Ok((!abandoned).then_some(Child {
        id,
        handle,
        namespaces,
    }))
}

fn clone(orders: &Orders, flags: c_int) -> Result<(libc::pid_t, OwnedFd), SystemError> {
    const STACK: usize = 16 << 10;
    let stack = Mapping::anonymous(STACK as u64)?;
    let mut handle: c_int = -1;
    // The descriptors are shared, as those that it needs may be opened after it was started.
    let flags = flags
        | libc::CLONE_VM
        | libc::CLONE_VFORK
        | libc::CLONE_FILES
        | libc::CLONE_PIDFD
        | libc::SIGCHLD;
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
            std::ptr::from_ref(orders).cast_mut().cast(),
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
    Ok((id, handle))
}

/// The child. It shares all memory with its parent, the thread that started it, which sleeps.
extern "C" fn become_program(orders: *mut c_void) -> c_int {
    // SAFETY: the parent passed a pointer to orders that outlive its sleep; what is in them is reached
    // as from another thread, through atomics and a lock-free `get`. Apart from that only system calls
    // are made, with pointers to data that outlive them.
    unsafe {
        let orders = &*orders.cast_const().cast::<Orders>();
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let Some(program) = orders.wait() else {
            libc::_exit(0)
        };
        let no_cores = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_cores);
        // Its own copy of the descriptors, before it marks some as inherited.
        if libc::unshare(libc::CLONE_FILES) == 0 {
            for &fd in &program.inherited {
                libc::fcntl(fd, libc::F_SETFD, 0);
            }
            let arguments: [*const c_char; 2] = [c"sprat-instance".as_ptr(), null()];
            let environment: [*const c_char; 1] = [null()];
            libc::syscall(
                libc::SYS_execveat,
                program.file.as_raw_fd(),
                c"".as_ptr(),
                arguments.as_ptr(),
                environment.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
        }
        orders
            .error
            .store(*libc::__errno_location(), Ordering::Release);
        libc::_exit(127)
    }
}
