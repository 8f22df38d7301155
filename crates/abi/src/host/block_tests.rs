//! The host's side of a block device over memory, against an instance that may ask for anything.

use super::*;
use crate::ring::{Side, ring_size};
use alloc::vec;
use alloc::vec::Vec;

const RING: u32 = 4;
const DATA: usize = 2048;

/// The memory that both sides see.
#[repr(C, align(64))]
struct Shared {
    requests: [u8; ring_size::<Request>(RING)],
    padding: [u8; 32],
    answers: [u8; ring_size::<Answer>(RING)],
    padding_too: [u8; 32],
    data: [u8; DATA],
}

impl Shared {
    fn zeroed() -> Self {
        Self {
            requests: [0; _],
            padding: [0; _],
            answers: [0; _],
            padding_too: [0; _],
            data: [0; _],
        }
    }
}

struct World {
    port: BlockPort,
    requests: Producer<Request>,
    answers: Consumer<Answer>,
    data: *mut u8,
}

fn world(shared: &mut Shared, geometry: Geometry) -> World {
    let base = core::ptr::from_mut(shared);
    // SAFETY: the tests keep the memory longer than both sides, and look at it in no other way.
    unsafe {
        let requests = (&raw mut (*base).requests).cast::<u8>();
        let answers = (&raw mut (*base).answers).cast::<u8>();
        let data = (&raw mut (*base).data).cast::<u8>();
        let port = BlockPort::new(
            Consumer::attach(requests, RING),
            Producer::attach(answers, RING),
            data,
            2048,
            geometry,
        );
        World {
            port,
            requests: Producer::attach(requests, RING),
            answers: Consumer::attach(answers, RING),
            data,
        }
    }
}

const GEOMETRY: Geometry = Geometry {
    block_size: 512,
    block_count: 8,
    read_only: false,
};

/// Eight blocks, each full of its number.
#[derive(Debug)]
struct Memory {
    bytes: Vec<u8>,
    flushes: u32,
}

impl Memory {
    fn new() -> Self {
        let bytes = (0..8).flat_map(|number| vec![number; 512]).collect();
        Self { bytes, flushes: 0 }
    }
}

impl Blocks for Memory {
    fn read(&mut self, place: u64, into: &Stretch<'_>) -> Status {
        let from = &self.bytes[crate::length(place)..][..into.len()];
        // SAFETY: a stretch can be written, and no reference leads there.
        unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), into.start(), into.len()) };
        Status::Done
    }

    fn write(&mut self, place: u64, from: &Stretch<'_>) -> Status {
        let to = &mut self.bytes[crate::length(place)..][..from.len()];
        // SAFETY: a stretch can be read, and no reference leads there.
        unsafe { core::ptr::copy_nonoverlapping(from.start(), to.as_mut_ptr(), to.len()) };
        Status::Done
    }

    fn flush(&mut self) -> Status {
        self.flushes += 1;
        Status::Done
    }
}

fn request(tag: u32, operation: Operation, first: u64, offset: u32, length: u32) -> Request {
    Request {
        tag,
        operation: operation as u16,
        reserved: 0,
        first,
        offset,
        length,
    }
}

/// What is answered to one request.
fn answer(world: &mut World, blocks: &mut Memory, request: Request) -> Answer {
    assert_eq!(world.requests.push(&[request]), Ok(1));
    assert_eq!(world.port.serve(u64::MAX, blocks), Ok(1));
    let mut answers = [Answer::default(); 2];
    assert_eq!(world.answers.pop(&mut answers), Ok(1));
    answers[0]
}

#[test]
fn blocks_are_read_and_written_where_the_request_says() {
    let (mut shared, mut blocks) = (Shared::zeroed(), Memory::new());
    let mut world = world(&mut shared, GEOMETRY);
    let done = |tag| Answer { tag, status: 0 };
    let read = request(7, Operation::Read, 6, 512, 1024);
    assert_eq!(answer(&mut world, &mut blocks, read), done(7));
    let mut seen = [0; 2048];
    // SAFETY: the host is done; nothing else uses the area.
    unsafe { core::ptr::copy_nonoverlapping(world.data, seen.as_mut_ptr(), 2048) };
    assert_eq!(seen[..512], [0; 512]);
    assert_eq!(
        (&seen[512..1024], &seen[1024..1536]),
        (&[6; 512][..], &[7; 512][..])
    );
    assert_eq!(seen[1536..], [0; 512]);

    let write = request(8, Operation::Write, 0, 1024, 512);
    assert_eq!(answer(&mut world, &mut blocks, write), done(8));
    assert_eq!(blocks.bytes[..512], [7; 512]);
    assert_eq!(blocks.bytes[512..1024], [1; 512]);
    let flush = request(9, Operation::Flush, 0, 0, 0);
    assert_eq!(answer(&mut world, &mut blocks, flush), done(9));
    assert_eq!(blocks.flushes, 1);
}

#[test]
fn what_a_device_does_not_have_is_answered_with_an_error() {
    let (mut shared, mut blocks) = (Shared::zeroed(), Memory::new());
    let mut world = world(&mut shared, GEOMETRY);
    for (first, length) in [
        (8, 512),
        (7, 1024),
        (u64::MAX, 512),
        (u64::MAX / 512 + 1, 512),
        (0, 0),
        (0, 100),
        (0, 513),
    ] {
        let read = request(1, Operation::Read, first, 0, length);
        let found = answer(&mut world, &mut blocks, read);
        assert_eq!(found.status, Status::OutOfRange as u32, "{first} {length}");
    }
    let unknown = Request {
        operation: 77,
        ..Request::default()
    };
    let found = answer(&mut world, &mut blocks, unknown);
    assert_eq!(found.status, Status::Unknown as u32);
}

#[test]
fn a_device_to_read_is_not_written() {
    let (mut shared, mut blocks) = (Shared::zeroed(), Memory::new());
    let geometry = Geometry {
        read_only: true,
        ..GEOMETRY
    };
    let mut world = world(&mut shared, geometry);
    let write = request(1, Operation::Write, 3, 0, 512);
    let found = answer(&mut world, &mut blocks, write);
    assert_eq!(found.status, Status::ReadOnly as u32);
    assert_eq!(blocks.bytes[3 * 512..][..512], [3; 512]);
}

#[test]
fn a_stretch_outside_of_the_data_area_is_a_lie() {
    for (offset, length) in [(1536, 1024), (2048, 512), (u32::MAX, 512), (512, u32::MAX)] {
        let (mut shared, mut blocks) = (Shared::zeroed(), Memory::new());
        let mut world = world(&mut shared, GEOMETRY);
        let read = request(1, Operation::Read, 0, offset, length);
        assert_eq!(world.requests.push(&[read]), Ok(1));
        let lie = Lie::BlockStretch {
            offset,
            length,
            size: 2048,
        };
        assert_eq!(world.port.serve(u64::MAX, &mut blocks), Err(lie));
    }
}

#[test]
fn no_request_is_served_whose_answer_has_no_room() {
    let (mut shared, mut blocks) = (Shared::zeroed(), Memory::new());
    let mut world = world(&mut shared, GEOMETRY);
    let reads = [request(1, Operation::Read, 0, 0, 512); 4];
    assert_eq!(world.requests.push(&reads), Ok(4));
    assert_eq!(world.port.serve(u64::MAX, &mut blocks), Ok(4));
    assert_eq!(world.port.waiting(), Ok(4));
    assert_eq!(world.requests.push(&reads), Ok(4));
    assert_eq!(world.port.serve(u64::MAX, &mut blocks), Ok(0));
    let mut taken = [Answer::default(); 3];
    assert_eq!(world.answers.pop(&mut taken), Ok(3));
    assert_eq!(world.port.serve(u64::MAX, &mut blocks), Ok(3));
}

#[test]
fn a_turn_ends_at_its_limit_of_bytes_and_after_a_flush() {
    let (mut shared, mut blocks) = (Shared::zeroed(), Memory::new());
    let mut world = world(&mut shared, GEOMETRY);
    let read = request(1, Operation::Read, 0, 0, 512);
    let flush = request(2, Operation::Flush, 0, 0, 0);
    assert_eq!(world.requests.push(&[read, read, flush, read]), Ok(4));
    assert_eq!(world.port.serve(512, &mut blocks), Ok(1));
    assert_eq!(world.port.serve(u64::MAX, &mut blocks), Ok(2));
    assert_eq!(blocks.flushes, 1);
    assert_eq!(world.port.serve(u64::MAX, &mut blocks), Ok(1));
}

#[test]
fn an_impossible_index_is_a_lie() {
    let (mut shared, mut blocks) = (Shared::zeroed(), Memory::new());
    let mut world = world(&mut shared, GEOMETRY);
    world.requests.publish(RING + 1);
    let found = world.port.serve(u64::MAX, &mut blocks);
    assert!(
        matches!(found, Err(Lie::RequestIndex(lie)) if lie.side == Side::Producer),
        "{found:?}"
    );
}
