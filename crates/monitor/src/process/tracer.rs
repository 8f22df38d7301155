//! The thread that traces an instance's process.
//!
//! Tracing belongs to the thread that began it, and costs the process nothing until it stops. The
//! thread sleeps until the process faults, is stopped, or ends; it makes the report and hands the turn
//! back to whoever waits for the instance.

use super::spawn::{self, Child, Orders, Program};
use super::turn::Turn;
use crate::layout::Plan;
use crate::memory::SystemError;
use crate::report::{Cause, FaultReport, Registers, page_fault, vector};
use crate::{Protection, report_region};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::null_mut;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// How a process ended.
#[derive(Debug, Clone)]
pub(super) enum End {
    Exited(c_int),
    Signalled(c_int),
    Faulted(Box<FaultReport>),
}

#[derive(Debug, Default)]
struct State {
    end: Option<End>,
    /// Stopped by us; the registers it stopped with.
    stopped: Option<Registers>,
    resume: bool,
}

#[derive(Debug)]
struct Common {
    state: Mutex<State>,
    changed: Condvar,
    turn: Turn,
}

impl Common {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn wait<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(value) = ready(&mut state) {
                return value;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A process that waits for its program, and the thread that will trace it.
#[derive(Debug)]
pub(super) struct Prepared {
    orders: Arc<Orders>,
    /// What the thread will need to know of the instance.
    instance: SyncSender<(Arc<Plan>, Arc<Common>)>,
    child: Receiver<Result<Child, SystemError>>,
    thread: Option<JoinHandle<()>>,
}

impl Prepared {
    /// Begins to start a process, and does not wait for it.
    pub(super) fn begin() -> Result<Self, SystemError> {
        let orders = Arc::<Orders>::default();
        let (instance, instances) = sync_channel::<(Arc<Plan>, Arc<Common>)>(1);
        let (sender, child) = sync_channel(1);
        let thread = Builder::new()
            .name("sprat-tracer".into())
            .stack_size(128 << 10)
            .spawn({
                let orders = orders.clone();
                move || {
                    // This thread is the parent, so that the process ends when it does.
                    let child = spawn::start(&orders)
                        .and_then(|child| child.map(Child::seized).transpose());
                    match child {
                        Ok(None) => {}
                        Ok(Some(child)) => {
                            let id = child.id;
                            // Whoever asked waits for this message.
                            let _ = sender.send(Ok(child));
                            if let Ok((plan, common)) = instances.recv() {
                                trace(id, &plan, &common);
                            }
                        }
                        Err(error) => drop(sender.send(Err(error))),
                    }
                }
            })
            .map_err(|error| SystemError::new("starting a thread", error))?;
        Ok(Self {
            orders,
            instance,
            child,
            thread: Some(thread),
        })
    }

    /// Whether the process waits for its program, or will: somebody may have ended it.
    pub(super) fn is_waiting(&self) -> bool {
        self.orders.are_awaited()
    }

    /// Lets the process execute a program, and traces it. `plan` and `turn` are those of its instance.
    pub(super) fn execute(
        mut self,
        program: Program,
        plan: Arc<Plan>,
        turn: Turn,
    ) -> Result<Tracer, SystemError> {
        let common = Arc::new(Common {
            state: Mutex::default(),
            changed: Condvar::new(),
            turn,
        });
        // It holds one message, and the thread that reads it lives until it has sent a child.
        let _ = self.instance.send((plan, common.clone()));
        self.orders.execute(program);
        let gone = || {
            SystemError::new(
                "starting a process",
                std::io::Error::other("the tracer has ended"),
            )
        };
        let child = self.child.recv().map_err(|_| gone())?;
        let thread = self.thread.take();
        let Child {
            id,
            handle,
            namespaces,
        } = child?;
        Ok(Tracer {
            common,
            handle,
            id,
            namespaces,
            thread,
        })
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.orders.abandon();
            // It ends with its process, however that ends.
            let _ = thread.join();
        }
    }
}

/// A traced process.
#[derive(Debug)]
pub(super) struct Tracer {
    common: Arc<Common>,
    handle: OwnedFd,
    pub(super) id: libc::pid_t,
    pub(super) namespaces: bool,
    thread: Option<JoinHandle<()>>,
}

impl Tracer {
    /// How the process ended, if it has.
    pub(super) fn end(&self) -> Option<End> {
        self.common
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .end
            .clone()
    }

    /// Stops the process where it is; its registers, or `None` if it has ended.
    pub(super) fn stop(&self) -> Option<Registers> {
        self.signal(libc::SIGSTOP);
        self.common.wait(|state| match (&state.end, state.stopped) {
            (Some(_), _) => Some(None),
            (None, Some(registers)) => Some(Some(registers)),
            (None, None) => None,
        })
    }

    /// Lets a stopped process go on.
    pub(super) fn resume(&self) {
        self.common.change(|state| {
            state.resume = true;
            state.stopped = None;
        });
    }

    fn signal(&self, signal: c_int) {
        // SAFETY: the handle is of the process; no memory is passed.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.handle.as_raw_fd(),
                signal,
                0,
                0,
            )
        };
    }

    /// Ends the process.
    pub(super) fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.resume();
        if let Some(thread) = self.thread.take() {
            // It cannot panic in a way that matters: the process is gone either way.
            let _ = thread.join();
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Child {
    /// Begins to trace it. One that cannot be traced is ended, and leaves nothing behind.
    fn seized(self) -> Result<Self, SystemError> {
        let options = libc::PTRACE_O_EXITKILL;
        // SAFETY: the request takes numbers only.
        let done = unsafe { libc::ptrace(libc::PTRACE_SEIZE, self.id, 0usize, options as usize) };
        if done == 0 {
            return Ok(self);
        }
        let error = SystemError::last("tracing a process");
        // SAFETY: the process is a child that was not waited for, so the number is its own until this.
        unsafe {
            libc::kill(self.id, libc::SIGKILL);
            libc::waitpid(self.id, null_mut(), libc::__WALL);
        }
        Err(error)
    }
}

/// Waits for what happens to the process until it is gone.
fn trace(id: libc::pid_t, plan: &Plan, common: &Common) {
    loop {
        let mut status = 0;
        // SAFETY: the status outlives the call.
        let waited = unsafe { libc::waitpid(id, &raw mut status, libc::__WALL) };
        if waited != id {
            if std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) {
                continue;
            }
            finish(common, End::Signalled(libc::SIGKILL));
            return;
        }
        if libc::WIFEXITED(status) {
            finish(common, End::Exited(libc::WEXITSTATUS(status)));
            return;
        }
        if libc::WIFSIGNALED(status) {
            finish(common, End::Signalled(libc::WTERMSIG(status)));
            return;
        }
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        match signal {
            libc::SIGSEGV
            | libc::SIGBUS
            | libc::SIGILL
            | libc::SIGFPE
            | libc::SIGTRAP
            | libc::SIGSYS
                if event == 0 =>
            {
                let report = report(id, plan);
                finish(common, End::Faulted(Box::new(report)));
                // SAFETY: the process is a child that was not waited for, so the number is its own.
                unsafe { libc::kill(id, libc::SIGKILL) };
            }
            libc::SIGSTOP if event == 0 => {
                let registers = registers(id).unwrap_or_default();
                common.change(|state| {
                    state.stopped = Some(registers);
                    state.resume = false;
                });
                common.wait(|state| std::mem::take(&mut state.resume).then_some(()));
                go_on(id, 0);
            }
            _ => go_on(id, if event == 0 { signal } else { 0 }),
        }
    }
}

fn go_on(id: libc::pid_t, signal: c_int) {
    // SAFETY: the request takes numbers only.
    unsafe { libc::ptrace(libc::PTRACE_CONT, id, 0usize, signal as isize) };
}

/// Keeps the first end, and wakes whoever waits.
fn finish(common: &Common, end: End) {
    common.change(|state| {
        state.end.get_or_insert(end);
    });
    common.turn.hand_to_host();
}

fn registers(id: libc::pid_t) -> Option<Registers> {
    // SAFETY: all zeroes are valid registers; the request writes them and nothing else.
    let r = unsafe {
        let mut r: libc::user_regs_struct = std::mem::zeroed();
        if libc::ptrace(libc::PTRACE_GETREGS, id, 0usize, &raw mut r) != 0 {
            return None;
        }
        r
    };
    Some(Registers {
        rax: r.rax,
        rbx: r.rbx,
        rcx: r.rcx,
        rdx: r.rdx,
        rsi: r.rsi,
        rdi: r.rdi,
        rbp: r.rbp,
        rsp: r.rsp,
        r8: r.r8,
        r9: r.r9,
        r10: r.r10,
        r11: r.r11,
        r12: r.r12,
        r13: r.r13,
        r14: r.r14,
        r15: r.r15,
        rip: r.rip,
        rflags: r.eflags,
    })
}

/// A word of the process's memory.
fn read_word(id: libc::pid_t, address: u64) -> Option<u64> {
    let mut word = 0u64;
    let local = libc::iovec {
        iov_base: (&raw mut word).cast(),
        iov_len: 8,
    };
    let remote = libc::iovec {
        iov_base: sprat_abi::pointer(address).cast(),
        iov_len: 8,
    };
    // SAFETY: eight bytes are written to a word of ours; the other address is of the other process.
    let count = unsafe { libc::process_vm_readv(id, &raw const local, 1, &raw const remote, 1, 0) };
    (count == 8).then_some(word)
}

/// The report of a process that stopped with a signal no instance survives.
fn report(id: libc::pid_t, plan: &Plan) -> FaultReport {
    let registers = registers(id).unwrap_or_default();
    // SAFETY: all zeroes are a valid `siginfo_t`; the request writes it and nothing else.
    let info = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::ptrace(libc::PTRACE_GETSIGINFO, id, null_mut::<u8>(), &raw mut info);
        info
    };
    let cause = cause(&info, &registers, plan);
    let region = report_region(plan, &cause);
    FaultReport::new(cause, registers, region, |address| read_word(id, address))
}

/// The exception that a signal stands for. The kernel keeps the error code to itself; of a page fault
/// what it must have been is put together again: the page is there or not, the access came from ring 3,
/// and on a page that is there only what its protection forbids can have been tried.
fn cause(info: &libc::siginfo_t, registers: &Registers, plan: &Plan) -> Cause {
    const FROM_KERNEL: c_int = 0x80;
    const ACCESS_DENIED: c_int = 2;
    let exception = |vector| Cause::Exception {
        vector,
        error_code: 0,
        address: None,
    };
    match (info.si_signo, info.si_code) {
        (libc::SIGSEGV, FROM_KERNEL) => exception(vector::GENERAL_PROTECTION),
        (libc::SIGSEGV, code) => {
            // SAFETY: of this signal the field is set.
            let address = unsafe { info.si_addr() }.addr() as u64;
            let inside = |piece: &&crate::layout::Piece| {
                (piece.address..piece.address + piece.length).contains(&address)
            };
            let protection = plan
                .pieces
                .iter()
                .find(inside)
                .map(|piece| piece.protection);
            let mut error_code = page_fault::USER;
            if address == registers.rip && protection != Some(Protection::ReadExecute) {
                error_code |= page_fault::EXECUTE;
            } else if code == ACCESS_DENIED {
                error_code |= page_fault::WRITE;
            }
            if code == ACCESS_DENIED {
                error_code |= page_fault::PRESENT;
            }
            Cause::Exception {
                vector: vector::PAGE_FAULT,
                error_code,
                address: Some(address),
            }
        }
        (libc::SIGBUS, 1) => exception(vector::ALIGNMENT),
        (libc::SIGBUS, FROM_KERNEL) => exception(vector::STACK),
        (libc::SIGBUS, _) => Cause::Memory,
        (libc::SIGILL, _) => exception(vector::INVALID_OPCODE),
        (libc::SIGFPE, 1) => exception(vector::DIVIDE),
        (libc::SIGFPE, _) => exception(vector::SIMD),
        (libc::SIGTRAP, 1 | 2) => exception(vector::DEBUG),
        (libc::SIGTRAP, _) => exception(vector::BREAKPOINT),
        (libc::SIGSYS, _) => Cause::SystemCall {
            number: i64::from(refused_call(info)),
        },
        (number, _) => Cause::Signal { number },
    }
}

/// `si_syscall`, which libc has no name for: behind the address of the call.
fn refused_call(info: &libc::siginfo_t) -> c_int {
    const OFFSET: usize = 24;
    const { assert!(size_of::<libc::siginfo_t>() == 128) };
    // SAFETY: inside the structure, as asserted, and aligned; the kernel set it for this signal.
    unsafe {
        std::ptr::from_ref(info)
            .byte_add(OFFSET)
            .cast::<c_int>()
            .read()
    }
}
