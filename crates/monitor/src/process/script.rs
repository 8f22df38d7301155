//! The program that turns a fresh process into an instance, and the two calls.
//!
//! The process starts as a tiny static program, in which there is nothing but an interpreter of a
//! script: a list of system calls with their arguments, which the monitor wrote. The script maps the
//! pieces of the instance, gives everything else up, and jumps to the call page, whose code unmaps the
//! program itself, puts the filter on, and waits for the first entry.
//!
//! A step that fails leaves its error in R15 and its place in RBX and stops, for the monitor to see.

use crate::image::Protection;
use crate::layout::{CONTRACT_ADDRESS, Content, EXIT_OFFSET, Piece, Plan};
use sprat_abi::call::CallBlock;
use std::os::fd::RawFd;

/// Where the program lies, below everything of the instance.
pub(super) const PROGRAM_ADDRESS: u64 = 0x10_0000;

/// Value of the turn word while the instance is to run, while the host is, and before the first time.
pub(super) const TURN_INSTANCE: u32 = 1;
pub(super) const TURN_HOST: u32 = 0;
pub(super) const TURN_SETUP: u32 = 2;

/// One step: a system call. The layout is the interpreter's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Step {
    number: i64,
    arguments: [u64; 6],
    reserved: u64,
}

const _: () = assert!(size_of::<Step>() == 64);

/// A script, and what each of its steps is for.
#[derive(Debug, Default)]
pub(super) struct Script {
    steps: Vec<Step>,
    names: Vec<&'static str>,
}

// The interpreter. Its script follows; a step numbered -1 ends it with a jump.
std::arch::global_asm!(
    ".pushsection .rodata.sprat_process, \"a\"",
    ".globl sprat_interpreter_start",
    "sprat_interpreter_start:",
    "lea rbx, [rip + 5f]",
    "1: mov rax, [rbx]",
    "cmp rax, -1",
    "je 2f",
    "mov rdi, [rbx + 8]",
    "mov rsi, [rbx + 16]",
    "mov rdx, [rbx + 24]",
    "mov r10, [rbx + 32]",
    "mov r8, [rbx + 40]",
    "mov r9, [rbx + 48]",
    "syscall",
    "cmp rax, -4096",
    "ja 3f",
    "add rbx, 64",
    "jmp 1b",
    "2: jmp [rbx + 8]",
    "3: mov r15, rax",
    "4: mov eax, {pause}",
    "syscall",
    "jmp 4b",
    ".balign 64",
    "5:",
    ".globl sprat_interpreter_end",
    "sprat_interpreter_end:",
    ".popsection",
    pause = const libc::SYS_pause,
);

// The call page: yield, exit, the last part of setting up, and the facts they need.
std::arch::global_asm!(
    ".pushsection .rodata.sprat_process, \"a\"",
    ".globl sprat_calls_start",
    "sprat_calls_start:",
    // yield: hand the turn over, wake the host, wait for the turn.
    "10: mov rdi, [rip + 50f]",
    "xor eax, eax",
    "xchg [rdi], eax",
    "mov eax, {futex}",
    "mov esi, {wake}",
    "mov edx, 1",
    "syscall",
    "11: mov edx, [rdi]",
    "cmp edx, {turn_instance}",
    "je 12f",
    "mov eax, {futex}",
    "xor esi, esi",
    "xor r10d, r10d",
    "syscall",
    "jmp 11b",
    "12: mov rcx, [rip + 51f]",
    "mov rax, [rcx + {ready}]",
    "mov rdx, [rcx + {now}]",
    "ret",
    ".org sprat_calls_start + {exit_offset}",
    // exit: leave the status, say so, hand the turn over for good.
    "mov rdx, [rip + 51f]",
    "mov eax, edi",
    "mov [rdx + {status}], rax",
    "mov qword ptr [rdx + {exited}], 1",
    "mov rdi, [rip + 50f]",
    "xor eax, eax",
    "xchg [rdi], eax",
    "mov eax, {futex}",
    "mov esi, {wake}",
    "mov edx, 1",
    "syscall",
    "mov eax, {exit_group}",
    "xor edi, edi",
    "syscall",
    "ud2",
    ".org sprat_calls_start + {start_offset}",
    // start: unmap the program, put the filter on, wait for the first entry, begin with clean registers.
    "lea rbx, [rip]",
    "mov rdi, [rip + 52f]",
    "mov rsi, [rip + 53f]",
    "mov eax, {munmap}",
    "syscall",
    "test rax, rax",
    "js 20f",
    "mov edi, 1",
    "xor esi, esi",
    "lea rdx, [rip + 57f]",
    "mov eax, {seccomp}",
    "syscall",
    "test rax, rax",
    "js 20f",
    "mov rsp, [rip + 54f]",
    "call 10b",
    "xor eax, eax",
    "xor ebx, ebx",
    "xor ecx, ecx",
    "xor edx, edx",
    "xor esi, esi",
    "xor ebp, ebp",
    "xor r8d, r8d",
    "xor r9d, r9d",
    "xor r10d, r10d",
    "xor r11d, r11d",
    "xor r12d, r12d",
    "xor r13d, r13d",
    "xor r14d, r14d",
    "xor r15d, r15d",
    "mov rdi, [rip + 55f]",
    "jmp [rip + 56f]",
    "20: mov r15, rax",
    "21: mov eax, {pause}",
    "syscall",
    "jmp 21b",
    ".org sprat_calls_start + {facts_offset}",
    "50: .quad 0",
    "51: .quad 0",
    "52: .quad 0",
    "53: .quad 0",
    "54: .quad 0",
    "55: .quad 0",
    "56: .quad 0",
    "57: .quad 0",
    ".globl sprat_calls_end",
    "sprat_calls_end:",
    ".popsection",
    futex = const libc::SYS_futex,
    wake = const libc::FUTEX_WAKE,
    exit_group = const libc::SYS_exit_group,
    munmap = const libc::SYS_munmap,
    seccomp = const libc::SYS_seccomp,
    pause = const libc::SYS_pause,
    turn_instance = const TURN_INSTANCE,
    ready = const CallBlock::READY_OFFSET,
    now = const CallBlock::NOW_OFFSET,
    status = const CallBlock::STATUS_OFFSET,
    exited = const CallBlock::PRIVATE_OFFSET + 8,
    exit_offset = const EXIT_OFFSET,
    start_offset = const START_OFFSET,
    facts_offset = const FACTS_OFFSET,
);

const START_OFFSET: u64 = 512;
const FACTS_OFFSET: u64 = 1024;
const FILTER_OFFSET: u64 = FACTS_OFFSET + 10 * 8;

/// Machine code between two symbols of this program.
macro_rules! code {
    ($start:literal, $end:literal) => {{
        // SAFETY: both symbols are defined in this file, in this order, around bytes that never change.
        unsafe {
            unsafe extern "C" {
                #[link_name = $start]
                static START: u8;
                #[link_name = $end]
                static END: u8;
            }
            let (start, end) = (&raw const START, &raw const END);
            std::slice::from_raw_parts(start, end.addr() - start.addr())
        }
    }};
}

/// The contents of the call page.
pub(super) fn calls(plan: &Plan, entry: u64, program_length: u64, filter: &[u8]) -> Vec<u8> {
    let mut page = code!("sprat_calls_start", "sprat_calls_end").to_vec();
    page.truncate(sprat_abi::length(FACTS_OFFSET));
    let call_page = CONTRACT_ADDRESS + plan.call_page;
    let instructions = filter.len() as u64 / 8;
    let facts = [
        plan.boot.call_block + CallBlock::PRIVATE_OFFSET as u64,
        plan.boot.call_block,
        PROGRAM_ADDRESS,
        program_length,
        plan.stack_pointer(),
        CONTRACT_ADDRESS,
        entry,
        // A `sock_fprog`: length, and where the filter begins.
        instructions,
        call_page + FILTER_OFFSET,
        0,
    ];
    page.extend(facts.iter().flat_map(|fact| fact.to_le_bytes()));
    page.extend(filter);
    assert!(
        page.len() as u64 <= sprat_abi::PAGE_SIZE,
        "the filter fits the call page"
    );
    page
}

/// The descriptors that a script uses.
pub(super) struct Descriptors<'a> {
    /// Contract and pool.
    pub(super) board: RawFd,
    pub(super) image: RawFd,
    /// Granted files, by their place among the devices.
    pub(super) files: &'a [Option<RawFd>],
    pub(super) landlock: Option<RawFd>,
}

impl Script {
    /// The script that makes the instance of a plan. The pool begins at `pool_offset` of the board.
    pub(super) fn new(plan: &Plan, descriptors: &Descriptors<'_>, pool_offset: u64) -> Self {
        let mut script = Self::default();
        for piece in &plan.pieces {
            script.map(piece, descriptors, pool_offset);
        }
        let end = plan
            .pieces
            .iter()
            .map(|piece| piece.address + piece.length)
            .max()
            .unwrap_or(0);
        const TASK_END: u64 = 0x7fff_ffff_f000;
        let end = end.next_multiple_of(sprat_abi::PAGE_SIZE);
        script.step(
            "giving up all other memory",
            libc::SYS_munmap,
            [end, TASK_END - end, 0, 0, 0, 0],
        );
        let new_privileges = u64::from(libc::PR_SET_NO_NEW_PRIVS.unsigned_abs());
        script.step(
            "giving up privileges",
            libc::SYS_prctl,
            [new_privileges, 1, 0, 0, 0, 0],
        );
        if let Some(fd) = descriptors.landlock {
            let restrict = libc::SYS_landlock_restrict_self;
            script.step(
                "giving up files",
                restrict,
                [u64::from(fd.unsigned_abs()), 0, 0, 0, 0, 0],
            );
        }
        script.step(
            "closing descriptors",
            libc::SYS_close_range,
            [0, u64::from(u32::MAX), 0, 0, 0, 0],
        );
        let start = CONTRACT_ADDRESS + plan.call_page + START_OFFSET;
        script.step("", -1, [start, 0, 0, 0, 0, 0]);
        script
    }

    fn step(&mut self, name: &'static str, number: i64, arguments: [u64; 6]) {
        self.steps.push(Step {
            number,
            arguments,
            reserved: 0,
        });
        self.names.push(name);
    }

    fn map(&mut self, piece: &Piece, descriptors: &Descriptors<'_>, pool_offset: u64) {
        let protection = match piece.protection {
            Protection::Read => libc::PROT_READ,
            Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Protection::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        };
        let (name, kind, fd, offset) = match piece.content {
            Content::Contract(offset) => (
                "mapping the contract",
                libc::MAP_SHARED,
                descriptors.board,
                offset,
            ),
            Content::Pool => (
                "mapping the buffer pool",
                libc::MAP_SHARED,
                descriptors.board,
                pool_offset,
            ),
            Content::Image(offset) => (
                "mapping the image",
                libc::MAP_PRIVATE,
                descriptors.image,
                offset,
            ),
            Content::Zero => (
                "mapping heap and stack",
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            ),
            Content::File(index) => {
                let fd = descriptors
                    .files
                    .get(index)
                    .copied()
                    .flatten()
                    .unwrap_or(-1);
                ("mapping a granted file", libc::MAP_PRIVATE, fd, 0)
            }
        };
        let flags = kind | libc::MAP_FIXED_NOREPLACE;
        let arguments = [
            piece.address,
            piece.length,
            u64::from(protection.unsigned_abs()),
            u64::from(flags.unsigned_abs()),
            i64::from(fd).cast_unsigned(),
            offset,
        ];
        self.step(name, libc::SYS_mmap, arguments);
    }

    /// What the step was for that RBX stopped at.
    pub(super) fn step_at(&self, rbx: u64) -> &'static str {
        let first = PROGRAM_ADDRESS
            + HEADERS
            + code!("sprat_interpreter_start", "sprat_interpreter_end").len() as u64;
        rbx.checked_sub(first)
            .and_then(|offset| self.names.get(sprat_abi::length(offset / 64)).copied())
            .unwrap_or("putting the system call filter on")
    }

    /// The whole program: ELF headers, interpreter, script.
    pub(super) fn program(&self) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let body = code!("sprat_interpreter_start", "sprat_interpreter_end");
        let length = self.program_length();
        let halves = |file: &mut Vec<u8>, values: &[u16]| {
            file.extend(values.iter().flat_map(|v| v.to_le_bytes()))
        };
        let words = |file: &mut Vec<u8>, values: &[u32]| {
            file.extend(values.iter().flat_map(|v| v.to_le_bytes()))
        };
        let longs = |file: &mut Vec<u8>, values: &[u64]| {
            file.extend(values.iter().flat_map(|v| v.to_le_bytes()))
        };
        halves(&mut file, &[2, 62]); // an executable for x86-64
        words(&mut file, &[1]);
        longs(&mut file, &[PROGRAM_ADDRESS + HEADERS, 64, 0]);
        words(&mut file, &[0]);
        halves(&mut file, &[64, 56, 2, 0, 0, 0]);
        words(&mut file, &[1, 5]); // loaded to be read and executed
        longs(
            &mut file,
            &[0, PROGRAM_ADDRESS, PROGRAM_ADDRESS, length, length, 4096],
        );
        words(&mut file, &[0x6474_e551, 6]); // a stack that is not executable
        longs(&mut file, &[0, 0, 0, 0, 0, 16]);
        file.resize(sprat_abi::length(HEADERS), 0);
        file.extend(body);
        for step in &self.steps {
            longs(&mut file, &[step.number.cast_unsigned()]);
            longs(&mut file, &step.arguments);
            longs(&mut file, &[step.reserved]);
        }
        file
    }

    /// Length of the program in bytes.
    pub(super) fn program_length(&self) -> u64 {
        let body = code!("sprat_interpreter_start", "sprat_interpreter_end").len();
        HEADERS + (body + self.steps.len() * size_of::<Step>()) as u64
    }
}

/// Room for the program's ELF headers.
const HEADERS: u64 = 192;
