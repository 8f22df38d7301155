//! Calls itself for ever.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(overflows_the_stack);

fn overflows_the_stack(_: Contract) -> i32 {
    goes_deeper(0)
}

#[inline(never)]
fn goes_deeper(depth: i32) -> i32 {
    let mut room = [0u8; 512];
    core::hint::black_box(&mut room);
    if core::hint::black_box(true) {
        goes_deeper(depth.wrapping_add(1)) + i32::from(room[3])
    } else {
        depth
    }
}
