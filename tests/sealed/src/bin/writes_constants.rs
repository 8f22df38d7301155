//! Overwrites its read-only data.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(writes_constants);

static CONSTANT: [u8; 64] = [7; 64];

#[inline(never)]
fn writes_constants(_: Contract) -> i32 {
    let constant = (&raw const CONSTANT).cast_mut().cast::<u8>();
    // SAFETY: none; that is the test.
    unsafe { constant.write_volatile(8) };
    1
}
