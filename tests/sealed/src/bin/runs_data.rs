//! Runs machine code from its data.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(runs_data);

static mut CODE: [u8; 64] = [0xc3; 64];

#[inline(never)]
fn runs_data(_: Contract) -> i32 {
    let code = core::hint::black_box(&raw mut CODE).cast::<u8>();
    // SAFETY: the write is sound; the call is the test.
    unsafe {
        code.write_volatile(0xc3);
        core::mem::transmute::<*const u8, extern "C" fn()>(code)()
    };
    core::hint::black_box(1)
}
