//! Transfers against a device that is played here, as the specification has it.

use super::*;
use sprat_abi::block::RING_ENTRIES;
use sprat_abi::ring::ring_size;
use std::vec;
use std::vec::Vec;

#[repr(C, align(4096))]
#[derive(Clone)]
struct Page([u8; 4096]);

/// Zeroed pages, and the address of the first.
fn pages(count: usize) -> (Vec<Page>, u64) {
    let mut pages = vec![Page([0; 4096]); count];
    let at = pages.as_mut_ptr().expose_provenance() as u64;
    (pages, at)
}

fn load<T>(address: u64) -> T {
    // SAFETY: an address in the pages that the test keeps, of bytes that are any value of the type.
    unsafe { sprat_abi::pointer(address).cast::<T>().read_volatile() }
}

fn store<T>(address: u64, value: T) {
    // SAFETY: as above.
    unsafe {
        sprat_abi::pointer(address)
            .cast::<T>()
            .write_volatile(value);
    }
}

/// Bytes of the data area.
const AREA: u32 = 8192;

/// The instance, the transfers, and a device with its blocks. Physical addresses are this process's.
struct Bench {
    requests: Producer<Request>,
    answers: Consumer<Answer>,
    transfers: Transfers,
    queue: Queue,
    parts: [u64; 3],
    data: u64,
    /// How many chains the device has looked at.
    seen: u16,
    blocks: Vec<u8>,
    _keep: Vec<Vec<Page>>,
}

/// What the device finds in a chain.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    first: u16,
    kind: u32,
    sector: u64,
    /// Address, length and whether the device writes them: what stands between head and status.
    bytes: Vec<(u64, u32, bool)>,
    status: u64,
}

impl Bench {
    fn new(geometry: Geometry) -> Self {
        let (queue_pages, queue_at) = pages(3);
        let (head_pages, heads) = pages(1);
        let (data_pages, data) = pages(2);
        let length = ring_size::<Request>(RING_ENTRIES) + ring_size::<Answer>(RING_ENTRIES);
        let (ring_pages, requests) = pages(length.div_ceil(4096) + 1);
        let answers = requests + (ring_size::<Request>(RING_ENTRIES) as u64).next_multiple_of(64);
        let mut queue = Queue::EMPTY;
        let heads = Heads {
            mapped: heads,
            physical: heads,
        };
        let (requests, answers) = (sprat_abi::pointer(requests), sprat_abi::pointer(answers));
        // SAFETY: zeroed pages, kept as long as the bench, each part with the two sides that it has.
        unsafe {
            queue.start(queue_at, 256);
            Self {
                requests: Producer::attach(requests, RING_ENTRIES),
                answers: Consumer::attach(answers, RING_ENTRIES),
                transfers: Transfers::new(
                    (
                        Consumer::attach(requests, RING_ENTRIES),
                        Producer::attach(answers, RING_ENTRIES),
                    ),
                    (data, AREA),
                    heads,
                    geometry,
                ),
                queue,
                parts: Queue::parts(queue_at),
                data,
                seen: 0,
                blocks: (0..geometry.blocks * 512)
                    .map(|at| (at / 512).to_le_bytes()[0])
                    .collect(),
                _keep: vec![queue_pages, head_pages, data_pages, ring_pages],
            }
        }
    }

    fn ask(&mut self, tag: u32, operation: u16, first: u64, offset: u32, length: u32) {
        let request = Request {
            tag,
            operation,
            reserved: 0,
            first,
            offset,
            length,
        };
        assert_eq!(self.requests.push(&[request]), Ok(1));
    }

    /// What the device finds next.
    fn next(&mut self) -> Option<Asked> {
        self.transfers.serve(&mut self.queue);
        self.queue.publish();
        let [descriptors, available, _] = self.parts;
        if load::<u16>(available + 2) == self.seen {
            return None;
        }
        let first: u16 = load(available + 4 + 2 * u64::from(self.seen % 256));
        self.seen = self.seen.wrapping_add(1);
        let mut chain = Vec::new();
        let mut index = first;
        loop {
            let at = descriptors + 16 * u64::from(index);
            let flags = load::<u16>(at + 12);
            chain.push((load::<u64>(at), load::<u32>(at + 8), flags & 2 != 0));
            if flags & 1 == 0 {
                break;
            }
            index = load(at + 14);
        }
        let (head, status) = (chain[0], chain[chain.len() - 1]);
        assert_eq!(
            (head.1, head.2),
            (16, false),
            "a head that the device reads"
        );
        assert_eq!((status.1, status.2), (1, true), "a status that it writes");
        Some(Asked {
            first,
            kind: load(head.0),
            sector: load(head.0 + 8),
            bytes: chain[1..chain.len() - 1].to_vec(),
            status: status.0,
        })
    }

    /// The device does what was asked, with a status of the specification's.
    fn done(&mut self, asked: &Asked, status: u8) {
        let mut at = usize::try_from(asked.sector).expect("small") * 512;
        for (address, length, written) in &asked.bytes {
            for offset in 0..u64::from(*length) {
                match written {
                    true => store(address + offset, self.blocks[at]),
                    false => self.blocks[at] = load(address + offset),
                }
                at += 1;
            }
        }
        store(asked.status, status);
        let used = self.parts[2];
        let index = load::<u16>(used + 2);
        let entry = used + 4 + 8 * u64::from(index % 256);
        store(entry, u32::from(asked.first));
        store(entry + 4, 1_u32);
        store(used + 2, index.wrapping_add(1));
    }

    /// What the instance is answered: tags and statuses.
    fn answered(&mut self) -> Vec<(u32, Status)> {
        self.transfers.serve(&mut self.queue);
        let mut answers = [Answer::default(); 64];
        let count = self.answers.pop(&mut answers).expect("an honest ring");
        let answers = answers[..count].iter();
        answers
            .map(|answer| (answer.tag, Status::from_value(answer.status)))
            .collect()
    }
}

const DISK: Geometry = Geometry {
    blocks: 64,
    read_only: false,
    flushes: true,
};

/// Types of requests: section 5.2.6 of the specification.
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSHED: u32 = 4;

const OK: u8 = 0;
const FAILED: u8 = 1;
const UNSUPPORTED: u8 = 2;

#[test]
fn what_is_written_is_on_the_disk_and_is_read_back() {
    let mut bench = Bench::new(DISK);
    for offset in 0..1024 {
        store(bench.data + 4096 + offset, 0x77_u8);
    }
    bench.ask(9, 2, 5, 4096, 1024);
    let asked = bench.next().expect("asked");
    assert_eq!((asked.kind, asked.sector), (OUT, 5));
    assert_eq!(asked.bytes, [(bench.data + 4096, 1024, false)]);
    assert_eq!(bench.answered(), [], "not done");
    bench.done(&asked, OK);
    assert_eq!(bench.answered(), [(9, Status::Done)]);

    bench.ask(10, 1, 4, 0, 1536);
    let asked = bench.next().expect("asked");
    assert_eq!((asked.kind, asked.sector), (IN, 4));
    assert_eq!(asked.bytes, [(bench.data, 1536, true)]);
    bench.done(&asked, OK);
    assert_eq!(bench.answered(), [(10, Status::Done)]);
    let read: Vec<u8> = (0..1536).map(|at| load(bench.data + at)).collect();
    assert_eq!(read, [[4; 512], [0x77; 512], [0x77; 512]].concat());
}

#[test]
fn a_write_and_a_flush_wait_for_what_came_before_and_reads_do_not() {
    let mut bench = Bench::new(DISK);
    for tag in 0..3 {
        bench.ask(tag, 1, u64::from(tag), 512 * tag, 512);
    }
    bench.ask(3, 2, 7, 2048, 512);
    bench.ask(4, 3, 0, 0, 0);
    bench.ask(5, 1, 7, 0, 512);
    let reads = [0; 3].map(|_| bench.next().expect("reads go together"));
    assert_eq!(bench.next(), None, "the write waits");
    // Out of order, as a device may.
    for read in [2, 0, 1] {
        assert_eq!(bench.next(), None, "the write waits");
        bench.done(&reads[read], OK);
    }
    let write = bench.next().expect("its turn");
    assert_eq!(write.kind, OUT);
    assert_eq!(bench.next(), None, "the flush waits");
    bench.done(&write, OK);
    let flush = bench.next().expect("its turn");
    assert_eq!(
        (flush.kind, flush.sector, flush.bytes.len()),
        (FLUSHED, 0, 0)
    );
    assert_eq!(bench.next(), None, "the read waits");
    bench.done(&flush, OK);
    let read = bench.next().expect("its turn");
    bench.done(&read, OK);
    let tags: Vec<u32> = bench.answered().iter().map(|(tag, _)| *tag).collect();
    assert_eq!(tags, [2, 0, 1, 3, 4, 5]);
}

#[test]
fn what_cannot_be_is_refused_and_never_asked() {
    let mut bench = Bench::new(DISK);
    for (operation, first, offset, length, expected) in [
        (1, 64, 0, 512, Status::OutOfRange),
        (2, 63, 0, 1024, Status::OutOfRange),
        (1, u64::MAX, 0, 512, Status::OutOfRange),
        (1, 0, 0, 0, Status::OutOfRange),
        (1, 0, 0, 100, Status::OutOfRange),
        (1, 0, AREA - 512, 1024, Status::OutOfRange),
        (2, 0, u32::MAX, 512, Status::OutOfRange),
        (7, 0, 0, 512, Status::Unknown),
    ] {
        bench.ask(1, operation, first, offset, length);
        assert_eq!(bench.next(), None);
        assert_eq!(bench.answered(), [(1, expected)]);
    }
    let mut bench = Bench::new(Geometry {
        read_only: true,
        ..DISK
    });
    bench.ask(1, 2, 0, 0, 512);
    assert_eq!(bench.next(), None);
    assert_eq!(bench.answered(), [(1, Status::ReadOnly)]);
}

#[test]
fn what_the_device_could_not_do_is_answered_so() {
    let mut bench = Bench::new(DISK);
    for (said, expected) in [
        (FAILED, Status::Failed),
        (UNSUPPORTED, Status::Unknown),
        (0xff, Status::Failed),
    ] {
        bench.ask(1, 1, 0, 0, 512);
        let asked = bench.next().expect("asked");
        bench.done(&asked, said);
        assert_eq!(bench.answered(), [(1, expected)]);
    }
}

#[test]
fn a_disk_that_keeps_nothing_to_itself_is_not_told_to_flush() {
    let mut bench = Bench::new(Geometry {
        flushes: false,
        ..DISK
    });
    bench.ask(1, 2, 0, 0, 512);
    bench.ask(2, 3, 0, 0, 0);
    let write = bench.next().expect("asked");
    assert_eq!(bench.answered(), [], "not before the write is done");
    bench.done(&write, OK);
    assert_eq!(bench.next(), None);
    assert_eq!(bench.answered(), [(1, Status::Done), (2, Status::Done)]);
}

#[test]
fn no_more_is_under_way_than_answers_have_room() {
    let mut bench = Bench::new(DISK);
    let mut done = 0;
    // The instance takes no answer: as many are done as the ring holds.
    for tag in 0..64 {
        bench.ask(tag, 1, 0, 0, 512);
    }
    while let Some(asked) = bench.next() {
        bench.done(&asked, OK);
        done += 1;
    }
    bench.ask(64, 1, 0, 0, 512);
    assert_eq!((done, bench.next()), (64, None));
    assert_eq!(bench.answered().len(), 64);
    assert!(bench.next().is_some(), "there is room again");
    assert!(bench.transfers.is_busy());
}

#[test]
fn a_device_that_does_what_nobody_asked_changes_nothing() {
    let mut bench = Bench::new(DISK);
    bench.ask(1, 1, 0, 0, 512);
    let asked = bench.next().expect("asked");
    bench.done(&asked, OK);
    bench.done(&asked, OK);
    assert_eq!(bench.answered(), [(1, Status::Done)]);
    assert_eq!(bench.answered(), []);
}
