//! A store over a log.

use super::*;
use crate::testing::{Fragile, now};
use proptest::prelude::*;
use sprat_devices::MemoryBlock;
use std::rc::Rc;
use std::string::ToString as _;
use std::vec;

fn open<B: Block>(device: B, nonce: u64) -> LogStore<B> {
    now(LogStore::open(device, nonce)).expect("a store").0
}

fn value(store: &LogStore<impl Block>, key: &str) -> Option<Vec<u8>> {
    now(store.get(key)).expect("read").map(Cow::into_owned)
}

#[test]
fn a_store_keeps_the_last_value_across_openings() {
    let device = Rc::new(MemoryBlock::new(64));
    let store = open(device.clone(), 1);
    assert_eq!(now(store.remove("k")), Ok(false));
    assert_eq!(now(store.set("k", b"1")), Ok(()));
    assert_eq!(now(store.set("k", b"2")), Ok(()));
    assert_eq!(now(store.set("", b"")), Ok(()));
    assert_eq!(now(store.set("gone", &[7; 700])), Ok(()));
    assert_eq!(now(store.remove("gone")), Ok(true));
    for nonce in 2..4 {
        assert_eq!(value(&store, "k").as_deref(), Some(&b"2"[..]));
        assert_eq!(value(&store, "").as_deref(), Some(&b""[..]));
        assert_eq!(value(&store, "gone"), None);
        drop(open(device.clone(), nonce));
    }
    let store = open(device, 4);
    assert_eq!(value(&store, "k").as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_store_makes_room_by_leaving_out_what_no_longer_counts() {
    // Two halves of four blocks: room for three values of 600 bytes.
    let device = Rc::new(MemoryBlock::new(10));
    let store = open(device.clone(), 1);
    for round in 0..50 {
        assert_eq!(now(store.set("a", &[round; 600])), Ok(()));
        assert_eq!(now(store.set("b", &[round; 600])), Ok(()));
    }
    assert_eq!(now(store.set("c", &[1; 600])), Ok(()));
    assert_eq!(now(store.set("d", &[1; 600])), Err(LogError::Full));
    // A full store can still change and lose values.
    assert_eq!(now(store.set("a", &[99; 600])), Ok(()));
    assert_eq!(now(store.remove("b")), Ok(true));
    assert_eq!(now(store.set("d", &[1; 600])), Ok(()));
    let store = open(device, 2);
    let found = ["a", "b", "c", "d"].map(|key| value(&store, key).map(|value| value[0]));
    assert_eq!(found, [Some(99), None, Some(1), Some(1)]);
}

#[test]
fn a_log_of_something_else_is_no_store() {
    let device = Rc::new(MemoryBlock::new(64));
    let opened = now(Log::open(device.clone(), 1, &mut |_, _| {}));
    let (mut log, _) = opened.expect("a log");
    log.append(b"words").expect("room");
    assert_eq!(now(log.commit()), Ok(()));
    let opened = now(LogStore::open(device, 2));
    assert_eq!(opened.err(), Some(LogError::Foreign));
}

proptest! {
    /// Against a map in memory, with a host that dies now and then after a flush.
    #[test]
    fn a_store_is_a_map_that_lasts(
        steps in prop::collection::vec((0u8..5, 0u8..8, 0usize..300), 1..120),
    ) {
        let device = Fragile::new(40);
        let mut store = open(device.clone(), 0);
        let mut model = BTreeMap::new();
        for (nonce, (step, key, length)) in (1..).zip(steps) {
            let key = char::from(b'a' + key).to_string();
            match step {
                0..=2 => {
                    let content = vec![step; length];
                    match now(store.set(&key, &content)) {
                        Ok(()) => drop(model.insert(key, content)),
                        Err(error) => prop_assert_eq!(error, LogError::Full),
                    }
                }
                3 => {
                    let had = model.remove(&key).is_some();
                    prop_assert_eq!(now(store.remove(&key)), Ok(had));
                }
                _ => {
                    prop_assert_eq!(now(store.flush()), Ok(()));
                    device.crash(|| false);
                    store = open(device.clone(), nonce);
                }
            }
            for key in 'a'..='h' {
                let key = key.to_string();
                prop_assert_eq!(value(&store, &key), model.get(&key).cloned());
            }
        }
    }
}
