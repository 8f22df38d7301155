//! The report of an instance that broke a rule: registers and backtrace, one fact a line, for a
//! person to read and for `sprat run` to add names to.

use core::fmt;

use crate::{calls, instance, power, serial};

/// What the handler's code saved, lowest address first.
#[repr(C)]
pub(crate) struct Saved {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
    vector: u64,
    error_code: u64,
    rip: u64,
    code_segment: u64,
    rflags: u64,
    rsp: u64,
}

/// Most calls that a backtrace has.
const DEPTH: usize = 64;

/// Called for every exception; the instance is over.
pub(crate) unsafe extern "C" fn fault(saved: &Saved, address: u64) -> ! {
    calls::say_rest();
    // The console fails in no way that could be told.
    let _ = report(&mut serial::Console, saved, address);
    power::off(power::FAULTED)
}

fn report(out: &mut dyn fmt::Write, saved: &Saved, address: u64) -> fmt::Result {
    write!(
        out,
        "sprat: fault vector {} error {:#x} address {address:#x}",
        saved.vector, saved.error_code
    )?;
    writeln!(out, " in {}", instance::region(address))?;
    let registers = [
        ("rax", saved.rax),
        ("rbx", saved.rbx),
        ("rcx", saved.rcx),
        ("rdx", saved.rdx),
        ("rsi", saved.rsi),
        ("rdi", saved.rdi),
        ("rbp", saved.rbp),
        ("rsp", saved.rsp),
        ("r8", saved.r8),
        ("r9", saved.r9),
        ("r10", saved.r10),
        ("r11", saved.r11),
        ("r12", saved.r12),
        ("r13", saved.r13),
        ("r14", saved.r14),
        ("r15", saved.r15),
        ("rip", saved.rip),
        ("rflags", saved.rflags),
    ];
    write!(out, "sprat: registers")?;
    for (name, value) in registers {
        write!(out, " {name}={value:#x}")?;
    }
    write!(out, "\nsprat: backtrace {:#x}", saved.rip)?;
    let mut pointer = saved.rbp;
    for _ in 0..DEPTH {
        // Frames lie on the instance's stack, each higher than the one it called.
        let (Some(next), Some(caller)) = (
            instance::stack_word(pointer),
            instance::stack_word(pointer.wrapping_add(8)),
        ) else {
            break;
        };
        if caller == 0 {
            break;
        }
        write!(out, " {caller:#x}")?;
        if next <= pointer {
            break;
        }
        pointer = next;
    }
    writeln!(out)
}
