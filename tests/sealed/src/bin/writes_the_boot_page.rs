//! Overwrites the boot page.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(writes_the_boot_page);

#[inline(never)]
fn writes_the_boot_page(contract: Contract) -> i32 {
    let page = core::ptr::from_ref(contract.page())
        .cast_mut()
        .cast::<u64>();
    // SAFETY: none; that is the test.
    unsafe { page.write_volatile(0) };
    1
}
