//! A lane that writes anything anywhere in the memory that it shares with another: the other's port
//! must give frames of allowed lengths or an error, and its sending must go on or end with one.
//!
//! The input is a list of steps: writes by the liar between calls of the port.
#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use libfuzzer_sys::fuzz_target;
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_switch::port::{FRAME_LIMIT, Ring};

fuzz_target!(|input: &[u8]| {
    let [liar, honest] = Ring::pair("fuzzed").expect("permitted");
    let memory = File::from(liar.descriptors[0].try_clone().expect("a copy"));
    let length = memory.metadata().expect("a file").len();
    let mut port = honest.into_port().expect("mapped");
    let mut rest = input;
    while let Some((step, more)) = rest.split_first_chunk::<6>() {
        rest = more;
        let [kind, a, b, c, count, value] = *step;
        match kind % 4 {
            // What comes next in the input, at some place.
            0 => {
                let place = u64::from(u32::from_le_bytes([a, b, c, 0])) % length;
                let count = usize::from(count).min(rest.len());
                let (bytes, more) = rest.split_at(count);
                rest = more;
                let fits = bytes.len().min(usize::try_from(length - place).expect("small"));
                memory.write_all_at(&bytes[..fits], place).expect("written");
            }
            // Where the ring from the liar says that it is filled to, and the first length in it.
            1 => {
                let index = u32::from_le_bytes([a, b, c, 0]);
                memory.write_all_at(&index.to_ne_bytes(), 0).expect("written");
                let first = u32::from_le_bytes([count, value, a & 1, 0]);
                memory.write_all_at(&first.to_ne_bytes(), 128).expect("written");
            }
            2 => {
                let frame = vec![value; usize::from(u16::from_le_bytes([a, b]))];
                let sent = port
                    .send(&Frame::new(&frame, FrameHead::default()))
                    .and_then(|()| port.kick());
                if sent.is_err() {
                    return;
                }
            }
            _ => {
                let received = port.receive(usize::from(count), 0, &mut |frame| {
                    assert!((1..=FRAME_LIMIT).contains(&frame.len()));
                    let mut bytes = Vec::new();
                    frame.append_to(&mut bytes);
                    value & 1 == 0
                });
                if received.is_err() {
                    return;
                }
            }
        }
    }
});
