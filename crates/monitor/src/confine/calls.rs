//! The system calls of a process that holds instances.

use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen};
use sprat_abi::boot::MonitorKind;

use crate::memory::SystemError;
use crate::sealing::{Calls, has, is};

/// Memory, threads, time, and what is open already. None of them names a file, a host or another
/// process.
const PLAIN: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_eventfd2,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_timer_create,
    libc::SYS_timer_delete,
    libc::SYS_timer_settime,
    libc::SYS_write,
    libc::SYS_writev,
];

/// What the process monitor needs besides: it starts processes from memory, traces them, and what they
/// do before they are sealed themselves they do under this filter too.
const FOR_PROCESSES: &[i64] = &[
    libc::SYS_clone,
    libc::SYS_close_range,
    libc::SYS_execveat,
    libc::SYS_kill,
    libc::SYS_landlock_restrict_self,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_pause,
    libc::SYS_pidfd_send_signal,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_process_vm_readv,
    libc::SYS_ptrace,
    libc::SYS_seccomp,
    libc::SYS_setrlimit,
    libc::SYS_unshare,
    libc::SYS_wait4,
];

/// `FIONBIO`, and the type of KVM's calls (`KVMIO`), in its place.
const NO_WAITING: u64 = 0x5421;
const KVM_TYPE: u64 = 0xae00;
const TYPE: u64 = 0xff00;

fn bits(value: i32) -> u64 {
    u64::from(value.unsigned_abs())
}

/// The filters of a process with this monitor. Of several, the strictest verdict counts.
pub(super) fn filters(monitor: MonitorKind) -> Result<[BpfProgram; 2], SystemError> {
    let mut calls = Calls::default();
    calls.add(PLAIN);
    let option = vec![is(1, SeccompCmpArgLen::Dword, bits(libc::SOL_SOCKET))?];
    calls.add_where(libc::SYS_setsockopt, option)?;
    // To nobody that is named: who has a packet socket could name any interface. What `sendmsg` names
    // the filter cannot see.
    let unnamed = vec![is(4, SeccompCmpArgLen::Qword, 0)?];
    calls.add_where(libc::SYS_sendto, unnamed)?;
    calls.add_where(libc::SYS_ioctl, vec![has(1, 0xffff_ffff, NO_WAITING)?])?;
    // The filter cannot see what this call asks for; the C library falls back to `clone`.
    calls.add(&[libc::SYS_clone3]);
    if monitor == MonitorKind::Process {
        calls.add(FOR_PROCESSES);
    } else {
        calls.add_where(libc::SYS_ioctl, vec![has(1, TYPE, KVM_TYPE)?])?;
        let thread = bits(libc::CLONE_THREAD);
        calls.add_where(libc::SYS_clone, vec![has(0, thread, thread)?])?;
        let code = bits(libc::PROT_EXEC);
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            calls.add_where(call, vec![has(2, code, 0)?])?;
        }
        let name = bits(libc::PR_SET_NAME);
        calls.add_where(libc::SYS_prctl, vec![is(0, SeccompCmpArgLen::Dword, name)?])?;
    }
    let refused = |code: i32| SeccompAction::Errno(code.unsigned_abs());
    let allowed = calls.filter(SeccompAction::Allow, refused(libc::EPERM))?;
    let mut unseen = Calls::default();
    unseen.add(&[libc::SYS_clone3]);
    let unseen = unseen.filter(refused(libc::ENOSYS), SeccompAction::Allow)?;
    // The first forbids to add the second.
    Ok([unseen, allowed])
}
