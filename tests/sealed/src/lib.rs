//! What the images in `src/bin` have in common: an entry, a manifest, and the few functions that
//! compiled code expects. It is no library OS on purpose: an attacker brings his own.
#![no_std]

#[cfg(sprat_target = "vm")]
mod entry;

pub use sprat_abi;

use sprat_abi::boot::{Device, DeviceKind, NetworkDevice};
use sprat_abi::guest::Contract;
use sprat_abi::manifest::{ANY_NAME, ManifestBuilder, Memory};

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

/// The first network device.
#[must_use]
pub fn network(contract: &Contract) -> Option<NetworkDevice> {
    contract.devices().find_map(|(_, _, device)| match device {
        Device::Network(network) => Some(network),
        _ => None,
    })
}
