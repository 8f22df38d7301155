//! One virtual processor and its registers.

use super::ready::Ready;
use super::supervisor::{self, CALL_PORT, CALL_YIELD, FAULT_PORT, StubFrame};
use crate::instance::MonitorError;
use crate::layout::{CONTRACT_ADDRESS, Plan};
use crate::memory::Mapping;
use crate::report::{Cause, Registers, vector};
use crate::tick::Running;
use kvm_bindings::kvm_regs;
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use std::sync::Arc;
use std::time::Duration;

/// Interrupts are open, as in every program, though none comes. Where they are closed, some that
/// virtualize in hardware (Bochs 2.7 among them) keep the host's own from ending an entry.
pub(super) const RFLAGS: u64 = 1 << 1 | 1 << 9;

pub(super) fn kvm_error(call: &'static str) -> impl Fn(kvm_ioctls::Error) -> MonitorError {
    move |error| MonitorError::Kvm { call, error }
}

/// Why a run ended.
pub(super) enum Exit {
    Yield,
    End,
    OutOfBudget,
    Fault(Cause, Box<Registers>),
}

/// A virtual machine with one virtual processor.
#[derive(Debug)]
pub(super) struct Machine {
    vcpu: VcpuFd,
    // After the processor, which is part of it; its memory after that.
    _vm: VmFd,
    memory: Arc<Mapping>,
    supervisor_stack: u64,
}

impl Machine {
    /// Gives a machine, whose memory has been filled, its program.
    pub(super) fn new(
        mut ready: Ready,
        entry: u64,
        plan: &Plan,
        tables: u64,
        supervisor_stack: u64,
    ) -> Result<Self, MonitorError> {
        let general = kvm_regs {
            rip: entry,
            rsp: plan.stack_pointer(),
            rdi: CONTRACT_ADDRESS,
            rflags: RFLAGS,
            ..kvm_regs::default()
        };
        ready
            .begin_at(tables, &general)
            .map_err(kvm_error("setting registers"))?;
        let Ready {
            vcpu, vm, memory, ..
        } = ready;
        Ok(Self {
            vcpu,
            _vm: vm,
            memory,
            supervisor_stack,
        })
    }

    /// Runs until the instance leaves, or for `budget` from `start`.
    pub(super) fn run(&mut self, start: u64, budget: Duration) -> Result<Exit, MonitorError> {
        let flag = &raw mut self.vcpu.get_kvm_run().immediate_exit;
        // SAFETY: the flag lies in the processor's own mapping, which lives longer than the run.
        let _running = unsafe { Running::new(flag) }?;
        let cause = loop {
            match self.vcpu.run() {
                Ok(VcpuExit::IoOut(port, data)) if port == u16::from(CALL_PORT) => {
                    return Ok(if data.first() == Some(&CALL_YIELD) {
                        Exit::Yield
                    } else {
                        Exit::End
                    });
                }
                Ok(VcpuExit::IoOut(port, _)) if port == u16::from(FAULT_PORT) => {
                    return self.exception();
                }
                Ok(VcpuExit::Intr) => {}
                Ok(VcpuExit::InternalError) => break Cause::Machine { reason: 17 },
                Ok(VcpuExit::Shutdown) => break Cause::Machine { reason: 8 },
                Ok(VcpuExit::IoIn(..) | VcpuExit::IoOut(..)) => break Cause::Machine { reason: 2 },
                Ok(_) => {
                    break Cause::Machine {
                        reason: self.vcpu.get_kvm_run().exit_reason,
                    };
                }
                Err(error) if error.errno() == libc::EINTR => {}
                Err(error) if error.errno() == libc::EFAULT => break Cause::Memory,
                Err(error) => return Err(kvm_error("running the processor")(error)),
            }
            self.vcpu.set_kvm_immediate_exit(0);
            let elapsed = crate::clock::monotonic_now().saturating_sub(start);
            if u128::from(elapsed) >= budget.as_nanos() {
                return Ok(Exit::OutOfBudget);
            }
        };
        let registers = self
            .vcpu
            .get_regs()
            .map(|regs| registers(&regs))
            .unwrap_or_default();
        Ok(Exit::Fault(cause, Box::new(registers)))
    }

    /// A stub left: reads what it pushed.
    #[cold]
    fn exception(&self) -> Result<Exit, MonitorError> {
        let regs = self
            .vcpu
            .get_regs()
            .map_err(kvm_error("reading registers"))?;
        let special = self
            .vcpu
            .get_sregs()
            .map_err(kvm_error("reading registers"))?;
        let mut bytes = [0; StubFrame::SIZE];
        // The stack pointer is on the stubs' own page: the processor put it there.
        let within = regs.rsp % sprat_abi::PAGE_SIZE;
        self.memory.read(self.supervisor_stack + within, &mut bytes);
        let frame = StubFrame::from_bytes(&bytes);
        let vector = frame.vector.to_le_bytes()[0];
        let cause = Cause::Exception {
            vector,
            error_code: frame.error_code,
            address: (vector == vector::PAGE_FAULT).then_some(special.cr2),
        };
        if frame.rip == supervisor::SYSTEM_CALL_STUB {
            // The instruction left the address behind it in RCX.
            let rip = regs.rcx.wrapping_sub(2);
            let at_call = Registers {
                rip,
                rsp: frame.rsp,
                rflags: regs.r11,
                ..registers(&regs)
            };
            let number = regs.rax.cast_signed();
            return Ok(Exit::Fault(Cause::SystemCall { number }, Box::new(at_call)));
        }
        let at_fault = Registers {
            rip: frame.rip,
            rsp: frame.rsp,
            rflags: frame.rflags,
            ..registers(&regs)
        };
        Ok(Exit::Fault(cause, Box::new(at_fault)))
    }
}

fn registers(r: &kvm_regs) -> Registers {
    Registers {
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
        rflags: r.rflags,
    }
}
