//! The sealed platform against the host's side of the contract, in one process: no monitor, the
//! `yield` call is a function of this test.
#![allow(missing_docs)]

use std::alloc::{Layout, alloc_zeroed};
use std::cell::RefCell;

use sprat_abi::boot::{Area, BootPage, NetworkDevice};
use sprat_abi::bytes::{ByteConsumer, ByteProducer, byte_ring_size};
use sprat_abi::call::{CallBlock, Wake};
use sprat_abi::clock::{ClockPage, ClockPoint};
use sprat_abi::control::{self, MessageHead, MessageKind, status};
use sprat_abi::frame::{BUFFER_STRIDE, FrameHead, Slot};
use sprat_abi::guest::Contract;
use sprat_abi::host::{self, BufferPool, NetworkPort};
use sprat_abi::ring::{Consumer, Producer, ring_size};
use sprat_packet::Batch;
use sprat_platform::{Network as _, Platform as _};
use sprat_platform_vm::Vm;

const BUFFERS: u32 = 64;
const OWN: u32 = 16;
const SLOTS: u32 = 32;
const TEXT_RING: u32 = 1024;

/// What the host holds of an instance.
struct Host {
    pool: BufferPool,
    port: NetworkPort,
    console: ByteConsumer,
    requests: ByteProducer,
    answers: ByteConsumer,
    /// Frames and console text taken out at yields.
    frames: Vec<(i64, Vec<u8>)>,
    text: Vec<u8>,
    /// Parts of answers: whose, how it went, the data, whether more follow.
    parts: Vec<(u64, u32, Vec<u8>, bool)>,
}

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// What a monitor does at a yield.
extern "sysv64" fn yield_call() -> Wake {
    HOST.with(|host| {
        let mut host = host.borrow_mut();
        let host = host.as_mut().expect("the world is made");
        host.drain();
    });
    Wake {
        ready: 1 | Wake::CONTROL,
        now: 99,
    }
}

extern "sysv64" fn exit_call(status: i32) -> ! {
    panic!("exit({status})")
}

impl Host {
    fn drain(&mut self) {
        let (mut open, mut timestamp) = (Vec::new(), 0);
        let frames = &mut self.frames;
        self.port
            .drain(&mut self.pool, u32::MAX, |part| {
                if open.is_empty() {
                    timestamp = part.head().timestamp;
                }
                part.append_to(&mut open);
                if !part.has_more() {
                    frames.push((timestamp, std::mem::take(&mut open)));
                }
            })
            .expect("an honest instance");
        self.pool.reclaim().expect("an honest instance");
        let mut text = [0; TEXT_RING as usize];
        let count = self.console.read(&mut text).expect("an honest instance");
        self.text.extend_from_slice(&text[..count]);
        while let Some(message) =
            control::receive(&mut self.answers, &mut text).expect("an honest instance")
        {
            let more = message.head.flags & MessageHead::MORE != 0;
            self.parts.push((
                message.head.id,
                message.head.status,
                message.data.to_vec(),
                more,
            ));
        }
    }
}

fn with_host<R>(look: impl FnOnce(&mut Host) -> R) -> R {
    HOST.with(|host| look(host.borrow_mut().as_mut().expect("the world is made")))
}

/// Memory for the life of the program.
fn memory(bytes: usize) -> *mut u8 {
    let layout = Layout::from_size_align(bytes, 64).expect("a sound layout");
    // SAFETY: no size here is zero.
    unsafe { alloc_zeroed(layout) }
}

fn area(base: *mut u8, bytes: usize) -> Area {
    Area::new(base.expose_provenance() as u64, bytes as u64)
}

fn area_of<T>(value: &'static T) -> Area {
    area(std::ptr::from_ref(value).cast_mut().cast(), size_of::<T>())
}

/// An instance and, on this thread, its host.
fn world() -> Vm {
    let pool = memory(BUFFERS as usize * BUFFER_STRIDE);
    let [receive, transmit] = [0; 2].map(|_: u8| memory(ring_size::<Slot>(SLOTS)));
    let supply = memory(ring_size::<u32>(BUFFERS));
    let text_size = byte_ring_size(TEXT_RING);
    let [console, requests, answers] = [0; 3].map(|_: u8| memory(text_size));
    let clock = Box::leak(Box::new(ClockPage::new()));
    // Two ticks of the counter a nanosecond would be 2^31; none at all keeps the time at the point.
    clock.write(ClockPoint {
        counter: 0,
        scale: 0,
        monotonic: 5,
        wall: -7,
    });
    let network = NetworkDevice {
        address: [2, 0, 0, 0, 0, 9],
        frame_limit: 4000,
        features: 0,
        receive: area(receive, ring_size::<Slot>(SLOTS)),
        transmit: area(transmit, ring_size::<Slot>(SLOTS)),
    };
    let name: &'static [u8] = b"eth0";
    let entry = Box::leak(Box::new(
        network.to_entry(Area::new(name.as_ptr().expose_provenance() as u64, 4)),
    ));
    // SAFETY: a call block is atomics, for which zeros are values.
    let call_block: &'static CallBlock = unsafe { &*memory(size_of::<CallBlock>()).cast() };
    let page = Box::leak(Box::new(BootPage {
        yield_call: yield_call as *const () as u64,
        exit_call: exit_call as *const () as u64,
        call_block: area_of(call_block).address,
        clock: area_of(clock).address,
        console: area(console, text_size),
        control_requests: area(requests, text_size),
        control_responses: area(answers, text_size),
        pool: area(pool, BUFFERS as usize * BUFFER_STRIDE),
        buffer_count: BUFFERS,
        first_own_buffer: BUFFERS - OWN,
        supply: area(supply, ring_size::<u32>(BUFFERS)),
        device_table: area_of(entry).address,
        device_count: 1,
        ..BootPage::default()
    }));
    // SAFETY: the memory is zeroed, aligned, large enough and never freed; each side is attached once.
    unsafe {
        HOST.with(|host| {
            *host.borrow_mut() = Some(Host {
                pool: BufferPool::new(
                    pool,
                    BUFFERS,
                    BUFFERS - OWN,
                    Consumer::attach(supply, BUFFERS),
                ),
                port: NetworkPort::new(
                    Producer::attach(receive, SLOTS),
                    Consumer::attach(transmit, SLOTS),
                ),
                console: ByteConsumer::attach(console, TEXT_RING),
                requests: ByteProducer::attach(requests, TEXT_RING),
                answers: ByteConsumer::attach(answers, TEXT_RING),
                frames: Vec::new(),
                text: Vec::new(),
                parts: Vec::new(),
            });
        });
        Vm::new(Contract::attach(page).expect("a page of this version"))
    }
}

fn deliver(frames: &[&[u8]], timestamp: i64) -> u32 {
    with_host(|host| {
        let frames = frames
            .iter()
            .map(|bytes| host::Frame::new(bytes, FrameHead::at(timestamp)));
        host.port
            .deliver(&mut host.pool, frames)
            .expect("an honest instance")
            .delivered
    })
}

#[test]
fn frames_pass_without_a_copy_and_keep_their_timestamps() {
    let vm = world();
    let mut device = vm.take_networks().pop().expect("one device");
    assert_eq!(
        (device.name(), device.address(), device.frame_limit()),
        ("eth0", [2, 0, 0, 0, 0, 9], 4000)
    );
    let mut frames = Batch::new();
    for round in 0..100u8 {
        let timestamp = 1_700_000_000_000_000_000 + i64::from(round);
        assert_eq!(deliver(&[&[round; 60], &[round; 1514]], timestamp), 2);
        assert!(device.has_frames());
        assert_eq!(device.receive(&mut frames, 1), 1);
        assert_eq!(device.receive(&mut frames, 10), 1);
        let held = vm.pool().available();
        assert_eq!(device.transmit(&mut frames), 2);
        assert_eq!(
            vm.pool().available(),
            held,
            "no buffer was taken for a copy"
        );
        vm.yield_until(None);
        let expected = [(timestamp, vec![round; 60]), (timestamp, vec![round; 1514])];
        assert_eq!(with_host(|host| std::mem::take(&mut host.frames)), expected);
        assert_eq!(with_host(|host| host.pool.free()), BUFFERS - OWN);
    }
}

#[test]
fn buffers_of_dropped_frames_go_back_to_the_host() {
    let vm = world();
    let mut device = vm.take_networks().pop().expect("one device");
    let mut frames = Batch::new();
    for _ in 0..100 {
        assert_eq!(deliver(&[&[1; 60][..]; 20], 0), 20);
        assert_eq!(device.receive(&mut frames, 100), 20);
        frames.clear();
        vm.yield_until(None);
        assert_eq!(with_host(|host| host.pool.free()), BUFFERS - OWN);
        assert_eq!(vm.pool().available(), OWN as usize);
    }
}

#[test]
fn an_instance_that_makes_its_packets_never_runs_out_of_buffers() {
    let vm = world();
    let mut device = vm.take_networks().pop().expect("one device");
    let mut frames = Batch::new();
    let mut sent = 0u32;
    for round in 0..200u32 {
        for _ in 0..10 {
            frames.push(vm.pool().packet(&round.to_le_bytes().repeat(20)));
        }
        sent += u32::try_from(device.transmit(&mut frames)).expect("few");
        assert!(
            frames.is_empty(),
            "round {round} left {} frames",
            frames.len()
        );
        vm.yield_until(None);
        assert_eq!(with_host(|host| host.frames.drain(..).count()), 10);
    }
    assert_eq!(sent, 2000);
    assert_eq!(with_host(|host| host.pool.free()), BUFFERS - OWN);
}

#[test]
fn frames_longer_than_a_buffer_cross_in_chains_and_too_long_ones_are_dropped() {
    let vm = world();
    let mut device = vm.take_networks().pop().expect("one device");
    let long: Vec<u8> = (0..3900u32)
        .map(|index| (index * 7).to_le_bytes()[0])
        .collect();
    assert_eq!(deliver(&[&long, &[1; 60]], 42), 2);
    let mut frames = Batch::new();
    assert_eq!(device.receive(&mut frames, 10), 2);
    assert_eq!((frames[0].data(), frames[0].timestamp()), (&long[..], 42));
    frames.push(vm.pool().packet(&[9; 4001]));
    assert_eq!(device.transmit(&mut frames), 3);
    assert_eq!(device.oversized(), 1);
    vm.yield_until(None);
    assert_eq!(
        with_host(|host| host.frames.clone()),
        [(42, long), (42, vec![1; 60])]
    );
}

#[test]
fn what_finds_no_room_stays_at_the_front_in_order() {
    let vm = world();
    let mut device = vm.take_networks().pop().expect("one device");
    let mut frames = Batch::new();
    // More than the ring has slots, from the heap: the pool has only 16 buffers.
    let heap = sprat_packet::Pool::growing();
    frames.extend((0..100u8).map(|number| heap.packet(&[number; 60])));
    let mut received = Vec::new();
    while !frames.is_empty() {
        let taken = device.transmit(&mut frames);
        assert!(taken > 0 && taken <= SLOTS as usize);
        vm.yield_until(None);
        received.extend(with_host(|host| std::mem::take(&mut host.frames)));
    }
    let numbers: Vec<u8> = received.iter().map(|(_, frame)| frame[0]).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
}

#[test]
fn console_text_longer_than_the_ring_arrives_whole() {
    let vm = world();
    let text: Vec<u8> = (0..5000u32)
        .map(|index| (index % 251).to_le_bytes()[0])
        .collect();
    vm.write_console(&text);
    // The waiting yields reported devices and requests; the next one still does.
    let wake = vm.yield_until(Some(0));
    assert!(wake.request && wake.ready == 1 && wake.now == 99);
    assert_eq!(with_host(|host| host.text.clone()), text);
}

#[test]
fn a_request_in_parts_is_put_together_and_a_long_answer_comes_in_parts() {
    let vm = world();
    let head = MessageHead {
        id: 7,
        kind: MessageKind::Write as u16,
        ..MessageHead::default()
    };
    with_host(|host| {
        let more = MessageHead {
            flags: MessageHead::MORE,
            ..head
        };
        assert_eq!(
            control::send(&mut host.requests, more, b"c.set", b"first "),
            Ok(true)
        );
        assert_eq!(
            control::send(&mut host.requests, head, b"c.set", b"second"),
            Ok(true)
        );
    });
    let request = vm.next_request().expect("a request");
    assert_eq!(
        (request.number, request.kind),
        (7, Some(MessageKind::Write))
    );
    assert_eq!(
        (&request.name[..], &request.data[..]),
        (&b"c.set"[..], &b"first second"[..])
    );
    assert_eq!(vm.next_request(), None);

    // Longer than the ring, so that the host has to empty it while the answer is written.
    let answer: Vec<u8> = (0..1800u32)
        .map(|index| (index % 249).to_le_bytes()[0])
        .collect();
    vm.respond(7, status::OK, &answer);
    vm.yield_until(None);
    let parts = with_host(|host| std::mem::take(&mut host.parts));
    let more: Vec<bool> = parts.iter().map(|(.., more)| *more).collect();
    assert_eq!(more, [true, false]);
    assert!(
        parts
            .iter()
            .all(|(id, how, ..)| (*id, *how) == (7, status::OK))
    );
    assert_eq!(
        parts
            .into_iter()
            .flat_map(|(_, _, data, _)| data)
            .collect::<Vec<u8>>(),
        answer
    );
}

#[test]
fn a_request_that_comes_while_one_is_looked_for_is_whole() {
    const REQUESTS: u64 = 2_000;
    // Looks all the time, but for a moment now and then, as both sides may share a processor, and gives
    // up where the other side has.
    let wait = |done: &mut dyn FnMut() -> bool| {
        let begin = std::time::Instant::now();
        while !(0..100).any(|_| done()) {
            assert!(begin.elapsed().as_secs() < 20, "the other side has ended");
            std::thread::yield_now();
        }
    };
    let vm = world();
    with_host(|host| {
        let requests = &mut host.requests;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for id in 0..REQUESTS {
                    let head = MessageHead {
                        id,
                        kind: MessageKind::Write as u16,
                        ..MessageHead::default()
                    };
                    // One at a time, so that each comes to a ring that is looked at in vain.
                    wait(&mut || requests.available() == Ok(requests.capacity()));
                    assert_eq!(control::send(requests, head, b"kept", b"value"), Ok(true));
                }
            });
            for id in 0..REQUESTS {
                let mut request = None;
                wait(&mut || {
                    request = vm.next_request();
                    request.is_some()
                });
                let request = request.expect("waited for");
                assert_eq!(request.number, id);
                assert_eq!(
                    (&request.name[..], &request.data[..]),
                    (&b"kept"[..], &b"value"[..])
                );
            }
        });
    });
}

#[test]
fn the_clock_follows_the_host() {
    let vm = world();
    assert_eq!((vm.monotonic(), vm.wall()), (5, -7));
}
