//! Says that it is done and goes on writing to its rings while the host reads them.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::guest::Contract;
use sprat_abi::pointer;

sealed::main!(scribbles);

fn scribbles(contract: Contract) -> i32 {
    let Some(network) = sealed::network(&contract) else {
        return 2;
    };
    let page = contract.page();
    let rings = [
        network.transmit,
        page.supply,
        page.console,
        page.control_responses,
        network.receive,
        page.statistics,
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0u64.. {
        if round % 64 == 0 {
            sealed::wake_host(&contract);
        }
        for ring in rings {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = if state & 3 == 0 {
                0
            } else {
                (state >> 32) & 0x1f8
            };
            let value = state & 0x0001_07ff_07ff_07ff;
            // SAFETY: inside the ring, which is longer.
            unsafe {
                pointer(ring.address + at)
                    .cast::<u64>()
                    .write_volatile(value)
            };
        }
    }
    0
}
