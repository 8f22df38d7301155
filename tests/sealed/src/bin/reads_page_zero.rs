//! Reads through a null pointer, with an offset.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(reads_page_zero);

#[inline(never)]
fn reads_page_zero(_: Contract) -> i32 {
    let nothing = core::hint::black_box(core::ptr::null::<u8>());
    // SAFETY: none; that is the test.
    i32::from(unsafe { nothing.wrapping_add(40).read_volatile() })
}
