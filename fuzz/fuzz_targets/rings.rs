//! An instance that writes anything anywhere in the memory it shares: the host's side of pool and
//! rings must answer with an error or with bytes of the pool, never with another access.
//!
//! The input is a list of steps: writes by the instance between calls by the host. Each region is
//! an allocation of exactly its size, so that the address sanitizer sees the first byte beyond.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_abi::frame::{BUFFER_STRIDE, FrameHead, Slot};
use sprat_abi::host::{BufferPool, Frame, NetworkPort};
use sprat_abi::ring::{Consumer, Producer, ring_size};
use sprat_fuzz::Region;

const BUFFERS: u32 = 8;
const SLOTS: u32 = 4;

fuzz_target!(|steps: &[u8]| {
    let regions = [
        Region::new(BUFFERS as usize * BUFFER_STRIDE),
        Region::new(ring_size::<Slot>(SLOTS)),
        Region::new(ring_size::<Slot>(SLOTS)),
        Region::new(ring_size::<u32>(BUFFERS)),
    ];
    // SAFETY: the regions outlive both and are zeroed, aligned and of the sizes stated.
    let (mut pool, mut port) = unsafe {
        (
            BufferPool::new(regions[0].base(), BUFFERS, BUFFERS / 2, Consumer::attach(regions[3].base(), BUFFERS)),
            NetworkPort::new(Producer::attach(regions[1].base(), SLOTS), Consumer::attach(regions[2].base(), SLOTS)),
        )
    };
    let mut steps = steps.iter().copied();
    while let Some(step) = steps.next() {
        let mut byte = || usize::from(steps.next().unwrap_or(0));
        match step {
            0 => {
                let _ = port.drain(&mut pool, u32::MAX, |frame| {
                    let mut copy = Vec::new();
                    frame.append_to(&mut copy);
                    assert!(copy.len() < BUFFER_STRIDE);
                });
            }
            1 => drop(pool.reclaim()),
            2 => {
                let frame = vec![0x5a; byte() * 16];
                let _ = port.deliver(&mut pool, [Frame::new(&frame, FrameHead::at(0))]).map(|done| done.delivered);
            }
            3 => drop((port.has_sent(), port.waiting(), port.room(&pool))),
            // Small values are the ones that nearly fit; every so often, one that does not at all.
            _ => {
                let region = &regions[usize::from(step) % regions.len()];
                let at = byte() << 3 | byte();
                let value = byte() as u32 | if step & 0x80 == 0 { 0 } else { (byte() as u32) << 16 | 0xff00_0000 };
                region.poke(at, value);
            }
        }
        assert!(pool.free() <= pool.count());
    }
});
