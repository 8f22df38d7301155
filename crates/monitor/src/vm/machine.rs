//! One virtual processor and its registers.

use super::supervisor::{self, CALL_PORT, CALL_YIELD, FAULT_PORT, StubFrame};
use crate::instance::MonitorError;
use crate::layout::{CONTRACT_ADDRESS, Plan};
use crate::memory::Mapping;
use crate::report::{Cause, Registers, vector};
use crate::tick::Running;
use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, Msrs, kvm_device_attr,
    kvm_dtable, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs, kvm_userspace_memory_region,
    kvm_xcrs,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

const CR0: u64 = 0x8005_0033;
const CR4_PAE: u64 = 1 << 5;
const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXMMEXCPT: u64 = 1 << 10;
const CR4_OSXSAVE: u64 = 1 << 18;
/// Long mode, and pages that are not executable. Without SCE, so `syscall` is no instruction.
const EFER: u64 = 1 << 8 | 1 << 10 | 1 << 11;
/// Interrupts are open, as in every program, though none comes. Where they are closed, some that
/// virtualize in hardware (Bochs 2.7 among them) keep the host's own from ending an entry.
const RFLAGS: u64 = 1 << 1 | 1 << 9;
/// State of x87, SSE, AVX and AVX-512.
const VECTOR_STATE: u64 = 0xe7;

fn kvm_error(call: &'static str) -> impl Fn(kvm_ioctls::Error) -> MonitorError {
    move |error| MonitorError::Kvm { call, error }
}

/// Does it again when a signal came between: a tick may be under way.
fn retried<T>(
    mut call: impl FnMut() -> Result<T, kvm_ioctls::Error>,
) -> Result<T, kvm_ioctls::Error> {
    loop {
        match call() {
            Err(error) if error.errno() == libc::EINTR => {}
            result => return result,
        }
    }
}

/// What is the same for every machine, worked out once.
#[derive(Debug)]
pub(super) struct Template {
    cpuid: CpuId,
    /// Vector state to switch on; 0 if the processor has no XSAVE.
    xcr0: u64,
}

impl Template {
    pub(super) fn new(kvm: &Kvm) -> Result<Self, MonitorError> {
        let cpuid = kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(kvm_error("asking what processors it offers"))?;
        let entries = cpuid.as_slice();
        let has_xsave = entries
            .iter()
            .any(|entry| entry.function == 1 && entry.ecx & 1 << 26 != 0);
        let state = entries
            .iter()
            .find(|entry| entry.function == 0xd && entry.index == 0);
        let xcr0 = match state {
            Some(state) if has_xsave => {
                (u64::from(state.edx) << 32 | u64::from(state.eax)) & VECTOR_STATE
            }
            _ => 0,
        };
        // AVX-512 is switched on whole or not at all.
        let xcr0 = if xcr0 & 0xe0 == 0xe0 {
            xcr0
        } else {
            xcr0 & !0xe0
        };
        Ok(Self { cpuid, xcr0 })
    }
}

/// Why a run ended.
pub(super) enum Exit {
    Yield,
    End,
    OutOfBudget,
    Fault(Cause, Box<Registers>),
}

/// A machine as every image needs it: memory that is empty, and a processor whose registers are set
/// but for where its program is.
#[derive(Debug)]
pub(super) struct Ready {
    vcpu: VcpuFd,
    // After the processor, which is part of it; its memory after that.
    vm: VmFd,
    pub(super) memory: Arc<Mapping>,
    special: kvm_sregs,
}

impl Ready {
    pub(super) fn new(kvm: &Kvm, template: &Template, length: u64) -> Result<Self, MonitorError> {
        let memory = Arc::new(Mapping::anonymous(length)?);
        let vm = retried(|| kvm.create_vm()).map_err(kvm_error("making a machine"))?;
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: memory.length(),
            userspace_addr: memory.base().expose_provenance() as u64,
        };
        // SAFETY: the mapping is kept as long as the machine.
        unsafe { vm.set_user_memory_region(region) }
            .map_err(kvm_error("giving the machine its memory"))?;
        let vcpu = retried(|| vm.create_vcpu(0)).map_err(kvm_error("making a processor"))?;
        vcpu.set_cpuid2(&template.cpuid)
            .map_err(kvm_error("describing the processor"))?;
        if template.xcr0 != 0 {
            let mut xcrs = kvm_xcrs {
                nr_xcrs: 1,
                ..kvm_xcrs::default()
            };
            xcrs.xcrs[0].value = template.xcr0;
            vcpu.set_xcrs(&xcrs)
                .map_err(kvm_error("switching vector registers on"))?;
        }
        share_counter(&vcpu);
        catch_system_calls(&vcpu)?;
        let mut special = vcpu.get_sregs().map_err(kvm_error("reading registers"))?;
        set_special(&mut special, template.xcr0 != 0);
        Ok(Self {
            vcpu,
            vm,
            memory,
            special,
        })
    }
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
        ready: Ready,
        entry: u64,
        plan: &Plan,
        tables: u64,
        supervisor_stack: u64,
    ) -> Result<Self, MonitorError> {
        let Ready {
            vcpu,
            vm,
            memory,
            mut special,
        } = ready;
        special.cr3 = tables;
        vcpu.set_sregs(&special)
            .map_err(kvm_error("setting registers"))?;
        let general = kvm_regs {
            rip: entry,
            rsp: plan.stack_pointer(),
            rdi: CONTRACT_ADDRESS,
            rflags: RFLAGS,
            ..kvm_regs::default()
        };
        vcpu.set_regs(&general)
            .map_err(kvm_error("setting registers"))?;
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

/// `syscall` is switched off. Where KVM works without hardware virtualization it enters ring 0 all the
/// same, at the address in this register.
fn catch_system_calls(vcpu: &VcpuFd) -> Result<(), MonitorError> {
    const LSTAR: u32 = 0xc000_0082;
    let entry = kvm_msr_entry {
        index: LSTAR,
        data: supervisor::SYSTEM_CALL_STUB,
        ..kvm_msr_entry::default()
    };
    let failed = kvm_error("closing the entry for system calls");
    let none = |_| failed(kvm_ioctls::Error::new(libc::ENOMEM));
    let entries = Msrs::from_entries(&[entry]).map_err(none)?;
    match vcpu.set_msrs(&entries).map_err(&failed)? {
        1 => Ok(()),
        _ => Err(failed(kvm_ioctls::Error::new(libc::EINVAL))),
    }
}

/// Makes the instance see the host's own time stamp counter. Where KVM knows no such thing (without
/// hardware virtualization) the instance sees it in any case.
fn share_counter(vcpu: &VcpuFd) {
    /// `KVM_SET_DEVICE_ATTR`, which kvm-ioctls offers for other processors only.
    const SET_DEVICE_ATTR: libc::c_ulong = 0x4018_aee1;
    let offset = 0u64;
    let attribute = kvm_device_attr {
        flags: 0,
        group: KVM_VCPU_TSC_CTRL,
        attr: u64::from(KVM_VCPU_TSC_OFFSET),
        addr: std::ptr::from_ref(&offset).expose_provenance() as u64,
    };
    // SAFETY: the request reads the attribute and the number it leads to; both outlive the call.
    unsafe { libc::ioctl(vcpu.as_raw_fd(), SET_DEVICE_ATTR, &raw const attribute) };
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

fn set_special(special: &mut kvm_sregs, vectors: bool) {
    let code = kvm_segment {
        limit: u32::MAX,
        selector: supervisor::USER_CODE,
        type_: 0xb,
        present: 1,
        dpl: 3,
        s: 1,
        l: 1,
        g: 1,
        ..kvm_segment::default()
    };
    let data = kvm_segment {
        selector: supervisor::USER_DATA,
        type_: 3,
        l: 0,
        db: 1,
        ..code
    };
    special.cs = code;
    special.ss = data;
    special.ds = data;
    special.es = data;
    special.fs = data;
    special.gs = data;
    special.tr = kvm_segment {
        base: supervisor::TSS.0,
        limit: supervisor::TSS.1,
        selector: supervisor::TASK,
        type_: 0xb,
        present: 1,
        ..kvm_segment::default()
    };
    special.ldt = kvm_segment {
        unusable: 1,
        ..kvm_segment::default()
    };
    special.gdt = kvm_dtable {
        base: supervisor::GDT.0,
        limit: supervisor::GDT.1,
        ..kvm_dtable::default()
    };
    special.idt = kvm_dtable {
        base: supervisor::IDT.0,
        limit: supervisor::IDT.1,
        ..kvm_dtable::default()
    };
    special.cr0 = CR0;
    special.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | if vectors { CR4_OSXSAVE } else { 0 };
    special.efer = EFER;
}
