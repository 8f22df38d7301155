//! Runs machine code from its heap.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(runs_heap);

#[inline(never)]
fn runs_heap(contract: Contract) -> i32 {
    let heap = sprat_abi::pointer(contract.page().heap.address);
    // SAFETY: the write is sound; the call is the test.
    unsafe {
        heap.write_volatile(0xc3);
        core::mem::transmute::<*const u8, extern "C" fn()>(heap)();
    }
    core::hint::black_box(1)
}
