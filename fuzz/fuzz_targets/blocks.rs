//! An instance that writes anything anywhere in what it shares of a block device: the host's side must
//! answer with an error, or hand out stretches of the data area at places that the device has.
//!
//! The input is a list of steps: writes by the instance between calls by the host. Each region is an
//! allocation of exactly its size, so that the address sanitizer sees the first byte beyond.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_abi::block::{Answer, Request, Status};
use sprat_abi::host::{BlockPort, Blocks, Geometry, Stretch};
use sprat_abi::ring::{Consumer, Producer, ring_size};
use sprat_fuzz::Region;

const ENTRIES: u32 = 4;
const DATA: u32 = 2048;
const BLOCKS: u64 = 16;

/// Sixteen blocks in memory.
struct Memory(Vec<u8>);

impl Memory {
    fn part(&mut self, place: u64, length: usize) -> &mut [u8] {
        assert!(length > 0 && length % 512 == 0 && place % 512 == 0);
        let place = usize::try_from(place).expect("inside of the device");
        &mut self.0[place..place + length]
    }
}

impl Blocks for Memory {
    fn read(&mut self, place: u64, into: &Stretch<'_>) -> Status {
        let part = self.part(place, into.len());
        // SAFETY: a stretch can be written, and no reference leads there.
        unsafe { part.as_ptr().copy_to_nonoverlapping(into.start(), part.len()) };
        Status::Done
    }

    fn write(&mut self, place: u64, from: &Stretch<'_>) -> Status {
        let part = self.part(place, from.len());
        // SAFETY: a stretch can be read, and no reference leads there.
        unsafe { part.as_mut_ptr().copy_from_nonoverlapping(from.start(), part.len()) };
        Status::Done
    }

    fn flush(&mut self) -> Status {
        Status::Done
    }
}

fuzz_target!(|steps: &[u8]| {
    let regions = [
        Region::new(ring_size::<Request>(ENTRIES)),
        Region::new(ring_size::<Answer>(ENTRIES)),
        Region::new(DATA as usize),
    ];
    let geometry = Geometry { block_size: 512, block_count: BLOCKS, read_only: false };
    // SAFETY: the regions outlive the port and are zeroed, aligned and of the sizes stated.
    let mut port = unsafe {
        BlockPort::new(
            Consumer::attach(regions[0].base(), ENTRIES),
            Producer::attach(regions[1].base(), ENTRIES),
            regions[2].base(),
            DATA,
            geometry,
        )
    };
    let mut memory = Memory(vec![0; BLOCKS as usize * 512]);
    let mut steps = steps.iter().copied();
    while let Some(step) = steps.next() {
        let mut byte = || usize::from(steps.next().unwrap_or(0));
        match step {
            0 => {
                if port.serve(1 << (byte() % 16), &mut memory).is_ok_and(|served| served > ENTRIES) {
                    panic!("more was served than the ring holds");
                }
            }
            1 => drop(port.waiting()),
            // A multiple of a block, which a sound request would have.
            2 => regions[0].poke(32 + byte() % 24, (byte() as u32) << 9),
            _ => {
                let region = &regions[usize::from(step) % regions.len()];
                let at = byte() << 3 | byte();
                let value = byte() as u32 | if step & 0x80 == 0 { 0 } else { (byte() as u32) << 16 | 0xff00_0000 };
                region.poke(at, value);
            }
        }
    }
});
