//! What the images in `src/bin` have in common: an entry, a manifest, and the few functions that
//! compiled code expects. It is no library OS on purpose: an attacker brings his own.
#![no_std]

#[cfg(sprat_target = "vm")]
mod entry;

pub use sprat_abi;

use sprat_abi::boot::{Device, DeviceKind, NetworkDevice};
use sprat_abi::guest::Contract;
use sprat_abi::manifest::{ANY_NAME, ManifestBuilder, Memory};
#[cfg(sprat_target = "vm")]
use sprat_abi::{call::CallBlock, pointer};

/// What each of the images wants: whatever devices it is given.
pub const MANIFEST: ManifestBuilder = ManifestBuilder::new("sealed", env!("CARGO_PKG_VERSION"))
    .memory(Memory {
        heap: 1 << 20,
        stack: 64 << 10,
    })
    .device(ANY_NAME, DeviceKind::Network, false)
    .device(ANY_NAME, DeviceKind::OutputFile, false);

/// Makes a function of the contract that returns an exit status the image's program.
#[macro_export]
macro_rules! main {
    ($run:path) => {
        #[cfg(sprat_target = "vm")]
        const _: () = {
            $crate::sprat_abi::manifest_note!($crate::MANIFEST);

            #[unsafe(no_mangle)]
            fn sealed_main(contract: $crate::sprat_abi::guest::Contract) -> i32 {
                $run(contract)
            }
        };

        /// Only an image has something to do.
        #[cfg(not(sprat_target = "vm"))]
        fn main() {
            let _: fn($crate::sprat_abi::guest::Contract) -> i32 = $run;
        }
    };
}

/// Hands the turn to the host without stopping. The process monitor alone lets an instance: there the
/// turn is a word that both sides may write, and waking the host is one of the few things a process may
/// ask of the kernel. Under another monitor it is the system call that ends the instance.
#[cfg(sprat_target = "vm")]
pub fn wake_host(contract: &Contract) {
    const FUTEX: u64 = 202;
    const WAKE: u64 = 1;
    let turn = contract.page().call_block + CallBlock::PRIVATE_OFFSET as u64;
    // SAFETY: the word is an atomic of the call block and may be written. The call reads no other
    // memory and changes no register but those named.
    unsafe {
        pointer(turn).cast::<u32>().write_volatile(0);
        core::arch::asm!("syscall", inout("rax") FUTEX => _, in("rdi") turn, in("rsi") WAKE, in("rdx") 1, out("rcx") _, out("r11") _);
    }
}

/// Only an image has a host.
#[cfg(not(sprat_target = "vm"))]
pub fn wake_host(_: &Contract) {}

/// The first network device.
#[must_use]
pub fn network(contract: &Contract) -> Option<NetworkDevice> {
    contract.devices().find_map(|(_, _, device)| match device {
        Device::Network(network) => Some(network),
        _ => None,
    })
}
