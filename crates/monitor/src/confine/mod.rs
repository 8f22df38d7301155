//! Giving up what a process does not need that holds instances.
//!
//! What it needs that others must not have is opened first: `/dev/kvm`, sockets, interfaces. Then it
//! becomes a user of its own, leaves the system's networks and mounts behind where it may, and keeps of
//! all system calls those that move frames and run instances. Nothing of this can be taken back: not by
//! it, and not by whoever comes to rule it through an instance.

mod calls;
#[cfg(test)]
mod tests;

use std::ptr::null;

use sprat_abi::boot::MonitorKind;

use crate::memory::SystemError;
use crate::sealing;

/// What a process was confined by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// The user it has become, where it was root.
    pub user: Option<u32>,
    /// Whether it has namespaces of its own.
    pub namespaces: bool,
    /// Whether Landlock holds it too.
    pub landlock: bool,
}

/// Confines this process, which has to do so before it starts threads: it can open no files, make no
/// sockets, execute nothing, and reach no other process. `monitor` is what it is to hold instances by;
/// under the process monitor it can still start and trace the processes of its instances. Where it is
/// root it becomes `user`, if the system has room for that number, and keeps no capabilities in any
/// case.
///
/// # Errors
/// The system has no system call filters, or does not let capabilities go.
pub fn confine(monitor: MonitorKind, user: u32) -> Result<Confinement, SystemError> {
    let filters = calls::filters(monitor)?;
    limit()?;
    // SAFETY: it takes nothing and touches no memory.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut own = libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP;
    if !is_root {
        own |= libc::CLONE_NEWUSER;
    }
    // Instances that are processes have namespaces of their own, and could not have them in one
    // whose users nobody has set up.
    let wanted = is_root || monitor != MonitorKind::Process;
    // SAFETY: it takes numbers only. What it takes away belongs to nobody who still uses it: threads
    // are to come.
    let namespaces = wanted && unsafe { libc::unshare(own) } == 0;
    let became = is_root && become_user(user);
    drop_capabilities()?;
    let landlock = sealing::no_files().is_some_and(|rules| rules.restrict_self().is_ok());
    for filter in &filters {
        seccompiler::apply_filter_all_threads(filter).map_err(|error| {
            SystemError::new(
                "filtering system calls",
                std::io::Error::other(error.to_string()),
            )
        })?;
    }
    Ok(Confinement {
        user: became.then_some(user),
        namespaces,
        landlock,
    })
}

/// Has programs that this process executes inherit nothing that it has open now but the standard
/// streams: whatever it was started with itself is nobody else's business.
pub fn keep_descriptors() {
    // SAFETY: nothing is closed; descriptors are marked. A kernel that does not know the call (before
    // 5.11) leaves them as they are.
    unsafe {
        libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed());
    }
}

/// As many descriptors as there may be, and no core dumps: those have the memory of instances in them.
fn limit() -> Result<(), SystemError> {
    let no_cores = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let mut descriptors = no_cores;
    // SAFETY: the limits outlive the calls, which read and write nothing else.
    let done = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut descriptors);
        descriptors.rlim_cur = descriptors.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const descriptors);
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_cores)
    };
    make_room();
    match done {
        0 => Ok(()),
        _ => Err(SystemError::last("forbidding core dumps")),
    }
}

/// Has the kernel's table of this process's descriptors be as long as it will need to be. Once there are
/// threads, whoever opens one too many for it waits until no thread can still read the old table: some
/// ten milliseconds each time that it doubles.
fn make_room() {
    /// What an instance has open times how many a lane has, or thereabouts.
    const DESCRIPTORS: libc::c_int = 1024;
    // SAFETY: a new descriptor, which is closed at once. Where it cannot be had the table grows later.
    unsafe {
        let last = libc::fcntl(libc::STDERR_FILENO, libc::F_DUPFD_CLOEXEC, DESCRIPTORS - 1);
        if last >= 0 {
            libc::close(last);
        }
    }
}

/// Whether the system lets this process become a user of that number, in no groups but its own.
fn become_user(user: u32) -> bool {
    // SAFETY: the calls take numbers and no list, and the C library makes them for all threads.
    unsafe {
        libc::setgroups(0, null()) == 0
            && libc::setresgid(user, user, user) == 0
            && libc::setresuid(user, user, user) == 0
    }
}

/// Gives up all capabilities of the calling thread.
fn drop_capabilities() -> Result<(), SystemError> {
    /// `_LINUX_CAPABILITY_VERSION_3`, and this thread.
    const HEADER: [u32; 2] = [0x2008_0522, 0];
    let none = [0_u32; 6];
    // SAFETY: header and sets are as long as this version has them, and are only read.
    let done = unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), none.as_ptr()) };
    match done {
        0 => Ok(()),
        _ => Err(SystemError::last("giving up capabilities")),
    }
}
