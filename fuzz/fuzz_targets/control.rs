//! Any bytes in a control ring: messages, or an error; the buffer is never left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_abi::bytes::{ByteConsumer, ByteProducer};
use sprat_abi::control::receive;
use std::hint::black_box;

const CAPACITY: u32 = 256;

#[repr(C, align(64))]
struct Memory([u8; sprat_abi::ring::RING_HEADER + CAPACITY as usize]);

fuzz_target!(|bytes: &[u8]| {
    let mut memory = Box::new(Memory([0; sprat_abi::ring::RING_HEADER + CAPACITY as usize]));
    let base = memory.0.as_mut_ptr();
    // SAFETY: the memory outlives both sides, is zeroed, aligned and of the size stated.
    let (mut producer, mut consumer) =
        unsafe { (ByteProducer::attach(base, CAPACITY), ByteConsumer::attach(base, CAPACITY)) };
    let mut buffer = [0; 64];
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = producer.write(rest).expect("the consumer here is honest");
        rest = &rest[written..];
        loop {
            match receive(&mut consumer, &mut buffer) {
                Ok(Some(message)) => drop(black_box((message.name.len(), message.data.len()))),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
