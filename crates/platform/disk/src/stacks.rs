//! Stacks, each with a page under it that is left out of the page tables.

/// Bytes of a stack.
const SIZE: usize = 16 << 10;

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// A stack.
#[repr(C, align(4096))]
pub(crate) struct Stack {
    guard: [u8; PAGE],
    memory: [u8; SIZE],
}

impl Stack {
    const fn new() -> Self {
        Self {
            guard: [0; PAGE],
            memory: [0; SIZE],
        }
    }
}

/// Distance from a stack's address to its end.
pub(crate) const STACK_SIZE: usize = size_of::<Stack>();

/// What is used until the instance is entered.
pub(crate) static mut BOOT: Stack = Stack::new();
/// What exceptions are handled on.
pub(crate) static mut EXCEPTIONS: Stack = Stack::new();
/// What interrupts are handled on.
pub(crate) static mut INTERRUPTS: Stack = Stack::new();
/// What failures of the handling, and of the machine, are handled on.
pub(crate) static mut FAILURES: Stack = Stack::new();

/// The guard pages' addresses.
pub(crate) fn guards() -> [u64; 4] {
    [
        &raw const BOOT,
        &raw const EXCEPTIONS,
        &raw const INTERRUPTS,
        &raw const FAILURES,
    ]
    .map(|stack| stack.addr() as u64)
}
