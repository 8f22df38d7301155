//! What is said about an instance that broke a rule.

use crate::symbols::Symbols;
use std::fmt;

/// General registers at the moment of a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the processor's own")]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
}

/// What rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The processor raised an exception.
    Exception {
        /// Its vector.
        vector: u8,
        /// Its error code; 0 for a vector that has none, and where the system keeps it to itself.
        error_code: u64,
        /// For a page fault the address that was to be reached.
        address: Option<u64>,
    },
    /// The instance asked the host's kernel for something. The number is the call's.
    SystemCall {
        /// Number of the call.
        number: i64,
    },
    /// A signal that no exception stands for.
    Signal {
        /// Number of the signal.
        number: i32,
    },
    /// A page of memory could not be had: a granted file shrank, or the host has no memory left.
    Memory,
    /// The virtual processor stopped in a way that only a faulty monitor explains. The number is KVM's
    /// reason.
    Machine {
        /// KVM's exit reason, or its internal error.
        reason: u32,
    },
}

/// Vectors of the exceptions that reports call by name.
pub mod vector {
    /// Division by zero, or a quotient too large.
    pub const DIVIDE: u8 = 0;
    /// Single step.
    pub const DEBUG: u8 = 1;
    /// `int3`, by which an image says that it panicked; the message is on its console.
    pub const BREAKPOINT: u8 = 3;
    /// An instruction that does not exist, or `ud2`.
    pub const INVALID_OPCODE: u8 = 6;
    /// A segment that is not present: `int` to a gate that is not there.
    pub const SEGMENT_NOT_PRESENT: u8 = 11;
    /// The stack segment: an address that is not canonical, by RSP or RBP.
    pub const STACK: u8 = 12;
    /// Something that only a kernel may do, or an address that is not canonical.
    pub const GENERAL_PROTECTION: u8 = 13;
    /// Memory that is not there or not to be used so.
    pub const PAGE_FAULT: u8 = 14;
    /// The x87 unit.
    pub const X87: u8 = 16;
    /// Misaligned access, where that is checked.
    pub const ALIGNMENT: u8 = 17;
    /// The SSE and AVX units.
    pub const SIMD: u8 = 19;
}

/// Bits of a page fault's error code.
pub mod page_fault {
    /// The page is there, and its protection forbids what was tried.
    pub const PRESENT: u64 = 1 << 0;
    /// It was a write.
    pub const WRITE: u64 = 1 << 1;
    /// It came from ring 3.
    pub const USER: u64 = 1 << 2;
    /// It was an instruction to be executed.
    pub const EXECUTE: u64 = 1 << 4;
}

/// One call that was under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Address of the instruction, or of the one a call returns to.
    pub address: u64,
    /// Function and place, if the symbols were found; innermost of inlined ones first.
    pub names: Vec<Name>,
}

/// A function, and a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The function, demangled.
    pub function: String,
    /// Source file and line.
    pub place: Option<(String, u32)>,
}

/// The report of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// What rule was broken.
    pub cause: Cause,
    /// The registers.
    pub registers: Registers,
    /// The calls under way, innermost first, by the chain of frame pointers.
    pub backtrace: Vec<Frame>,
    /// Where the address of a page fault lies: `stack guard`, `page zero`, `image text`, ...
    pub region: Option<&'static str>,
}

/// Most frames that a backtrace has.
pub const BACKTRACE_LIMIT: usize = 64;

impl FaultReport {
    /// Follows the chain of frame pointers. `read` reads eight bytes of the instance's memory.
    pub(crate) fn new(
        cause: Cause,
        registers: Registers,
        region: Option<&'static str>,
        read: impl Fn(u64) -> Option<u64>,
    ) -> Self {
        let mut addresses = vec![registers.rip];
        // A call to nowhere: the caller is on top of the stack.
        if let Cause::Exception {
            vector: vector::PAGE_FAULT,
            error_code,
            address,
        } = cause
            && (error_code & page_fault::EXECUTE != 0 || address == Some(registers.rip))
            && let Some(caller) = read(registers.rsp)
        {
            addresses.push(caller);
        }
        let mut pointer = registers.rbp;
        while addresses.len() < BACKTRACE_LIMIT && pointer.is_multiple_of(8) && pointer != 0 {
            let (Some(next), Some(caller)) =
                (read(pointer), pointer.checked_add(8).and_then(&read))
            else {
                break;
            };
            if caller == 0 {
                break;
            }
            addresses.push(caller);
            // The stack grows down, so frames further out lie higher; anything else is no chain.
            if next <= pointer {
                break;
            }
            pointer = next;
        }
        let frame = |address| Frame {
            address,
            names: vec![],
        };
        Self {
            cause,
            registers,
            backtrace: addresses.into_iter().map(frame).collect(),
            region,
        }
    }

    /// Who asked for memory when there was none left, where that was the end of an instance whose
    /// functions are named: the innermost function of the call that is no library's.
    #[must_use]
    pub fn out_of_memory(&self) -> Option<&Name> {
        let mut names = self.backtrace.iter().flat_map(|frame| &frame.names);
        names.find(|name| name.function.contains("handle_alloc_error"))?;
        let own = |name: &&Name| {
            let place = name.place.as_ref().map(|(file, _)| file.as_str());
            // Where the standard library's sources are, and those of other packages.
            let library = ["/rustc/", "/.cargo/registry/"];
            place.is_some_and(|file| !library.iter().any(|path| file.contains(path)))
        };
        let mut callers = names.filter(own).peekable();
        let nearest = callers.peek().copied();
        // A closure has no name that says anything; the function it is called in has.
        callers
            .find(|name| !name.function.starts_with("{closure"))
            .or(nearest)
    }

    /// Adds function names and places.
    pub fn name_frames(&mut self, symbols: &Symbols) {
        for (depth, frame) in self.backtrace.iter_mut().enumerate() {
            // A caller's address is that of the instruction after the call, maybe of another line.
            let address = if depth == 0 {
                frame.address
            } else {
                frame.address.saturating_sub(1)
            };
            frame.names = symbols.lookup(address);
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exception {
                vector: vector::PAGE_FAULT,
                error_code,
                address,
            } => {
                let verb = if error_code & page_fault::EXECUTE != 0 {
                    "executed"
                } else if error_code & page_fault::WRITE != 0 {
                    "wrote"
                } else {
                    "read"
                };
                let what = if error_code & page_fault::PRESENT != 0 {
                    "protected"
                } else {
                    "unmapped"
                };
                write!(f, "page fault: {verb} {what} memory")?;
                if let Some(address) = address {
                    write!(f, " at {address:#x}")?;
                }
                write!(f, " (vector 14, error code {error_code:#x})")
            }
            Self::Exception {
                vector, error_code, ..
            } => {
                let name = match vector {
                    vector::DIVIDE => "division by zero",
                    vector::DEBUG => "debug trap",
                    vector::BREAKPOINT => "panic or breakpoint",
                    vector::INVALID_OPCODE => "invalid instruction",
                    vector::SEGMENT_NOT_PRESENT => "segment not present",
                    vector::STACK => "stack segment fault",
                    vector::GENERAL_PROTECTION => {
                        "protection fault: a privileged instruction or an impossible address"
                    }
                    vector::X87 | vector::SIMD => "floating point exception",
                    vector::ALIGNMENT => "misaligned access",
                    _ => "exception",
                };
                write!(f, "{name} (vector {vector}, error code {error_code:#x})")
            }
            Self::SystemCall { number } => {
                write!(f, "asked the host's kernel for system call {number}")
            }
            Self::Signal { number } => write!(f, "was ended by signal {number}"),
            Self::Memory => f.write_str(
                "memory could not be had: a granted file shrank or the host has none left",
            ),
            Self::Machine { reason } => {
                write!(f, "the virtual processor stopped for reason {reason}")
            }
        }
    }
}

impl fmt::Display for FaultReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first line is all that a table shows, and how memory that is gone ends an instance says
        // nothing.
        if let Some(name) = self.out_of_memory() {
            write!(f, "out of memory: {} asked for more", name.function)?;
            if let Some((file, line)) = &name.place {
                write!(f, " at {file}:{line}")?;
            }
            write!(f, "\n  ")?;
        }
        write!(f, "{}", self.cause)?;
        if let Some(region) = self.region {
            write!(f, ", in the {region}")?;
        }
        writeln!(f)?;
        for (depth, frame) in self.backtrace.iter().enumerate() {
            match frame.names.as_slice() {
                [] => writeln!(f, "  {depth:2}: {:#x}", frame.address)?,
                names => {
                    for name in names {
                        write!(f, "  {depth:2}: {:#x} {}", frame.address, name.function)?;
                        match &name.place {
                            Some((file, line)) => writeln!(f, " at {file}:{line}")?,
                            None => writeln!(f)?,
                        }
                    }
                }
            }
        }
        let r = &self.registers;
        let rows = [
            [
                ("rax", r.rax),
                ("rbx", r.rbx),
                ("rcx", r.rcx),
                ("rdx", r.rdx),
            ],
            [
                ("rsi", r.rsi),
                ("rdi", r.rdi),
                ("rbp", r.rbp),
                ("rsp", r.rsp),
            ],
            [("r8 ", r.r8), ("r9 ", r.r9), ("r10", r.r10), ("r11", r.r11)],
            [
                ("r12", r.r12),
                ("r13", r.r13),
                ("r14", r.r14),
                ("r15", r.r15),
            ],
        ];
        for row in rows {
            f.write_str(" ")?;
            for (name, value) in row {
                write!(f, " {name} {value:016x}")?;
            }
            writeln!(f)?;
        }
        write!(f, "  rip {:016x} rflags {:08x}", r.rip, r.rflags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn chase(memory: &[(u64, u64)], registers: Registers) -> Vec<u64> {
        let memory: HashMap<u64, u64> = memory.iter().copied().collect();
        let cause = Cause::Exception {
            vector: 6,
            error_code: 0,
            address: None,
        };
        let report = FaultReport::new(cause, registers, None, |address| {
            memory.get(&address).copied()
        });
        report.backtrace.iter().map(|frame| frame.address).collect()
    }

    #[test]
    fn the_chain_of_frame_pointers_is_followed_to_its_end() {
        let registers = Registers {
            rip: 1,
            rbp: 0x1000,
            ..Registers::default()
        };
        let memory = [
            (0x1000, 0x1020),
            (0x1008, 2),
            (0x1020, 0x1040),
            (0x1028, 3),
            (0x1040, 0),
            (0x1048, 0),
        ];
        assert_eq!(chase(&memory, registers), [1, 2, 3]);
    }

    #[test]
    fn a_chain_that_goes_round_or_astray_ends() {
        let registers = Registers {
            rip: 1,
            rbp: 0x1000,
            ..Registers::default()
        };
        assert_eq!(chase(&[(0x1000, 0x1000), (0x1008, 2)], registers), [1, 2]);
        assert_eq!(chase(&[(0x1000, 0x2003), (0x1008, 2)], registers), [1, 2]);
        assert_eq!(chase(&[], registers), [1]);
        let wild = Registers {
            rbp: u64::MAX - 7,
            ..registers
        };
        assert_eq!(chase(&[(u64::MAX - 7, 5)], wild), [1]);
    }

    #[test]
    fn who_asked_for_memory_is_the_nearest_function_that_is_no_library_s() {
        let name = |function: &str, file: &str| Name {
            function: function.into(),
            place: Some((file.into(), 5)),
        };
        let frame = |names: &[Name]| Frame {
            address: 1,
            names: names.into(),
        };
        let cause = Cause::Exception {
            vector: vector::BREAKPOINT,
            error_code: 0,
            address: None,
        };
        let mut report = FaultReport::new(cause, Registers::default(), None, |_| None);
        report.backtrace = vec![
            frame(&[name("panic", "platform/entry.rs")]),
            frame(&[name(
                "alloc::alloc::handle_alloc_error",
                "/rustc/1/alloc.rs",
            )]),
            frame(&[
                name("with_capacity_in", "/rustc/1/raw_vec.rs"),
                name("{closure#0}", "src/zone.rs"),
                name("read_zone", "src/zone.rs"),
            ]),
            frame(&[name("main", "src/main.rs")]),
        ];
        assert_eq!(
            report.out_of_memory(),
            Some(&name("read_zone", "src/zone.rs"))
        );
        let line = "out of memory: read_zone asked for more at src/zone.rs:5\n";
        assert!(report.to_string().starts_with(line), "{report}");
        report.backtrace.remove(1);
        assert_eq!(report.out_of_memory(), None);
    }

    #[test]
    fn a_call_to_nowhere_names_its_caller() {
        let registers = Registers {
            rip: 0,
            rsp: 0x500,
            ..Registers::default()
        };
        let cause = Cause::Exception {
            vector: 14,
            error_code: 0x14,
            address: Some(0),
        };
        let report = FaultReport::new(cause, registers, Some("page zero"), |at| {
            (at == 0x500).then_some(77)
        });
        assert_eq!(report.backtrace[1].address, 77);
        let text = report.to_string();
        let first = "page fault: executed unmapped memory at 0x0 (vector 14, error code 0x14), in the page zero\n";
        assert!(text.starts_with(first), "{text}");
    }
}
