//! Rings under the race checker, under threads and against lies.

use super::*;
use alloc::vec::Vec;

/// A ring whose parts are the checker's own when it runs.
struct Shared {
    producer: IndexLine,
    consumer: IndexLine,
    entries: Vec<AtomicU32>,
}

impl Shared {
    fn new(capacity: u32) -> Self {
        Self {
            producer: IndexLine::new(),
            consumer: IndexLine::new(),
            entries: (0..capacity).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    fn producer(&self) -> Producer<u32> {
        // SAFETY: every test keeps `Shared` alive longer than its sides.
        unsafe {
            Producer::from_parts(
                &self.producer,
                &self.consumer,
                self.entries.as_ptr(),
                self.capacity(),
            )
        }
    }

    fn consumer(&self) -> Consumer<u32> {
        // SAFETY: as in `producer`.
        unsafe {
            Consumer::from_parts(
                &self.producer,
                &self.consumer,
                self.entries.as_ptr(),
                self.capacity(),
            )
        }
    }

    fn capacity(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("small")
    }
}

#[cfg(loom)]
mod model {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// Where the indexes stand at first: at the start, and where they are about to run over.
    const STARTS: [u32; 2] = [0, u32::MAX - 1];

    /// A ring of two entries that has come as far as `start`.
    fn ring_at(start: u32) -> Arc<Shared> {
        let shared = Shared::new(2);
        shared.producer.index.store(start, Ordering::Relaxed);
        shared.consumer.index.store(start, Ordering::Relaxed);
        Arc::new(shared)
    }

    fn producer_at(shared: &Shared, start: u32) -> Producer<u32> {
        let mut producer = shared.producer();
        producer.indexes.position = start;
        producer
    }

    fn consumer_at(shared: &Shared, start: u32) -> Consumer<u32> {
        let mut consumer = shared.consumer();
        consumer.indexes.position = start;
        consumer
    }

    #[test]
    fn entries_arrive_once_in_order_under_every_interleaving() {
        for start in STARTS {
            loom::model(move || {
                let shared = ring_at(start);
                let sender = thread::spawn({
                    let shared = shared.clone();
                    move || {
                        let mut producer = producer_at(&shared, start);
                        let mut next = 1;
                        while next <= 3 {
                            if producer.push(&[next]).expect("an honest consumer") == 1 {
                                next += 1;
                            } else {
                                thread::yield_now();
                            }
                        }
                    }
                });
                let mut consumer = consumer_at(&shared, start);
                let mut expected = 1;
                while expected <= 3 {
                    let mut taken = [0; 2];
                    let count = consumer.pop(&mut taken).expect("an honest producer");
                    for &entry in &taken[..count] {
                        assert_eq!(entry, expected);
                        expected += 1;
                    }
                    if count == 0 {
                        thread::yield_now();
                    }
                }
                sender.join().expect("the sender does not panic");
            });
        }
    }

    #[test]
    fn what_a_consumer_leaves_in_an_entry_is_there_when_the_entry_comes_back() {
        for start in STARTS {
            loom::model(move || {
                let shared = ring_at(start);
                let mut producer = producer_at(&shared, start);
                assert_eq!(producer.push(&[1, 2]), Ok(2));
                let taker = thread::spawn({
                    let shared = shared.clone();
                    move || {
                        let mut consumer = consumer_at(&shared, start);
                        for _ in 0..2 {
                            let entry = consumer.read(0);
                            consumer.leave(0, entry + 10);
                            consumer.release(1);
                        }
                    }
                });
                for place in 0..2 {
                    while producer.available() == Ok(place) {
                        thread::yield_now();
                    }
                    assert!(producer.available().expect("an honest consumer") > place);
                    assert_eq!(producer.read(place), 11 + place);
                }
                taker.join().expect("the taker does not panic");
            });
        }
    }

    /// Indexes that a ring of two entries cannot have, seen from `own`, and one that it can.
    fn claims(own: u32) -> [u32; 6] {
        [3, 77, 1 << 31, u32::MAX, u32::MAX - 1, 1].map(|ahead| own.wrapping_add(ahead))
    }

    /// Runs a liar that writes `claim` to an index line beside `honest`.
    fn beside_a_liar(
        start: u32,
        claim: u32,
        line: fn(&Shared) -> &IndexLine,
        honest: impl Fn(&Shared) + Send + Sync + 'static,
    ) {
        loom::model(move || {
            let shared = ring_at(start);
            let liar = thread::spawn({
                let shared = shared.clone();
                move || line(&shared).index.store(claim, Ordering::Release)
            });
            honest(&shared);
            liar.join().expect("the liar does not panic");
        });
    }

    #[test]
    fn a_producer_that_writes_any_index_meets_an_error_or_gets_entries_no_further_than_the_ring() {
        for start in STARTS {
            for claim in claims(start) {
                beside_a_liar(
                    start,
                    claim,
                    |shared| &shared.producer,
                    move |shared| match consumer_at(shared, start).pop(&mut [9; 4]) {
                        Ok(count) => assert!(count == 0 || claim == start.wrapping_add(1)),
                        Err(lie) => assert_eq!(
                            (lie.side, lie.index, lie.own),
                            (Side::Producer, claim, start)
                        ),
                    },
                );
            }
        }
    }

    #[test]
    fn a_consumer_that_writes_any_index_meets_an_error_or_frees_no_more_than_the_ring() {
        for start in STARTS {
            // The producer has put two entries in, so the consumer may be up to two behind.
            let own = start.wrapping_add(2);
            for behind in [u32::MAX, 3, 1 << 31, 1] {
                let claim = own.wrapping_sub(behind);
                beside_a_liar(
                    start,
                    claim,
                    |shared| &shared.consumer,
                    move |shared| match producer_at(shared, own).push(&[3, 4, 5]) {
                        Ok(count) => assert!(count == 0 || (count, behind) == (1, 1)),
                        Err(lie) => {
                            assert_eq!((lie.side, lie.index, lie.own), (Side::Consumer, claim, own))
                        }
                    },
                );
            }
        }
    }
}

#[cfg(not(loom))]
mod threads {
    use super::*;

    #[test]
    fn a_full_ring_takes_no_more_and_an_empty_one_gives_none() {
        let shared = Shared::new(4);
        let (mut producer, mut consumer) = (shared.producer(), shared.consumer());
        assert_eq!(producer.push(&[1, 2, 3, 4, 5]), Ok(4));
        assert_eq!(producer.push(&[5]), Ok(0));
        let mut taken = [0; 3];
        assert_eq!(consumer.pop(&mut taken), Ok(3));
        assert_eq!(taken, [1, 2, 3]);
        assert_eq!(producer.push(&[5, 6, 7, 8]), Ok(3));
        let mut rest = [0; 8];
        assert_eq!(consumer.pop(&mut rest), Ok(4));
        assert_eq!(rest[..4], [4, 5, 6, 7]);
        assert_eq!(consumer.pop(&mut rest), Ok(0));
    }

    #[test]
    fn indexes_wrap_through_the_whole_of_u32() {
        let shared = Shared::new(4);
        let (mut producer, mut consumer) = (shared.producer(), shared.consumer());
        for side in [&mut producer.indexes, &mut consumer.indexes] {
            side.position = u32::MAX - 1;
        }
        shared.producer.index.store(u32::MAX - 1, Ordering::Relaxed);
        shared.consumer.index.store(u32::MAX - 1, Ordering::Relaxed);
        for round in 0..4u32 {
            assert_eq!(producer.push(&[round, round + 10, round + 20]), Ok(3));
            let mut taken = [0; 4];
            assert_eq!(consumer.pop(&mut taken), Ok(3));
            assert_eq!(taken[..3], [round, round + 10, round + 20]);
        }
    }

    #[test]
    fn an_index_ahead_by_more_than_the_ring_is_a_lie() {
        let shared = Shared::new(4);
        let mut consumer = shared.consumer();
        shared.producer.index.store(5, Ordering::Relaxed);
        let lie = RingLie {
            side: Side::Producer,
            index: 5,
            own: 0,
            capacity: 4,
        };
        assert_eq!(consumer.pop(&mut [0; 8]), Err(lie));
        assert_eq!(
            alloc::string::ToString::to_string(&lie),
            "producer index 5 is impossible: the consumer index is 0 and the ring has 4 entries"
        );
        let mut producer = shared.producer();
        shared.consumer.index.store(1, Ordering::Relaxed);
        assert_eq!(
            producer.push(&[1]),
            Err(RingLie {
                side: Side::Consumer,
                index: 1,
                own: 0,
                capacity: 4
            })
        );
    }

    #[test]
    fn our_own_index_is_never_read_back() {
        let shared = Shared::new(4);
        let (mut producer, mut consumer) = (shared.producer(), shared.consumer());
        assert_eq!(producer.push(&[1, 2]), Ok(2));
        shared.consumer.index.store(99, Ordering::Relaxed);
        let mut taken = [0; 4];
        assert_eq!(consumer.pop(&mut taken), Ok(2));
        assert_eq!(
            producer.push(&[3]),
            Ok(1),
            "the pop put the consumer's true index back"
        );
    }

    #[test]
    fn sizes_that_are_no_ring_are_refused() {
        assert_eq!(ring_capacity::<u32>(128 + 4 * 16), Some(16));
        assert_eq!(ring_capacity::<Slot>(128 + 16 * 1024), Some(1024));
        for bytes in [0, 127, 128, 128 + 12, 128 + 5, u64::MAX, 128 + (8 << 20)] {
            assert_eq!(ring_capacity::<u32>(bytes), None, "{bytes}");
        }
        assert_eq!(ring_size::<Slot>(1024), 128 + 16 * 1024);
    }

    #[test]
    fn a_million_entries_cross_between_threads_in_order() {
        let shared = Shared::new(64);
        std::thread::scope(|scope| {
            let mut producer = shared.producer();
            scope.spawn(move || {
                let mut next = 0u32;
                while next < 1_000_000 {
                    let batch: [u32; 7] =
                        core::array::from_fn(|i| next + u32::try_from(i).expect("small"));
                    let pushed = producer.push(&batch).expect("an honest consumer");
                    next += u32::try_from(pushed).expect("small");
                    if pushed == 0 {
                        std::thread::yield_now();
                    }
                }
            });
            let mut consumer = shared.consumer();
            let (mut expected, mut taken) = (0, [0; 16]);
            while expected < 1_000_000 {
                let count = consumer.pop(&mut taken).expect("an honest producer");
                for &entry in &taken[..count] {
                    assert_eq!(entry, expected);
                    expected += 1;
                }
                if count == 0 {
                    std::thread::yield_now();
                }
            }
        });
    }
}
