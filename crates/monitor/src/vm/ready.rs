//! Machines that have no instance yet.

use super::machine::{RFLAGS, kvm_error};
use super::places::Places;
use super::supervisor::{self, CALL_PORT};
use super::warm::Alike;
use crate::image::Image;
use crate::instance::MonitorError;
use crate::memory::Mapping;
use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, Msrs, kvm_device_attr,
    kvm_dtable, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs, kvm_userspace_memory_region,
    kvm_xcrs,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use std::os::fd::AsRawFd;
use std::sync::Arc;

const CR0: u64 = 0x8005_0033;
const CR4_PAE: u64 = 1 << 5;
const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXMMEXCPT: u64 = 1 << 10;
const CR4_OSXSAVE: u64 = 1 << 18;
/// Long mode, and pages that are not executable. Without SCE, so `syscall` is no instruction.
const EFER: u64 = 1 << 8 | 1 << 10 | 1 << 11;
/// State of x87, SSE, AVX and AVX-512.
const VECTOR_STATE: u64 = 0xe7;

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

/// A machine as every image needs it: memory that is empty, and a processor whose registers are set
/// but for where its program is.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) vcpu: VcpuFd,
    // After the processor, which is part of it; its memory after that.
    pub(super) vm: VmFd,
    pub(super) memory: Arc<Mapping>,
    special: kvm_sregs,
    /// What it has been made ready for beyond that.
    warm: Warmth,
}

/// Whether a machine has been through an image.
#[derive(Debug)]
enum Warmth {
    /// Not yet.
    Fresh,
    /// Its memory is set up for instances like this one.
    For(Alike),
    /// That was for others: its memory is empty again, and only KVM still knows their page tables.
    Past,
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
            warm: Warmth::Fresh,
        })
    }

    /// Has the processor begin with these page tables and registers.
    pub(super) fn begin_at(
        &mut self,
        tables: u64,
        general: &kvm_regs,
    ) -> Result<(), kvm_ioctls::Error> {
        self.special.cr3 = tables;
        self.vcpu.set_sregs(&self.special)?;
        self.vcpu.set_regs(general)
    }

    /// Sets its memory up for an instance like that, and goes through the image's pages.
    pub(super) fn warm(&mut self, alike: Alike) -> Result<(), MonitorError> {
        let places = alike.places.clone();
        places.put_image(&self.memory, &alike.image)?;
        places.put_tables(&self.memory, places.tables);
        let (at, code) = alike.code();
        self.memory.write(at, &code);
        self.go_through(places.tables, alike.entry)?;
        // What the calls' page holds beside the calls.
        self.memory.write(at, &vec![0; code.len()]);
        self.warm = Warmth::For(alike);
        Ok(())
    }

    /// Runs code of the monitor's own in ring 3, until it leaves by the calls' port.
    fn go_through(&mut self, tables: u64, entry: u64) -> Result<(), MonitorError> {
        let failed = kvm_error("going through an image");
        let general = kvm_regs {
            rip: entry,
            rflags: RFLAGS,
            ..kvm_regs::default()
        };
        self.begin_at(tables, &general).map_err(&failed)?;
        loop {
            match self.vcpu.run() {
                Ok(VcpuExit::IoOut(port, _)) if port == u16::from(CALL_PORT) => break,
                Ok(VcpuExit::Intr) => {}
                Ok(_) => return Err(failed(kvm_ioctls::Error::new(libc::EIO))),
                Err(error) if error.errno() == libc::EINTR => {}
                Err(error) => return Err(failed(error)),
            }
        }
        // An output is over only when the processor is entered once more.
        self.vcpu.set_kvm_immediate_exit(1);
        let left = self.vcpu.run().map(drop);
        self.vcpu.set_kvm_immediate_exit(0);
        match left {
            Err(error) if error.errno() != libc::EINTR => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// Whether an instance of this image, with everything in these places, finds image and page tables
    /// where they belong.
    pub(super) fn is_warm_for(&self, image: &Image, places: &Places) -> bool {
        matches!(&self.warm, Warmth::For(alike) if alike.fits(image, places))
    }

    /// Empties its memory of what was put there for others.
    pub(super) fn cool(&mut self) -> Result<(), MonitorError> {
        if let Warmth::For(_) = self.warm {
            self.memory.clear()?;
            self.warm = Warmth::Past;
        }
        Ok(())
    }

    /// Where its page tables go.
    pub(super) fn tables(&self, places: &Places) -> u64 {
        match self.warm {
            Warmth::Past => places.other_tables(),
            Warmth::Fresh | Warmth::For(_) => places.tables,
        }
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
