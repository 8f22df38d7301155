//! Writes to its console without end.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(floods_the_console);

#[inline(never)]
fn floods_the_console(contract: Contract) -> i32 {
    // SAFETY: the only producer in this image.
    let Some(mut console) = (unsafe { contract.console() }) else {
        return 2;
    };
    loop {
        match console.write(b"drip, drop; ") {
            Ok(1..) => {}
            Ok(0) => drop(contract.yield_until(sprat_abi::call::AT_ONCE)),
            Err(_) => return 3,
        }
    }
}
