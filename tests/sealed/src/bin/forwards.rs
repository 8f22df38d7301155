//! Forwards every frame, in the buffer it came in: the honest neighbour.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;

sealed::main!(forwards);

fn forwards(contract: Contract) -> i32 {
    let Some(network) = sealed::network(&contract) else {
        return 2;
    };
    // SAFETY: the only sides in this image.
    let Some((mut receive, mut transmit)) = (unsafe { contract.network(&network) }) else {
        return 3;
    };
    loop {
        let mut slots = [sprat_abi::frame::Slot::default(); 64];
        loop {
            let Ok(count) = receive.pop(&mut slots) else {
                return 4;
            };
            if count == 0 {
                break;
            }
            if transmit.push(&slots[..count]) != Ok(count) {
                return 5;
            }
        }
        let wake = contract.yield_until(sprat_abi::call::NO_DEADLINE);
        if wake.ready & sprat_abi::call::Wake::STOP != 0 {
            return 0;
        }
    }
}
