//! Asks where its page tables are.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(writes_page_tables);

#[inline(never)]
fn writes_page_tables(_: Contract) -> i32 {
    let tables: u64;
    // SAFETY: none; that is the test.
    unsafe {
        core::arch::asm!("mov {}, cr3", out(reg) tables);
        sprat_abi::pointer(tables).write_volatile(7);
    }
    1
}
