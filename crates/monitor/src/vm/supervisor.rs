//! The two pages that belong to ring 0: exception stubs with the tables that lead to them, and the
//! stack they run on.
//!
//! A stub pushes the vector (below the error code, which it pushes as zero where the processor does
//! not) and leaves with `out`. It changes no register and never goes back, so all that the instance was
//! doing can be read from outside.

use crate::layout::{EXIT_OFFSET, SUPERVISOR_ADDRESS};
use sprat_abi::PAGE_SIZE;
use sprat_abi::call::CallBlock;

/// The port of the two calls: the one port that the instance may use.
pub(crate) const CALL_PORT: u8 = 0xf0;

/// The port of the stubs, which ring 3 cannot use.
pub(crate) const FAULT_PORT: u8 = 0xf1;

/// Written to the [`CALL_PORT`] to yield. Anything else exits.
pub(crate) const CALL_YIELD: u8 = 0;

/// Selectors.
pub(crate) const USER_CODE: u16 = 0x20 | 3;
pub(crate) const USER_DATA: u16 = 0x18 | 3;
pub(crate) const TASK: u16 = 0x28;
const KERNEL_CODE: u16 = 0x08;

const STUB_SIZE: u64 = 8;
const VECTORS: u64 = 32;
const IDT_OFFSET: u64 = 0x200;
const GDT_OFFSET: u64 = 0x400;
const TSS_OFFSET: u64 = 0x480;
const TSS_SIZE: u64 = 104;
/// Bits for the ports up to the fault port, and the closing byte of ones.
const BITMAP_SIZE: u64 = 0x100 / 8 + 1;

/// Where `syscall` leads on processors that do not heed that it is switched off: to an instruction that
/// faults.
pub(crate) const SYSTEM_CALL_STUB: u64 = SUPERVISOR_ADDRESS + VECTORS * STUB_SIZE;

/// Length of both pages.
pub(crate) const LENGTH: u64 = 2 * PAGE_SIZE;

/// End of the stack: the end of the second page.
const STACK_END: u64 = SUPERVISOR_ADDRESS + LENGTH;

/// Tables as the processor's registers hold them: address and limit.
pub(crate) const GDT: (u64, u16) = (SUPERVISOR_ADDRESS + GDT_OFFSET, 7 * 8 - 1);
pub(crate) const IDT: (u64, u16) = (SUPERVISOR_ADDRESS + IDT_OFFSET, 32 * 16 - 1);
pub(crate) const TSS: (u64, u32) = (SUPERVISOR_ADDRESS + TSS_OFFSET, 104 + 33 - 1);

const _: () = {
    assert!(VECTORS * STUB_SIZE + 2 <= IDT_OFFSET);
    assert!(IDT_OFFSET + VECTORS * 16 <= GDT_OFFSET);
    assert!(TSS_OFFSET + TSS_SIZE + BITMAP_SIZE <= PAGE_SIZE);
    assert!(BITMAP_SIZE == 33);
};

/// Whether the processor pushes an error code for a vector.
const fn has_error_code(vector: u64) -> bool {
    matches!(vector, 8 | 10 | 11 | 12 | 13 | 14 | 17 | 21 | 29 | 30)
}

/// The first page: stubs, IDT, GDT, TSS. The second, the stack, starts as zeroes.
pub(crate) fn page() -> Vec<u8> {
    let mut page = vec![0xf4; sprat_abi::length(IDT_OFFSET)]; // hlt
    for vector in 0..VECTORS {
        let mut stub = vec![];
        if !has_error_code(vector) {
            stub.extend([0x6a, 0x00]); // push 0
        }
        stub.extend([0x6a, vector.to_le_bytes()[0]]); // push vector
        stub.extend([0xe6, FAULT_PORT]); // out FAULT_PORT, al
        let at = sprat_abi::length(vector * STUB_SIZE);
        page[at..at + stub.len()].copy_from_slice(&stub);
    }
    let at = sprat_abi::length(VECTORS * STUB_SIZE);
    page[at..at + 2].copy_from_slice(&[0x0f, 0x0b]); // ud2
    for vector in 0..VECTORS {
        page.extend(gate(SUPERVISOR_ADDRESS + vector * STUB_SIZE, vector));
    }
    page.resize(sprat_abi::length(GDT_OFFSET), 0);
    // Code and data of both rings, marked accessed so that nothing writes here, and the task.
    let task_low = 0x0000_8b00_0000_0000
        | u64::from(TSS.1)
        | (TSS.0 & 0xff_ffff) << 16
        | (TSS.0 >> 24 & 0xff) << 56;
    let segments = [
        0,
        0x00af_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        0x00cf_f300_0000_ffff,
        0x00af_fb00_0000_ffff,
        task_low,
        TSS.0 >> 32,
    ];
    page.extend(
        segments
            .iter()
            .flat_map(|segment: &u64| segment.to_le_bytes()),
    );
    page.resize(sprat_abi::length(TSS_OFFSET), 0);
    page.extend(task_segment());
    page.resize(sprat_abi::length(PAGE_SIZE), 0);
    page
}

/// An interrupt gate to a stub. All but the breakpoint's are closed to `int`, which then faults.
fn gate(target: u64, vector: u64) -> [u8; 16] {
    let interrupt_gate = 0x8e;
    let ring = if vector == 3 || vector == 4 {
        3 << 5
    } else {
        0
    };
    let [t0, t1, t2, t3, t4, t5, t6, t7] = target.to_le_bytes();
    let [s0, s1] = KERNEL_CODE.to_le_bytes();
    let stack = 1;
    [
        t0,
        t1,
        s0,
        s1,
        stack,
        interrupt_gate | ring,
        t2,
        t3,
        t4,
        t5,
        t6,
        t7,
        0,
        0,
        0,
        0,
    ]
}

/// The task: one interrupt stack, and the bitmap that opens one port.
fn task_segment() -> Vec<u8> {
    let mut task = vec![0; sprat_abi::length(TSS_SIZE)];
    task[4..12].copy_from_slice(&STACK_END.to_le_bytes()); // RSP0
    task[36..44].copy_from_slice(&STACK_END.to_le_bytes()); // IST1
    task[102..104].copy_from_slice(&104u16.to_le_bytes());
    let mut bitmap = vec![0xff; sprat_abi::length(BITMAP_SIZE)];
    bitmap[usize::from(CALL_PORT / 8)] &= !(1 << (CALL_PORT % 8));
    task.extend(bitmap);
    task
}

/// What a stub leaves at the stack pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StubFrame {
    pub(crate) vector: u64,
    pub(crate) error_code: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
}

impl StubFrame {
    pub(crate) const SIZE: usize = 56;

    pub(crate) fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut words = [0; 7];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        let [vector, error_code, rip, cs, rflags, rsp, _] = words;
        Self {
            vector,
            error_code,
            rip,
            cs,
            rflags,
            rsp,
        }
    }
}

/// The way out of the machine with [`CALL_YIELD`]: `xor eax, eax`, `out CALL_PORT, al`.
pub(super) const LEAVE: [u8; 4] = [0x31, 0xc0, 0xe6, CALL_PORT];

/// The code of the two calls, for a call block at this address.
pub(crate) fn calls(call_block: u64) -> Vec<u8> {
    let field = |offset: usize| (call_block + offset as u64).to_le_bytes();
    let mut code = LEAVE.to_vec();
    code.extend([0x48, 0xb8]); // mov rax, now
    code.extend(field(CallBlock::NOW_OFFSET));
    code.extend([0x48, 0x8b, 0x10]); // mov rdx, [rax]
    code.extend([0x48, 0xa1]); // mov rax, [ready]
    code.extend(field(CallBlock::READY_OFFSET));
    code.push(0xc3); // ret
    code.resize(sprat_abi::length(EXIT_OFFSET), 0xcc);
    code.extend([0x89, 0xf8]); // mov eax, edi
    code.extend([0x48, 0xa3]); // mov [status], rax
    code.extend(field(CallBlock::STATUS_OFFSET));
    code.extend([0xb0, 0x01]); // mov al, 1
    code.extend([0xe6, CALL_PORT]); // out CALL_PORT, al
    code.extend([0x0f, 0x0b]); // ud2
    code
}
