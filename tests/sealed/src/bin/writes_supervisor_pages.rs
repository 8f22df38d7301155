//! Overwrites the table that leads to the exception stubs.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(writes_supervisor_pages);

#[inline(never)]
fn writes_supervisor_pages(_: Contract) -> i32 {
    let supervisor = sprat_abi::pointer(0x20_0200);
    // SAFETY: none; that is the test.
    unsafe { supervisor.write_volatile(0) };
    1
}
