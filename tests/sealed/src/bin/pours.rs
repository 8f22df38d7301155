//! Says that it is done and goes on writing to its file, and answering what nobody finished asking,
//! faster than the host can read; but all by the rules of the rings.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::boot::Device;
use sprat_abi::control::{self, MessageHead, MessageKind};
use sprat_abi::guest::Contract;

sealed::main!(pours);

fn pours(contract: Contract) -> i32 {
    let file = contract.devices().find_map(|(_, _, device)| match device {
        Device::OutputFile(file) => Some(file),
        _ => None,
    });
    // SAFETY: the only sides in this image.
    let rings = unsafe {
        (
            file.and_then(|file| contract.output_file(file)),
            contract.control(),
        )
    };
    let (Some(mut file), Some((_, mut answers))) = rings else {
        return 2;
    };
    // A part of an answer to the first request; another part is to come, always.
    let head = MessageHead {
        id: 1,
        kind: MessageKind::Answer as u16,
        flags: MessageHead::MORE,
        status: control::status::OK,
        ..MessageHead::default()
    };
    for round in 0u64.. {
        if round % 64 == 0 {
            sealed::wake_host(&contract);
        }
        if file.write(&[b'-'; 4096]).is_err() {
            return 3;
        }
        while let Ok(true) = control::send(&mut answers, head, b"", &[b'-'; 1000]) {}
    }
    0
}
