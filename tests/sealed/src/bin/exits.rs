//! Exits with whatever its configuration says.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(exits);

#[inline(never)]
fn exits(contract: Contract) -> i32 {
    match contract.configuration() {
        &[a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
        _ => 3,
    }
}
