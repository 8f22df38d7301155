//! Asks the host's kernel to open a file.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(asks_the_kernel);

#[inline(never)]
fn asks_the_kernel(_: Contract) -> i32 {
    let path = c"/etc/passwd".as_ptr();
    // SAFETY: none; that is the test.
    unsafe {
        core::arch::asm!("syscall", inout("rax") 2u64 => _, in("rdi") path, in("rsi") 0, in("rdx") 0, out("rcx") _, out("r11") _);
    }
    1
}
