//! Any bytes as a capture file: frames and then an end, or an error; never more bytes than the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_switch::port::{CaptureInput, FRAME_LIMIT, GiveUp, Port};

fuzz_target!(|bytes: &[u8]| {
    // Shared memory, not a disk, on any Linux.
    let path = std::path::PathBuf::from(format!("/dev/shm/sprat-fuzz-capture-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("a place for the capture");
    let opened = CaptureInput::open(&path, &GiveUp::default());
    std::fs::remove_file(&path).expect("it was there");
    let Ok(mut input) = opened else { return };
    let mut total = 0;
    let mut taken = 1;
    while taken > 0 {
        let received = input.receive(64, i64::MAX, &mut |frame| {
            assert!(frame.len() <= FRAME_LIMIT);
            total += frame.len();
            true
        });
        taken = received.unwrap_or(0);
    }
    assert!(total <= bytes.len());
});
