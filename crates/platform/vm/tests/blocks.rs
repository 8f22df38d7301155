//! A block device of the sealed platform against the host's side of the contract, in one process.
#![allow(missing_docs)]

use std::alloc::{Layout, alloc_zeroed};

use sprat_abi::block::{Answer, BlockDevice, DATA_SIZE, Request, Status as AbiStatus};
use sprat_abi::boot::{Area, BootPage};
use sprat_abi::guest::Contract;
use sprat_abi::host::{BlockPort, Blocks, Geometry, Stretch};
use sprat_abi::ring::{Consumer, Producer, ring_size};
use sprat_platform::{Block as _, BlockRequest, Platform as _, Status};
use sprat_platform_vm::{RingBlock, Vm};

const RING: u32 = 64;
const BLOCKS: u64 = 1024;

/// What the host keeps the blocks in.
struct Memory {
    bytes: Vec<u8>,
    flushes: u32,
    answer: AbiStatus,
}

impl Blocks for Memory {
    fn read(&mut self, place: u64, into: &Stretch<'_>) -> AbiStatus {
        let place = usize::try_from(place).expect("small");
        let from = &self.bytes[place..place + into.len()];
        // SAFETY: a stretch can be written, and no reference leads there.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into.start(), from.len()) };
        self.answer
    }

    fn write(&mut self, place: u64, from: &Stretch<'_>) -> AbiStatus {
        let place = usize::try_from(place).expect("small");
        let to = &mut self.bytes[place..place + from.len()];
        // SAFETY: a stretch can be read, and no reference leads there.
        unsafe { std::ptr::copy_nonoverlapping(from.start(), to.as_mut_ptr(), to.len()) };
        self.answer
    }

    fn flush(&mut self) -> AbiStatus {
        self.flushes += 1;
        self.answer
    }
}

/// Memory for the life of the program.
fn memory(bytes: usize) -> *mut u8 {
    let layout = Layout::from_size_align(bytes, 4096).expect("a sound layout");
    // SAFETY: no size here is zero.
    unsafe { alloc_zeroed(layout) }
}

fn area(base: *mut u8, bytes: usize) -> Area {
    Area::new(base.expose_provenance() as u64, bytes as u64)
}

/// A device of an instance, and its host.
fn world() -> (RingBlock, BlockPort, Memory) {
    let sizes = [ring_size::<Request>(RING), ring_size::<Answer>(RING)];
    let [requests, answers] = sizes.map(memory);
    let data = memory(DATA_SIZE as usize);
    let device = BlockDevice {
        block_size: 512,
        block_count: BLOCKS,
        features: 0,
        requests: area(requests, sizes[0]),
        answers: area(answers, sizes[1]),
        data: area(data, DATA_SIZE as usize),
    };
    let name: &'static [u8] = b"data";
    let name = Area::new(name.as_ptr().expose_provenance() as u64, 4);
    let entry = Box::leak(Box::new(device.to_entry(name)));
    let page = Box::leak(Box::new(BootPage {
        device_table: std::ptr::from_ref(entry).expose_provenance() as u64,
        device_count: 1,
        ..BootPage::default()
    }));
    let geometry = Geometry {
        block_size: 512,
        block_count: BLOCKS,
        read_only: false,
    };
    // SAFETY: everything the page leads to lives for ever and is as the contract says; each ring has
    // one side here and one side there.
    let (vm, port) = unsafe {
        let port = BlockPort::new(
            Consumer::attach(requests, RING),
            Producer::attach(answers, RING),
            data,
            DATA_SIZE,
            geometry,
        );
        (Vm::new(Contract::attach(page).expect("this version")), port)
    };
    let device = vm.take_blocks().pop().expect("one device");
    assert!(vm.take_blocks().is_empty());
    let memory = Memory {
        bytes: (0..BLOCKS)
            .flat_map(|number| [number.to_le_bytes()[0]; 512])
            .collect(),
        flushes: 0,
        answer: AbiStatus::Done,
    };
    (device, port, memory)
}

#[test]
fn a_device_is_as_its_entry_says() {
    let (device, ..) = world();
    assert_eq!((device.name(), device.index()), ("data", 0));
    assert_eq!((device.block_size(), device.block_count()), (512, 1024));
    assert!(device.transfer_limit().is_multiple_of(512));
}

#[test]
fn bytes_go_to_the_host_and_come_back() {
    let (mut device, mut port, mut memory) = world();
    let data = vec![0xa5; 1024];
    let write = BlockRequest::Write {
        first: 1022,
        data: &data,
    };
    let read = BlockRequest::Read {
        first: 1021,
        length: 1536,
    };
    let write = device.begin(write).expect("room");
    let read = device.begin(read).expect("room");
    let flush = device.begin(BlockRequest::Flush).expect("room");
    let mut found = vec![0; 1536];
    assert_eq!(device.finish(read, &mut found), None);
    assert_eq!(port.serve(u64::MAX, &mut memory), Ok(3));
    assert_eq!(device.finish(flush, &mut []), Some(Status::Done));
    assert_eq!(device.finish(read, &mut found), Some(Status::Done));
    assert_eq!(device.finish(write, &mut []), Some(Status::Done));
    assert_eq!(found[..512], [0xfd; 512]);
    assert_eq!(found[512..], [0xa5; 1024]);
    assert_eq!(memory.flushes, 1);
    assert_eq!(device.finish(read, &mut found), None);
}

#[test]
fn errors_are_passed_on() {
    let (mut device, mut port, mut memory) = world();
    let beyond = BlockRequest::Read {
        first: BLOCKS,
        length: 512,
    };
    for (answer, request, expected) in [
        (AbiStatus::Failed, BlockRequest::Flush, Status::Failed),
        (AbiStatus::NoSpace, BlockRequest::Flush, Status::NoSpace),
        (AbiStatus::Done, beyond, Status::OutOfRange),
    ] {
        memory.answer = answer;
        let ticket = device.begin(request).expect("room");
        assert_eq!(port.serve(u64::MAX, &mut memory), Ok(1));
        assert_eq!(device.finish(ticket, &mut [0; 512]), Some(expected));
    }
}

#[test]
fn requests_that_nobody_asks_after_make_room_once_they_are_answered() {
    let (mut device, mut port, mut memory) = world();
    let read = BlockRequest::Read {
        first: 0,
        length: 512,
    };
    for _ in 0..3 {
        let mut tickets: Vec<u32> = std::iter::from_fn(|| device.begin(read)).collect();
        assert!(tickets.len() > 1);
        assert_eq!(device.begin(BlockRequest::Flush), None);
        let kept = tickets.pop().expect("several");
        tickets.iter().for_each(|ticket| device.forget(*ticket));
        // Forgotten is not answered: the host may still be about to fill the buffers.
        assert_eq!(device.begin(read), None);
        let served = u32::try_from(tickets.len()).expect("few") + 1;
        assert_eq!(port.serve(u64::MAX, &mut memory), Ok(served));
        assert_eq!(device.finish(kept, &mut [0; 512]), Some(Status::Done));
    }
}
