//! Executes an instruction that only a kernel may execute.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(halts);

#[inline(never)]
fn halts(_: Contract) -> i32 {
    // SAFETY: none; that is the test.
    unsafe { core::arch::asm!("hlt") };
    1
}
