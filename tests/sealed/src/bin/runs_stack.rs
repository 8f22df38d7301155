//! Runs machine code from its stack.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(runs_stack);

#[inline(never)]
fn runs_stack(_: Contract) -> i32 {
    let code = core::hint::black_box([0xc3u8; 64]);
    // SAFETY: none; that is the test.
    unsafe { core::mem::transmute::<*const u8, extern "C" fn()>(code.as_ptr())() };
    core::hint::black_box(code);
    core::hint::black_box(1)
}
