//! Writes to a port that is not open to it.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(uses_a_port);

#[inline(never)]
fn uses_a_port(_: Contract) -> i32 {
    // SAFETY: none; that is the test.
    unsafe { core::arch::asm!("out 0xf1, al", in("al") 0u8) };
    1
}
