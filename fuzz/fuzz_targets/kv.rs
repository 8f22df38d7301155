//! Any bytes from a client of the store (`examples/kv`): what it changes is the same when it is read
//! back from the log, and when the log is written anew. And any record of a log, which is done or
//! refused.
//!
//! The first byte says which.
#![no_main]
#![allow(dead_code, reason = "the program's own tests use the rest")]

extern crate alloc;

#[path = "../../examples/kv/src/command.rs"]
mod command;
#[path = "../../examples/kv/src/database.rs"]
mod database;
#[path = "../../examples/kv/src/engine.rs"]
mod engine;
#[path = "../../examples/kv/src/hashes.rs"]
mod hashes;
#[path = "../../examples/kv/src/keys.rs"]
mod keys;
#[path = "../../examples/kv/src/lists.rs"]
mod lists;
#[path = "../../examples/kv/src/pattern.rs"]
mod pattern;
#[path = "../../examples/kv/src/reply.rs"]
mod reply;
#[path = "../../examples/kv/src/request.rs"]
mod request;
#[path = "../../examples/kv/src/server.rs"]
mod server;
#[path = "../../examples/kv/src/sets.rs"]
mod sets;
#[path = "../../examples/kv/src/strings.rs"]
mod strings;

use engine::{Changes, Engine, Progress};
use libfuzzer_sys::fuzz_target;
use reply::Reply;
use request::{Parsed, REQUEST_LIMIT};

const NOW: i64 = 1_700_000_000_000;

/// What would be written of it.
fn whole(engine: &Engine) -> Vec<u8> {
    let mut progress = Progress::default();
    let mut all = Vec::new();
    while let Some(part) = engine.dump(&mut progress, 100) {
        part.records(1)
            .for_each(|record| all.extend_from_slice(record));
    }
    all
}

/// An engine that has read these back.
fn replayed(changes: &Changes) -> Engine {
    let mut engine = Engine::default();
    for record in changes.records(1000) {
        assert!(engine.replay(record), "{}", record.escape_ascii());
    }
    engine
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, mut rest)) = bytes.split_first() else {
        return;
    };
    let mut engine = Engine::default();
    if first & 1 != 0 {
        engine.replay(rest);
        return;
    }
    let mut reply = Reply::default();
    while let Parsed::Whole(words, length) = request::parse(rest, REQUEST_LIMIT) {
        assert!(0 < length && length <= rest.len());
        rest = &rest[length..];
        let command = words.first().and_then(|name| command::find(name));
        if let Some(command) = command.filter(|command| command.takes(words.len())) {
            engine.run(command, &words, NOW, &mut reply);
            reply.clear();
        }
    }
    engine.expire(NOW, usize::MAX);
    let expected = whole(&engine);
    let read_back = replayed(&engine.take_changes());
    assert_eq!(
        whole(&read_back).escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
    let mut progress = Progress::default();
    let mut anew = Engine::default();
    while let Some(part) = engine.dump(&mut progress, 100) {
        for record in part.records(1) {
            assert!(anew.replay(record));
        }
    }
    assert_eq!(whole(&anew), expected);
});
