//! The guest's side drives the host's, honestly and not.

use super::*;
use crate::frame::{BUFFER_STRIDE, DATA_SIZE, FrameHead, Slot};
use crate::guest::Pool;
use crate::ring::{Consumer, Producer, ring_size};
use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

const BUFFERS: u32 = 16;
const SLOTS: u32 = 8;

/// Shared memory as a monitor would map it, with both sides.
struct World {
    memory: Vec<(*mut u8, Layout)>,
    pool: BufferPool,
    port: NetworkPort,
    guest_pool: Pool,
    receive: Consumer<Slot>,
    transmit: Producer<Slot>,
    supply: Producer<u32>,
}

impl World {
    fn new(first_own: u32) -> Self {
        Self::sized(first_own, BUFFERS, SLOTS)
    }

    fn sized(first_own: u32, buffers: u32, slots: u32) -> Self {
        let mut memory = vec![];
        let mut allocate = |size: usize| {
            let layout = Layout::from_size_align(size, 64).expect("a sound layout");
            // SAFETY: the size is not zero.
            let base = unsafe { alloc_zeroed(layout) };
            memory.push((base, layout));
            base
        };
        let base = allocate(buffers as usize * BUFFER_STRIDE);
        let receive = allocate(ring_size::<Slot>(slots));
        let transmit = allocate(ring_size::<Slot>(slots));
        let supply = allocate(ring_size::<u32>(buffers));
        // SAFETY: the memory lives as long as the world and is zeroed and aligned.
        unsafe {
            Self {
                pool: BufferPool::new(base, buffers, first_own, Consumer::attach(supply, buffers)),
                port: NetworkPort::new(
                    Producer::attach(receive, slots),
                    Consumer::attach(transmit, slots),
                ),
                guest_pool: Pool::new(base, buffers, first_own),
                receive: Consumer::attach(receive, slots),
                transmit: Producer::attach(transmit, slots),
                supply: Producer::attach(supply, buffers),
                memory,
            }
        }
    }

    fn deliver(&mut self, frames: &[&[u8]]) -> u32 {
        let frames = frames
            .iter()
            .map(|bytes| Frame::new(bytes, FrameHead::at(7)));
        self.port
            .deliver(&mut self.pool, frames)
            .expect("honest")
            .delivered
    }

    fn drain(&mut self) -> Result<Vec<Vec<u8>>, Lie> {
        let (mut frames, mut open) = (vec![], vec![]);
        self.port.drain(&mut self.pool, u32::MAX, |frame| {
            frame.append_to(&mut open);
            if !frame.has_more() {
                frames.push(core::mem::take(&mut open));
            }
        })?;
        Ok(frames)
    }

    /// Forwards everything as a bridge would: the slots as they are.
    fn forward(&mut self) -> usize {
        let mut slots = [Slot::default(); SLOTS as usize];
        let count = self.receive.pop(&mut slots).expect("honest");
        self.transmit.push(&slots[..count]).expect("honest")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for &(base, layout) in &self.memory {
            // SAFETY: allocated with this layout; nothing uses it after.
            unsafe { dealloc(base, layout) };
        }
    }
}

#[test]
fn frames_cross_and_their_buffers_are_filled_again_first() {
    let mut world = World::new(12);
    for round in 0..100u8 {
        assert_eq!(world.deliver(&[&[round; 60], &[round; 1514]]), 2);
        let slot = world.receive.read(0);
        assert_eq!(
            (slot.buffer < 2, slot.offset, slot.length),
            (true, 128, 60),
            "last in, first out"
        );
        assert_eq!(
            // SAFETY: the buffer is the guest's now.
            unsafe { *world.guest_pool.head(slot.buffer) },
            FrameHead::at(7)
        );
        assert_eq!(world.forward(), 2);
        let frames = world.drain().expect("honest");
        assert_eq!(frames, [vec![round; 60], vec![round; 1514]]);
        assert_eq!(world.pool.free(), 12);
    }
}

#[test]
fn buffers_beyond_the_host_s_share_stay_with_the_instance() {
    let mut world = World::new(12);
    let own = [12, 13, 14].map(|buffer| Slot {
        buffer,
        length: 60,
        ..Slot::default()
    });
    assert_eq!(world.transmit.push(&own), Ok(3));
    assert_eq!(world.drain().expect("honest").len(), 3);
    assert_eq!(
        world.pool.free(),
        12,
        "the host has its share and takes no more"
    );
    // The ring has 8 slots, so the three drained stand 5, 6 and 7 ahead of the next free one.
    for (ahead, slot) in (5..).zip(own) {
        assert_eq!(world.transmit.read(ahead).buffer, slot.buffer);
        assert_eq!(world.transmit.read(ahead).flags, Slot::RETURNED);
    }
    // Sent again, they are accepted again; and a host that lacks a buffer keeps the first.
    assert_eq!(world.deliver(&[&[1; 60]]), 1);
    assert_eq!(world.transmit.push(&own), Ok(3));
    assert_eq!(world.drain().expect("honest").len(), 3);
    assert_eq!(world.pool.free(), 12);
    let flags = [0, 1, 2].map(|at| world.transmit.read((8 - 3) + at).flags);
    assert_eq!(flags, [0, Slot::RETURNED, Slot::RETURNED]);
    // Even such a host leaves what the instance says it needs.
    assert_eq!(world.deliver(&[&[1; 60]]), 1);
    let flags = Slot::OWN;
    let needed = Slot { flags, ..own[1] };
    assert_eq!(world.transmit.push(&[needed]), Ok(1));
    assert_eq!(world.drain().expect("honest").len(), 1);
    assert_eq!(world.pool.free(), 11);
    assert_eq!(world.transmit.read(8 - 1).flags, Slot::RETURNED);
}

#[test]
fn long_frames_are_chained_and_put_together_again() {
    let mut world = World::new(12);
    let long: Vec<u8> = (0..5000u32).map(|i| (i % 251).to_le_bytes()[0]).collect();
    assert_eq!(world.deliver(&[&long, b"short"]), 2);
    assert_eq!(world.receive.available(), Ok(4), "three buffers and one");
    world.forward();
    assert_eq!(world.drain().expect("honest"), [long, b"short".to_vec()]);
}

#[test]
fn a_long_frame_that_does_not_fit_now_is_given_back() {
    let mut world = World::new(2);
    let long = [1; 5000];
    let delivery = world
        .port
        .deliver(&mut world.pool, [Frame::new(&long, FrameHead::default())]);
    let delivery = delivery.expect("honest");
    assert_eq!(
        (
            delivery.delivered,
            delivery.refused.map(|frame| frame.len())
        ),
        (0, Some(5000))
    );
    assert_eq!(world.pool.free(), 2);
}

#[test]
fn frames_not_taken_are_counted_whole() {
    let mut world = World::new(12);
    for _ in 0..10 {
        assert_eq!(world.port.waiting_frames(), Ok(0));
        assert_eq!(world.deliver(&[&[1; 60], &[2; 5000], &[3; 60]]), 3);
        assert_eq!(
            (world.port.waiting(), world.port.waiting_frames()),
            (Ok(5), Ok(3))
        );
        // The first is taken, and the first buffer of the second: its rest still waits.
        let mut slots = [Slot::default(); 2];
        assert_eq!(world.receive.pop(&mut slots), Ok(2));
        assert_eq!(world.port.waiting_frames(), Ok(2));
        world.transmit.push(&slots[..1]).expect("honest");
        let mut chain = vec![slots[1]];
        let mut rest = [Slot::default(); SLOTS as usize];
        let count = world.receive.pop(&mut rest).expect("honest");
        chain.extend(&rest[..count]);
        world.transmit.push(&chain).expect("honest");
        assert_eq!(world.drain().expect("honest").len(), 3);
    }
}

#[test]
fn a_full_ring_or_an_empty_pool_delivers_what_fits() {
    let mut world = World::new(12);
    assert_eq!(world.deliver(&[&[0; 64][..]; 20]), SLOTS);
    assert_eq!(world.deliver(&[&[0; 64][..]; 20]), 0);
    let mut world = World::new(3);
    assert_eq!(world.deliver(&[&[0; 64][..]; 20]), 3);
    world.supply.push(&[0, 1, 2, 15]).expect("honest");
    assert_eq!(world.pool.reclaim(), Ok(4));
    assert_eq!(world.pool.free(), 4);
}

#[test]
fn each_lie_in_a_slot_has_its_own_error() {
    let own = Slot {
        buffer: 14,
        offset: 0,
        length: 60,
        ..Slot::default()
    };
    let cases: [(&[Slot], SlotLie); 6] = [
        (
            &[Slot {
                buffer: BUFFERS,
                ..own
            }],
            SlotLie::Buffer {
                buffer: BUFFERS,
                buffers: BUFFERS,
            },
        ),
        (
            &[Slot {
                buffer: u32::MAX,
                ..own
            }],
            SlotLie::Buffer {
                buffer: u32::MAX,
                buffers: BUFFERS,
            },
        ),
        (
            &[Slot {
                offset: 1984,
                length: 1,
                ..own
            }],
            SlotLie::Extent {
                offset: 1984,
                length: 1,
            },
        ),
        (
            &[Slot { buffer: 5, ..own }],
            SlotLie::NotYours { buffer: 5 },
        ),
        // The host lacks a buffer and keeps the first.
        (&[own, own], SlotLie::NotYours { buffer: 14 }),
        (
            &[Slot {
                flags: Slot::CHAINED,
                ..own
            }],
            SlotLie::OpenChain,
        ),
    ];
    for (slots, lie) in cases {
        let mut world = World::new(12);
        assert_eq!(world.deliver(&[&[1; 60]]), 1);
        world.transmit.push(slots).expect("honest");
        assert_eq!(world.drain(), Err(Lie::TransmitSlot(lie)));
    }
}

#[test]
fn a_buffer_supplied_twice_is_a_lie() {
    let mut world = World::new(12);
    world.supply.push(&[13, 13]).expect("honest");
    assert_eq!(
        world.pool.reclaim(),
        Err(Lie::SupplyBuffer(SlotLie::NotYours { buffer: 13 }))
    );
}

#[test]
fn a_chain_longer_than_any_frame_is_a_lie() {
    let chained = |buffer| Slot {
        buffer,
        length: 1,
        flags: Slot::CHAINED,
        ..Slot::default()
    };
    let mut world = World::sized(0, 64, 64);
    let slots: Vec<Slot> = (0..64).map(chained).collect();
    world.transmit.push(&slots).expect("honest");
    assert_eq!(world.drain(), Err(Lie::TransmitSlot(SlotLie::LongChain)));
}

#[test]
fn a_limit_ends_a_drain_between_frames_only() {
    let mut world = World::new(12);
    let part = |buffer, flags| Slot {
        buffer,
        length: 1,
        flags,
        ..Slot::default()
    };
    let slots = [
        part(12, Slot::CHAINED),
        part(13, Slot::CHAINED),
        part(14, 0),
        part(15, 0),
    ];
    world.transmit.push(&slots).expect("honest");
    let mut parts = 0;
    let drained = world.port.drain(&mut world.pool, 1, |_| parts += 1);
    assert_eq!((drained, parts), (Ok(3), 3));
}

proptest! {
    #[test]
    fn copies_are_exact_at_every_length(length in 0usize..600) {
        let from: Vec<u8> = (0..length).map(|i| (i % 253).to_le_bytes()[0]).collect();
        let mut to = vec![0xee; length + 32];
        prop_assert_eq!(Frame::new(&from, FrameHead::default()).copy_to(&mut to[..length]), length);
        prop_assert_eq!(&to[..length], &from[..]);
        prop_assert!(to[length..].iter().all(|&byte| byte == 0xee));
    }

    #[test]
    fn no_slots_make_the_host_lose_count_of_its_buffers(words in prop::collection::vec((0u32..20, 0u16..2100, 0u16..2100, 0u16..2), 0..8), supplied in prop::collection::vec(0u32..20, 0..8)) {
        let mut world = World::new(8);
        let slots: Vec<Slot> = words.iter().map(|&(buffer, offset, length, flags)| Slot { buffer, offset, length, flags, ..Slot::default() }).collect();
        world.transmit.push(&slots).expect("honest");
        world.supply.push(&supplied).expect("honest");
        let _ = world.drain();
        let _ = world.pool.reclaim();
        let mut seen = world.pool.stack.clone();
        seen.sort_unstable();
        let count = seen.len();
        seen.dedup();
        prop_assert_eq!(seen.len(), count, "no buffer is on the stack twice");
        prop_assert!(seen.iter().all(|&buffer| world.pool.ours[buffer as usize]));
        prop_assert_eq!(world.pool.ours.iter().filter(|&&ours| ours).count(), count);
    }
}

#[test]
fn an_instance_that_writes_while_the_host_reads_gets_errors_and_breaks_nothing() {
    let mut world = World::new(12);
    let ring = world.memory[2];
    let stop = std::sync::Arc::new(core::sync::atomic::AtomicBool::new(false));
    let attacker = std::thread::spawn({
        let stop = stop.clone();
        let base = ring.0.addr();
        let exposed = ring.0.expose_provenance();
        assert_eq!(base, exposed);
        move || {
            use core::sync::atomic::{AtomicU64, Ordering};
            let words = ring_size::<Slot>(SLOTS) / 8;
            let ring = core::ptr::with_exposed_provenance::<AtomicU64>(exposed);
            let mut state = 0x9e37_79b9_7f4a_7c15u64;
            while !stop.load(Ordering::Relaxed) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = (state >> 40) as usize % words;
                // Small numbers are the ones that pass some checks and fail others.
                // SAFETY: inside the ring, which outlives the thread.
                unsafe { &*ring.add(at) }.store(state & 0x0001_003f_003f_000f, Ordering::Relaxed);
            }
        }
    });
    let (mut lies, mut frames) = (0u32, 0u32);
    let begin = std::time::Instant::now();
    let milliseconds = std::time::Duration::from_millis;
    // On a busy machine the attacker may not have begun by then.
    while begin.elapsed() < milliseconds(300) || lies == 0 && begin.elapsed() < milliseconds(30_000)
    {
        let mut total = 0;
        match world.port.drain(&mut world.pool, 64, |frame| {
            total += frame.len().min(DATA_SIZE)
        }) {
            Ok(count) => frames += count,
            Err(_) => lies += 1,
        }
        world.port.reset();
        world.pool.reset(12);
        assert!(world.pool.free() == 12);
    }
    stop.store(true, core::sync::atomic::Ordering::Relaxed);
    attacker.join().expect("the attacker does not panic");
    assert!(lies > 0, "{frames} frames");
}
