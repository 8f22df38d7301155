//! Any bytes as an image, to the monitor that would load it and to whoever reads it back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::hint::black_box;

fuzz_target!(|bytes: &[u8]| {
    let _ = black_box(sprat_monitor::judge(bytes));
    let _ = black_box(sprat_image::inspect(bytes, None));
    let _ = black_box(sprat_image::inspect(bytes, Some(bytes)));
    let _ = black_box(sprat_image::split(bytes));
});
