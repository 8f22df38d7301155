//! Any bytes as a manifest: an error, or devices and parameters that can be walked to the end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_abi::manifest::Manifest;
use std::hint::black_box;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        for device in manifest.devices() {
            black_box(device);
        }
        for parameter in manifest.parameters() {
            black_box(parameter);
        }
    }
});
