//! Never comes back.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(spins);

#[inline(never)]
fn spins(_: Contract) -> i32 {
    loop {
        core::hint::spin_loop();
    }
}
