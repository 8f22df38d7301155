//! Counting on one side, reading on the other.

use super::*;
use alloc::vec::Vec;

#[repr(C, align(64))]
struct Memory([u8; RECORDS_OFFSET + 3 * 128 + 100]);

fn region(memory: &mut Memory) -> Region {
    let length = memory.0.len() as u64;
    // SAFETY: the tests keep the memory longer than the region and look at it in no other way.
    unsafe { Region::attach(memory.0.as_mut_ptr(), length) }.expect("long enough")
}

#[test]
fn a_record_is_read_as_it_was_counted() {
    let mut memory = Memory([0; _]);
    let region = region(&mut memory);
    assert_eq!(region.capacity(), 3);
    let handle = region
        .register(Subject::Element, b"filter/drops")
        .expect("room");
    handle.add(Counter::Drops, 3);
    handle.add(Counter::Drops, 4);
    handle.set(Counter::Time, 9);
    let records: Vec<_> = region.records().collect();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].subject, Some(Subject::Element));
    assert_eq!(records[0].name(), b"filter/drops");
    assert_eq!(
        (
            records[0].get(Counter::Drops),
            records[0].get(Counter::Time)
        ),
        (7, 9)
    );
}

#[test]
fn a_full_region_registers_no_more_and_long_names_are_cut() {
    let mut memory = Memory([0; _]);
    let region = region(&mut memory);
    for _ in 0..3 {
        assert!(region.register(Subject::Task, &[b'x'; 100]).is_some());
    }
    assert!(region.register(Subject::Task, b"y").is_none());
    assert!(
        region
            .records()
            .all(|record| record.name() == [b'x'; NAME_LIMIT])
    );
    region.truncate(1);
    assert_eq!(region.records().count(), 1);
}

#[test]
fn the_newest_events_are_kept() {
    let mut memory = Memory([0; _]);
    let region = region(&mut memory);
    for time in 0..300 {
        region.record_event(Event {
            time,
            code: 5,
            record: 6,
            values: [7, 8],
        });
    }
    let times: Vec<u64> = region.events().map(|event| event.time).collect();
    assert_eq!(times, (44..300).collect::<Vec<u64>>());
    assert!(
        region
            .events()
            .all(|e| (e.code, e.record, e.values) == (5, 6, [7, 8]))
    );
}

#[test]
fn a_reader_survives_any_bytes() {
    let mut memory = Memory([0xff; _]);
    let region = region(&mut memory);
    assert_eq!(region.records().count(), 3);
    assert_eq!(region.events().count(), EVENT_CAPACITY);
    assert!(
        region
            .records()
            .all(|record| record.name().len() == NAME_LIMIT)
    );
}
