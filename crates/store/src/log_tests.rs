//! Logs whose writer, or whose host, dies at any moment.

use super::*;
use crate::RECORD_LIMIT;
use crate::testing::{Fragile, now};
use proptest::prelude::*;
use sprat_devices::{BlockError, MemoryBlock};
use std::rc::Rc;

/// Opens the log of a device; its records, and what was found.
fn open<B: Block>(device: B, nonce: u64) -> (Log<B>, Vec<Vec<u8>>, Recovered) {
    let mut records = vec![];
    let opened = now(Log::open(device, nonce, &mut |_, record| {
        records.push(record.to_vec());
    }));
    let (log, recovered) = opened.expect("a log");
    assert_eq!(recovered.records, records.len() as u64);
    (log, records, recovered)
}

fn commit(log: &mut Log<impl Block>, record: &[u8]) -> Place {
    let place = log.append(record).expect("room");
    assert_eq!(now(log.commit()), Ok(()));
    place
}

#[test]
fn records_are_replayed_in_order_and_read_by_their_places() {
    let device = Rc::new(MemoryBlock::new(64));
    let (mut log, records, recovered) = open(device.clone(), 1);
    assert!(records.is_empty() && recovered.new && !recovered.torn);
    let long = vec![9; 3000];
    let one = commit(&mut log, b"one");
    log.append(&long).expect("room");
    let three = commit(&mut log, b"three");
    assert_eq!(now(log.read(one)).as_deref(), Ok(&b"one"[..]));
    assert_eq!(now(log.read(three)).as_deref(), Ok(&b"three"[..]));

    let (mut log, records, recovered) = open(device.clone(), 2);
    assert_eq!(records, [b"one".to_vec(), long.clone(), b"three".to_vec()]);
    assert!(!recovered.torn && !recovered.new);
    commit(&mut log, b"four");
    let (_, records, _) = open(device, 3);
    assert_eq!(records.last().map(Vec::as_slice), Some(&b"four"[..]));
    assert_eq!(records.len(), 4);
}

#[test]
fn what_was_not_committed_is_not_there() {
    let device = Rc::new(MemoryBlock::new(64));
    let (mut log, ..) = open(device.clone(), 1);
    commit(&mut log, b"one");
    log.append(b"two").expect("room");
    assert!(log.uncommitted() > 0);
    drop(log);
    let (_, records, recovered) = open(device, 2);
    assert_eq!(records, [b"one"]);
    assert!(!recovered.torn);
}

#[test]
fn a_torn_tail_is_found_and_cut_and_what_follows_it_never_counts() {
    // A record of more than three blocks, of which the first one or two have come.
    for come in 1..3 {
        let device = Fragile::new(64);
        let (mut log, ..) = open(device.clone(), 1);
        commit(&mut log, b"before");
        assert_eq!(now(log.flush()), Ok(()));
        commit(&mut log, &[7; 1600]);
        device.cut(device.unflushed() - come);
        let (mut log, records, recovered) = open(device.clone(), 2);
        assert_eq!(records, [b"before"]);
        assert!(recovered.torn);
        // Of the same length, so that whatever stood behind the torn one would be in place.
        commit(&mut log, &[8; 1600]);
        let (_, records, recovered) = open(device, 3);
        assert_eq!(records, [b"before".to_vec(), vec![8; 1600]]);
        assert!(!recovered.torn);
    }
}

#[test]
fn every_changed_byte_of_a_record_is_found() {
    for change in 0..40 {
        let device = Rc::new(MemoryBlock::new(64));
        let (mut log, ..) = open(device.clone(), 1);
        let place = commit(&mut log, b"a record of some bytes");
        commit(&mut log, b"another");
        let mut block = [0; 512];
        assert_eq!(now(device.read(2, &mut block)), Ok(()));
        let at = usize::try_from(place.position).expect("small") + change;
        block[at] ^= 0x10;
        assert_eq!(now(device.write(2, &block)), Ok(()));
        let read = now(log.read(place));
        if (4..30).contains(&change) {
            assert_eq!(read, Err(LogError::Damaged), "byte {change}");
        }
        let (_, records, recovered) = open(device, 2);
        assert!(recovered.torn, "byte {change}");
        // Either record is damaged; nothing else is served.
        let expected = if change < 30 { 0 } else { 1 };
        assert_eq!(records.len(), expected, "byte {change}");
    }
}

#[test]
fn a_full_log_says_so_and_keeps_what_it_has() {
    let device = Rc::new(MemoryBlock::new(10));
    let (mut log, ..) = open(device.clone(), 1);
    // Four blocks: 2,048 bytes, of which the log's own record takes 16.
    assert_eq!((log.capacity(), log.used()), (2048, 16));
    commit(&mut log, &[1; 1000]);
    assert_eq!(log.append(&[2; 1017]), Err(LogError::Full));
    commit(&mut log, &[2; 1016]);
    assert_eq!(log.append(&[3]), Err(LogError::Full));
    let (log, records, recovered) = open(device, 2);
    assert_eq!(records, [vec![1; 1000], vec![2; 1016]]);
    assert!(!recovered.torn);
    assert_eq!(log.used(), 2048);
}

#[test]
fn records_that_cannot_be_are_refused() {
    let (mut log, ..) = open(MemoryBlock::new(64), 1);
    assert_eq!(log.append(&[]), Err(LogError::Long));
    assert_eq!(log.append(&vec![1; RECORD_LIMIT + 1]), Err(LogError::Long));
}

#[test]
fn a_device_that_holds_something_else_is_left_alone() {
    for (first, expected) in [
        (b"\x7fELF".to_vec(), LogError::Foreign),
        (
            b"SPRATLOG with more behind it than a head has, so it is none".to_vec(),
            LogError::Foreign,
        ),
    ] {
        let device = Rc::new(MemoryBlock::new(64));
        let mut block = [0; 512];
        block[..first.len()].copy_from_slice(&first);
        assert_eq!(now(device.write(0, &block)), Ok(()));
        let opened = now(Log::open(device.clone(), 1, &mut |_, _| {}));
        assert_eq!(opened.err(), Some(expected));
        let mut after = [0; 512];
        assert_eq!(now(device.read(0, &mut after)), Ok(()));
        assert_eq!(after, block);
    }
    let opened = now(Log::open(MemoryBlock::new(9), 1, &mut |_, _| {}));
    assert_eq!(opened.err(), Some(LogError::Small));
}

#[test]
fn a_commit_that_failed_can_be_made_again() {
    let device = Fragile::new(64);
    let (mut log, ..) = open(device.clone(), 1);
    *device.room.borrow_mut() = 1024;
    log.append(&[5; 2000]).expect("room");
    let full = Err(LogError::Block(BlockError::NoSpace));
    assert_eq!(now(log.commit()), full);
    log.append(b"more").expect("room");
    assert_eq!(now(log.commit()), full);
    *device.room.borrow_mut() = usize::MAX;
    assert_eq!(now(log.commit()), Ok(()));
    let (_, records, _) = open(device, 2);
    assert_eq!(records, [vec![5; 2000], b"more".to_vec()]);
}

#[test]
fn a_log_counts_in_place_of_another_once_it_is_finished() {
    let device = Rc::new(MemoryBlock::new(64));
    let (mut log, ..) = open(device.clone(), 1);
    for number in 0..20 {
        commit(&mut log, &[number; 100]);
    }
    let mut rewrite = log.rewrite(2);
    now(rewrite.append(&log, b"never")).expect("room");
    drop(rewrite);
    let (_, records, _) = open(device.clone(), 3);
    assert_eq!(records.len(), 20);

    // The other half holds what was given up; of this one, only the beginning is the same.
    for round in 0..3 {
        let mut rewrite = log.rewrite(4 + round);
        now(rewrite.append(&log, b"summary")).expect("room");
        assert_eq!(now(rewrite.finish(&mut log)), Ok(()));
        let place = commit(&mut log, b"and on");
        assert_eq!(now(log.read(place)).as_deref(), Ok(&b"and on"[..]));
        let (_, records, recovered) = open(device.clone(), 10 + round);
        assert_eq!(records, [b"summary".to_vec(), b"and on".to_vec()]);
        assert!(!recovered.torn);
    }
}

#[test]
fn a_log_grows_while_another_is_written_in_its_place() {
    let device = Rc::new(MemoryBlock::new(64));
    let (mut log, ..) = open(device.clone(), 1);
    commit(&mut log, b"old");
    let mut rewrite = log.rewrite(2);
    for record in [&b"summary"[..], b"new"] {
        now(rewrite.append(&log, record)).expect("room");
        commit(&mut log, record);
        let (_, records, _) = open(device.clone(), 3);
        assert_eq!(records.last().map(Vec::as_slice), Some(record));
        assert_eq!(records[0], b"old");
    }
    assert_eq!(now(rewrite.finish(&mut log)), Ok(()));
    let (_, records, _) = open(device, 4);
    assert_eq!(records, [b"summary".to_vec(), b"new".to_vec()]);
}

#[test]
fn of_two_logs_in_place_of_another_the_later_one_counts() {
    let device = Rc::new(MemoryBlock::new(64));
    let (mut log, ..) = open(device.clone(), 1);
    let mut earlier = log.rewrite(2);
    now(earlier.append(&log, b"earlier")).expect("room");
    let mut later = log.rewrite(3);
    now(later.append(&log, b"later")).expect("room");
    assert_eq!(
        now(earlier.append(&log, b"more")).err(),
        Some(LogError::Superseded)
    );
    assert_eq!(now(earlier.finish(&mut log)), Err(LogError::Superseded));
    assert_eq!(now(later.finish(&mut log)), Ok(()));
    let (_, records, _) = open(device, 4);
    assert_eq!(records, [b"later".to_vec()]);
}

/// What is done with a log.
#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Commit,
    Flush,
    /// Writes the log anew with every other record.
    Rewrite,
    /// The host dies; the bits say which blocks have come.
    Crash(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1usize..1500).prop_map(Step::Append),
        4 => Just(Step::Commit),
        1 => Just(Step::Flush),
        1 => Just(Step::Rewrite),
        2 => any::<u64>().prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Whatever the host loses, what is replayed is a beginning of what was appended, and has
    /// everything that was flushed; and nothing that was once found lost comes back.
    #[test]
    fn no_crash_loses_what_was_flushed_or_serves_what_was_not_written(steps in steps()) {
        let device = Fragile::new(128);
        let mut nonce = 1;
        let (mut log, ..) = open(device.clone(), nonce);
        let (mut appended, mut flushed) = (Vec::<Vec<u8>>::new(), 0);
        let mut committed = 0;
        let mut fill = 0u8;
        for step in steps {
            match step {
                Step::Append(length) => {
                    fill = fill.wrapping_add(1);
                    let record = vec![fill; length];
                    match log.append(&record) {
                        Ok(_) => appended.push(record),
                        Err(error) => prop_assert_eq!(error, LogError::Full),
                    }
                }
                Step::Commit => {
                    prop_assert_eq!(now(log.commit()), Ok(()));
                    committed = appended.len();
                }
                Step::Flush => {
                    prop_assert_eq!(now(log.flush()), Ok(()));
                    flushed = committed;
                }
                Step::Rewrite => {
                    prop_assert_eq!(now(log.commit()), Ok(()));
                    nonce += 1;
                    appended = appended.into_iter().step_by(2).collect();
                    let mut rewrite = log.rewrite(nonce);
                    for record in &appended {
                        prop_assert!(now(rewrite.append(&log, record)).is_ok());
                    }
                    prop_assert_eq!(now(rewrite.finish(&mut log)), Ok(()));
                    (committed, flushed) = (appended.len(), appended.len());
                }
                Step::Crash(mut keep) => {
                    device.crash(|| {
                        keep = keep.rotate_left(1);
                        keep & 1 == 1
                    });
                    nonce += 1;
                    let (next, records, _) = open(device.clone(), nonce);
                    prop_assert!(records.len() >= flushed && records.len() <= appended.len());
                    prop_assert_eq!(&records[..], &appended[..records.len()]);
                    appended = records;
                    (committed, flushed) = (appended.len(), flushed.min(appended.len()));
                    log = next;
                }
            }
        }
    }

    /// Where only the writer dies, everything that was committed is there.
    #[test]
    fn a_writer_that_dies_loses_nothing_it_committed(
        lengths in prop::collection::vec(1usize..2000, 1..20),
        last in 1usize..4000,
        cut: prop::sample::Index,
    ) {
        let device = Fragile::new(128);
        let (mut log, ..) = open(device.clone(), 1);
        let mut kept = vec![];
        for length in lengths {
            let record = vec![u8::try_from(length % 251).expect("small"); length];
            if log.append(&record).is_ok() {
                prop_assert_eq!(now(log.commit()), Ok(()));
                kept.push(record);
            }
        }
        let before = device.unflushed();
        let appended = log.append(&vec![1; last]).is_ok();
        prop_assert_eq!(now(log.commit()), Ok(()));
        let came = device.unflushed() - before;
        device.cut(cut.index(came + 1));
        let (_, records, _) = open(device, 2);
        prop_assert_eq!(&records[..kept.len()], &kept[..]);
        prop_assert!(records.len() <= kept.len() + usize::from(appended));
    }
}
