//! Conversations, and what of them comes back from the log.

use super::*;
use crate::reply::Reply;

/// What an engine answers to lines, one after the other, at this time.
fn ask(engine: &mut Engine, now: i64, lines: &[&str]) -> String {
    let mut reply = Reply::default();
    for line in lines {
        let line = format!("{line}\r\n");
        let Parsed::Whole(words, _) = request::parse(line.as_bytes(), RECORD_LIMIT) else {
            panic!("{line}")
        };
        let command = command::find(words[0]).expect("a command");
        reply.limit(usize::MAX);
        if command.takes(words.len()) {
            engine.run(command, &words, now, &mut reply);
        } else {
            command.refuse(&command::Refusal::Arity, &mut reply);
        }
    }
    String::from_utf8_lossy(reply.bytes()).into_owned()
}

/// An engine that has replayed the changes of another.
fn replayed(engine: &mut Engine) -> Engine {
    let mut other = Engine::default();
    for record in engine.take_changes().records(1) {
        assert!(other.replay(record), "{}", String::from_utf8_lossy(record));
    }
    other
}

/// An engine that has read the log that another wrote anew.
fn rewritten(engine: &Engine) -> Engine {
    let mut other = Engine::default();
    let mut progress = Progress::default();
    while let Some(part) = engine.dump(&mut progress, 1) {
        for record in part.records(RECORD_LIMIT) {
            assert!(other.replay(record));
        }
    }
    other
}

/// Asks each line, and compares with the answer behind it.
fn check(lines: &[(&str, &str)]) -> Engine {
    let mut engine = Engine::default();
    for (line, expected) in lines {
        let answer = ask(&mut engine, 1_000_000, &[line]);
        assert_eq!(
            answer,
            expected.replace(' ', "\r\n").replace('_', " ") + "\r\n",
            "{line}"
        );
    }
    engine
}

// In expected answers a blank is a line's end and a low line a blank. They are those of the manual
// pages of Redis' commands.

#[test]
fn texts_are_set_as_the_manual_says() {
    check(&[
        ("GET k", "$-1"),
        ("SET k Hello", "+OK"),
        ("GET k", "$5 Hello"),
        ("SET k x NX", "$-1"),
        ("SET new x XX", "$-1"),
        ("SET k World GET", "$5 Hello"),
        ("SET k x EX 0", "-ERR_invalid_expire_time_in_'set'_command"),
        (
            "SET k x EX abc",
            "-ERR_value_is_not_an_integer_or_out_of_range",
        ),
        ("SET k x EX 1 PX 1", "-ERR_syntax_error"),
        ("SET k x NX XX", "-ERR_syntax_error"),
        (
            "SET k x EX 9223372036854775807",
            "-ERR_invalid_expire_time_in_'set'_command",
        ),
        ("GETSET k y", "$5 World"),
        ("SETNX k z", ":0"),
        ("SETNX m z", ":1"),
        ("APPEND k 'es no'", ":6"),
        ("STRLEN k", ":6"),
        ("MSET a 1 b 2", "+OK"),
        (
            "MSET a 1 b",
            "-ERR_wrong_number_of_arguments_for_'mset'_command",
        ),
        ("MGET a none b", "*3 $1 1 $-1 $1 2"),
        ("GETDEL a", "$1 1"),
        ("EXISTS a b b k", ":3"),
        ("DEL a b k", ":2"),
        ("TYPE m", "+string"),
        ("TYPE none", "+none"),
        ("GET", "-ERR_wrong_number_of_arguments_for_'get'_command"),
    ]);
}

#[test]
fn numbers_are_counted_up_and_down() {
    check(&[
        ("INCR n", ":1"),
        ("INCRBY n 41", ":42"),
        ("DECR n", ":41"),
        ("DECRBY n 50", ":-9"),
        ("SET n 9223372036854775807", "+OK"),
        ("INCR n", "-ERR_increment_or_decrement_would_overflow"),
        ("SET n 234293482390480948029348230948", "+OK"),
        ("INCR n", "-ERR_value_is_not_an_integer_or_out_of_range"),
        (
            "DECRBY n -9223372036854775808",
            "-ERR_decrement_would_overflow",
        ),
        ("SET n '10 '", "+OK"),
        ("INCR n", "-ERR_value_is_not_an_integer_or_out_of_range"),
    ]);
}

#[test]
fn lists_grow_and_shrink_at_both_ends() {
    check(&[
        ("RPUSH l one two three", ":3"),
        ("LPUSH l zero", ":4"),
        ("LRANGE l 0 -1", "*4 $4 zero $3 one $3 two $5 three"),
        ("LRANGE l -3 2", "*2 $3 one $3 two"),
        ("LRANGE l -100 100", "*4 $4 zero $3 one $3 two $5 three"),
        ("LRANGE l 5 10", "*0"),
        ("LRANGE l 2 1", "*0"),
        (
            "LRANGE l -9223372036854775808 9223372036854775807",
            "*4 $4 zero $3 one $3 two $5 three",
        ),
        ("LPOP l", "$4 zero"),
        ("RPOP l 2", "*2 $5 three $3 two"),
        ("LLEN l", ":1"),
        ("LPOP l 0", "*0"),
        ("LPOP l -1", "-ERR_value_is_out_of_range,_must_be_positive"),
        ("LPOP l", "$3 one"),
        ("EXISTS l", ":0"),
        ("LPOP l", "$-1"),
        ("LPOP l 1", "*-1"),
        ("SET s x", "+OK"),
        (
            "LPUSH s x",
            "-WRONGTYPE_Operation_against_a_key_holding_the_wrong_kind_of_value",
        ),
        (
            "LLEN s",
            "-WRONGTYPE_Operation_against_a_key_holding_the_wrong_kind_of_value",
        ),
    ]);
}

#[test]
fn hashes_and_sets_keep_each_field_and_member_once() {
    check(&[
        ("HSET h a 1 b 2", ":2"),
        ("HSET h a 3 c 4", ":1"),
        (
            "HSET h a",
            "-ERR_wrong_number_of_arguments_for_'hset'_command",
        ),
        ("HGET h a", "$1 3"),
        ("HGET h z", "$-1"),
        ("HMGET h b z", "*2 $1 2 $-1"),
        ("HGETALL h", "*6 $1 a $1 3 $1 b $1 2 $1 c $1 4"),
        ("HGETALL none", "*0"),
        ("HLEN h", ":3"),
        ("HEXISTS h b", ":1"),
        ("HDEL h a b c d", ":3"),
        ("EXISTS h", ":0"),
        ("SADD s x y x", ":2"),
        ("SADD s x", ":0"),
        ("SMEMBERS s", "*2 $1 x $1 y"),
        ("SISMEMBER s y", ":1"),
        ("SCARD s", ":2"),
        ("SREM s x z", ":1"),
        ("SREM s y", ":1"),
        ("TYPE s", "+none"),
        ("GET h", "$-1"),
        ("HSET h a 1", ":1"),
        (
            "GET h",
            "-WRONGTYPE_Operation_against_a_key_holding_the_wrong_kind_of_value",
        ),
        ("MGET h", "*1 $-1"),
        ("SET h x", "+OK"),
    ]);
}

#[test]
fn keys_end_when_their_time_is_over() {
    let mut engine = Engine::default();
    let mut at = |now, line: &str| ask(&mut engine, now, &[line]);
    assert_eq!(at(1000, "SET k v EX 10"), "+OK\r\n");
    assert_eq!(at(1000, "TTL k"), ":10\r\n");
    assert_eq!(at(1400, "PTTL k"), ":9600\r\n");
    assert_eq!(at(10_999, "GET k"), "$1\r\nv\r\n");
    assert_eq!(at(11_000, "GET k"), "$-1\r\n");
    assert_eq!(at(11_000, "TTL k"), ":-2\r\n");
    assert_eq!(at(11_000, "KEYS *"), "*0\r\n");
    assert_eq!(at(11_000, "EXPIRE k 5"), ":0\r\n");
    // It counts from nothing again, and does not end.
    assert_eq!(at(12_000, "INCR k"), ":1\r\n");
    assert_eq!(at(12_000, "TTL k"), ":-1\r\n");
    assert_eq!(at(12_000, "EXPIRE k 5 XX"), ":0\r\n");
    assert_eq!(at(12_000, "EXPIRE k 5 NX"), ":1\r\n");
    assert_eq!(at(12_000, "PEXPIRE k 4000 GT"), ":0\r\n");
    assert_eq!(at(12_000, "PEXPIRE k 4000 LT"), ":1\r\n");
    assert_eq!(at(12_000, "PERSIST k"), ":1\r\n");
    assert_eq!(at(12_000, "PERSIST k"), ":0\r\n");
    assert_eq!(at(99_000, "GET k"), "$1\r\n1\r\n");
    assert_eq!(at(99_000, "SET k v PX 5"), "+OK\r\n");
    assert_eq!(at(99_000, "SET k w KEEPTTL"), "+OK\r\n");
    assert_eq!(at(99_000, "PTTL k"), ":5\r\n");
    assert_eq!(at(99_000, "SET k w"), "+OK\r\n");
    assert_eq!(at(99_000, "PTTL k"), ":-1\r\n");
    assert_eq!(at(99_000, "EXPIREAT k 1"), ":1\r\n");
    assert_eq!(at(99_000, "EXISTS k"), ":0\r\n");
}

#[test]
fn what_is_over_goes_by_itself_and_the_rest_stays() {
    let mut engine = Engine::default();
    ask(
        &mut engine,
        0,
        &["SET a 1 PX 5", "SET b 1 PX 7", "SET c 1 PX 9", "SET d 1"],
    );
    assert!(!engine.expire(7, 1));
    assert!(engine.expire(7, 100));
    assert_eq!(engine.database.len(), 2);
    assert_eq!(engine.database.ending(), 1);
    let mut other = replayed(&mut engine);
    assert_eq!(ask(&mut other, 8, &["EXISTS a b c d"]), ":2\r\n");
}

#[test]
fn a_scan_meets_every_key_that_stays_once() {
    let mut engine = Engine::default();
    for number in 0..1000 {
        ask(&mut engine, 0, &[&format!("SET key:{number} x")]);
    }
    let (mut cursor, mut seen, mut calls) = (String::from("0"), Vec::new(), 0);
    loop {
        let line = format!("SCAN {cursor} COUNT 37");
        let answer = ask(&mut engine, 0, &[&line]);
        let mut lines = answer.lines().filter(|line| !line.starts_with(['*', '$']));
        cursor = lines.next().expect("a cursor").to_owned();
        seen.extend(lines.map(str::to_owned));
        calls += 1;
        // Keys come and go meanwhile.
        ask(
            &mut engine,
            0,
            &[
                &format!("SET other:{calls} x"),
                &format!("DEL other:{}", calls / 2),
            ],
        );
        if cursor == "0" {
            break;
        }
    }
    let mut kept: Vec<_> = seen.iter().filter(|key| key.starts_with("key:")).collect();
    kept.sort();
    kept.dedup();
    assert_eq!(kept.len(), 1000);
    assert!(seen.len() < 1000 + 2 * calls && calls < 40, "{calls}");
    let answer = ask(&mut engine, 0, &["SCAN 0 COUNT 9999 MATCH key:99?"]);
    assert_eq!(answer.matches("key:99").count(), 10);
    for line in ["SCAN x", "SCAN 0 COUNT 0", "SCAN 0 COUNT", "SCAN 0 MUCH 1"] {
        assert!(ask(&mut engine, 0, &[line]).starts_with("-ERR"), "{line}");
    }
}

/// A bit of everything.
const LINES: [&str; 16] = [
    "SET text hello",
    "SET short x EX 100",
    "APPEND text ' world'",
    "INCRBY number 7",
    "RPUSH list a b c d",
    "LPOP list",
    "HSET hash f v g w",
    "HDEL hash f",
    "SADD set x y z",
    "SREM set y",
    "EXPIRE list 100",
    "SET gone x PX 1",
    "MSET m1 a m2 b",
    "DEL m1",
    "GETDEL m2",
    "SET kept x EX 100 GET",
];

const QUESTIONS: [&str; 8] = [
    "MGET text short number kept m1 m2",
    "LRANGE list 0 -1",
    "HGETALL hash",
    "SMEMBERS set",
    "PTTL list",
    "PTTL short",
    "PTTL text",
    "DBSIZE",
];

#[test]
fn what_is_replayed_or_rewritten_is_what_was_there() {
    let mut engine = Engine::default();
    ask(&mut engine, 1000, &LINES);
    ask(&mut engine, 2000, &["INCR gone"]);
    let expected = ask(&mut engine, 3000, &QUESTIONS);
    assert!(expected.contains("hello world") && expected.contains(":98000"));
    assert_eq!(ask(&mut rewritten(&engine), 3000, &QUESTIONS), expected);
    let mut other = replayed(&mut engine);
    assert_eq!(ask(&mut other, 3000, &QUESTIONS), expected);
    assert_eq!(
        ask(&mut other, 3000, &["GET gone", "PTTL gone"]),
        "$1\r\n1\r\n:-1\r\n"
    );
}

#[test]
fn large_collections_are_rewritten_in_parts() {
    let mut engine = Engine::default();
    for number in 0..3000 {
        ask(
            &mut engine,
            0,
            &[
                &format!("RPUSH list {number:0500}"),
                &format!("SADD set {number:0500}"),
                &format!("HSET hash {number} {number:0500}"),
            ],
        );
    }
    let questions = ["LRANGE list 0 -1", "SMEMBERS set", "HGETALL hash", "DBSIZE"];
    let expected = ask(&mut engine, 0, &questions);
    let mut progress = Progress::default();
    let mut parts = 0;
    while let Some(part) = engine.dump(&mut progress, 1) {
        assert!(part.len() < 2 * ELEMENT_BYTES);
        parts += 1;
    }
    assert!(parts > 5, "{parts}");
    assert_eq!(ask(&mut rewritten(&engine), 0, &questions), expected);
}

#[test]
fn reads_and_what_changes_nothing_leave_no_trace_in_the_log() {
    let mut engine = Engine::default();
    ask(&mut engine, 0, &["SET k v", "SADD s x"]);
    engine.take_changes();
    ask(
        &mut engine,
        0,
        &[
            "GET k",
            "DEL none",
            "SADD s x",
            "SET k w NX",
            "EXPIRE none 1",
            "LPOP none",
            "PERSIST k",
            "HDEL none f",
            "INFO",
            "CONFIG GET *",
            "COMMAND",
            "KEYS *",
            "LPUSH k x",
            "INCR k",
        ],
    );
    assert_eq!(engine.changed(), 0);
}

#[test]
fn a_record_that_is_no_request_is_told_from_one() {
    for record in [
        &b"*1\r\n$4\r\nNOPE\r\n"[..],
        b"*1\r\n$3\r\nGET\r\n",
        b"*1\r\n$3\r\nGE",
        b"\0\0",
    ] {
        assert!(!Engine::default().replay(record));
    }
}
