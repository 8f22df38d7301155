//! Overwrites its own code.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(writes_text);

#[inline(never)]
fn writes_text(_: Contract) -> i32 {
    let code = (writes_text as *const ()).cast_mut().cast::<u8>();
    // SAFETY: none; that is the test.
    unsafe { code.write_volatile(0xc3) };
    1
}
