//! Questions as they travel, and what must come back.

use super::*;

#[path = "tests/signed.rs"]
mod signed;

fn zone() -> Zone {
    Zone::parse(include_str!("../../example.zone"), "example.zone").expect("a zone")
}

fn question(name: &str, kind: Kind) -> Vec<u8> {
    let header = Header {
        id: 0x1234,
        flags: flags::RECURSION_DESIRED,
        counts: [1, 0, 0, 0],
    };
    let mut message = header.to_bytes().to_vec();
    let question = Question {
        name: name.parse().expect("a name"),
        kind,
        class: CLASS_IN,
    };
    question.write(&mut message);
    message
}

/// Adds an OPT record that offers `size` bytes in this version.
fn extend(message: &mut Vec<u8>, size: u16, version: u8) {
    message[11] += 1;
    message.extend([0, 0, 41]);
    message.extend(size.to_be_bytes());
    message.extend([0, version, 0x80, 0, 0, 0]);
}

/// An answer: flags, and each record with its section.
struct Answer {
    flags: u16,
    size: usize,
    records: Vec<(usize, String, Kind, u32, Vec<u8>)>,
}

impl Answer {
    fn of(&self, section: usize) -> Vec<(&str, Kind)> {
        let of = self.records.iter().filter(|record| record.0 == section);
        of.map(|record| (record.1.as_str(), record.2)).collect()
    }
}

fn exchange(message: &[u8], transport: Transport) -> Option<Answer> {
    exchange_with(&zone(), message, transport)
}

fn exchange_with(zone: &Zone, message: &[u8], transport: Transport) -> Option<Answer> {
    let mut out = Vec::new();
    if !answer(zone, message, transport, &mut out) {
        return None;
    }
    let (header, mut reader) = Reader::new(&out).expect("a header");
    assert_eq!(header.id, 0x1234);
    for _ in 0..header.counts[0] {
        reader.question().expect("a question");
    }
    let mut records = Vec::new();
    for section in 1..4 {
        for _ in 0..header.counts[section] {
            let record = reader.record().expect("a record");
            let name = record.name.to_string();
            records.push((
                section,
                name,
                record.kind,
                record.lifetime,
                record.data.to_vec(),
            ));
        }
    }
    assert_eq!(reader.position(), out.len());
    Some(Answer {
        flags: header.flags,
        size: out.len(),
        records,
    })
}

fn ask(name: &str, kind: Kind) -> Answer {
    exchange(&question(name, kind), Transport::Datagram).expect("an answer")
}

const GOOD: u16 = flags::RESPONSE | flags::AUTHORITATIVE | flags::RECURSION_DESIRED;

#[test]
fn a_record_is_answered_with_authority() {
    let answer = ask("WWW.example.test", Kind::A);
    assert_eq!(answer.flags, GOOD);
    assert_eq!(
        answer.records,
        [(
            1,
            "www.example.test.".into(),
            Kind::A,
            300,
            vec![192, 0, 2, 80]
        )]
    );
    // Header, question (18 + 4), pointer, ten bytes, address.
    assert_eq!(answer.size, 12 + 22 + 2 + 10 + 4);
}

#[test]
fn a_question_comes_back_as_it_was_written() {
    let mut message = question("www.example.test", Kind::A);
    message[13..16].copy_from_slice(b"wWw");
    let mut out = Vec::new();
    assert!(answer(&zone(), &message, Transport::Datagram, &mut out));
    assert_eq!(out[12..message.len()], message[12..]);
}

#[test]
fn an_alias_is_followed_within_the_zone() {
    let answer = ask("web.example.test", Kind::AAAA);
    let expected = [
        ("web.example.test.", Kind::CNAME),
        ("www.example.test.", Kind::AAAA),
    ];
    assert_eq!(answer.of(1), expected);
    assert_eq!(
        ask("away.example.test", Kind::A).of(1),
        [("away.example.test.", Kind::CNAME)]
    );
    assert_eq!(ask("web.example.test", Kind::CNAME).of(1).len(), 1);
}

#[test]
fn what_is_not_there_is_denied_for_as_long_as_the_zone_says() {
    let none = ask("none.example.test", Kind::A);
    assert_eq!(none.flags, GOOD | response::NO_SUCH_NAME);
    assert_eq!(none.of(2), [("example.test.", Kind::SOA)]);
    assert_eq!(none.records[0].3, 300);
    // Names without such a record, and one that has only names below it.
    for name in [
        "www.example.test",
        "deep.one.example.test",
        "one.example.test",
    ] {
        let answer = ask(name, Kind::MX);
        assert_eq!((answer.flags, answer.of(1).len()), (GOOD, 0), "{name}");
        assert_eq!(answer.of(2), [("example.test.", Kind::SOA)]);
    }
}

#[test]
fn a_wildcard_stands_for_names_that_are_not_there() {
    let answer = ask("any.thing.wild.example.test", Kind::A);
    assert_eq!(answer.of(1), [("any.thing.wild.example.test.", Kind::A)]);
    assert_eq!(ask("wild.example.test", Kind::A).of(1), []);
    assert_eq!(ask("x.wild.example.test", Kind::TXT).flags, GOOD);
}

#[test]
fn another_zone_is_referred_to_with_its_address() {
    for name in [
        "sub.example.test",
        "host.sub.example.test",
        "ns.sub.example.test",
    ] {
        let answer = ask(name, Kind::A);
        assert_eq!(answer.flags, GOOD & !flags::AUTHORITATIVE, "{name}");
        assert_eq!(answer.of(1), []);
        assert_eq!(answer.of(2), [("sub.example.test.", Kind::NS)]);
        assert_eq!(answer.of(3), [("ns.sub.example.test.", Kind::A)]);
    }
}

#[test]
fn what_signs_a_delegation_is_answered_above_it() {
    let answer = ask("sub.example.test", DS);
    assert_eq!((answer.flags, answer.of(1).len()), (GOOD, 0));
    assert_eq!(answer.of(2), [("example.test.", Kind::SOA)]);
    assert_eq!(
        ask("host.sub.example.test", DS).flags,
        GOOD & !flags::AUTHORITATIVE
    );
}

#[test]
fn addresses_of_mentioned_names_come_along() {
    let mail = ask("example.test", Kind::MX);
    assert_eq!(mail.of(1), [("example.test.", Kind::MX)]);
    assert_eq!(mail.of(3), [("mail.example.test.", Kind::A)]);
    let service = ask("_dns._udp.example.test", Kind::SRV);
    let expected = [
        ("ns1.example.test.", Kind::A),
        ("ns1.example.test.", Kind::AAAA),
    ];
    assert_eq!(service.of(3), expected);
}

#[test]
fn an_answer_that_is_too_long_asks_for_a_stream() {
    let short = ask("long.example.test", Kind::TXT);
    assert_eq!(short.flags, GOOD | flags::TRUNCATED);
    assert_eq!(short.of(1), []);
    let mut message = question("long.example.test", Kind::TXT);
    let stream = exchange(&message, Transport::Stream).expect("an answer");
    assert_eq!((stream.flags, stream.of(1).len()), (GOOD, 3));
    // Who can take more gets it at once, and hears what this server can take.
    extend(&mut message, 4096, 0);
    let long = exchange(&message, Transport::Datagram).expect("an answer");
    assert_eq!((long.flags, long.of(1).len()), (GOOD, 3));
    assert_eq!(long.records[3], (3, ".".into(), Kind::OPT, 0x8000, vec![]));
    // Somebody who claims to take less than everybody must is not believed.
    let mut message = question("www.example.test", Kind::A);
    extend(&mut message, 0, 0);
    assert_eq!(
        exchange(&message, Transport::Datagram).map(|answer| answer.flags),
        Some(GOOD)
    );
}

#[test]
fn an_unknown_version_is_refused_by_its_own_code() {
    let mut message = question("www.example.test", Kind::A);
    extend(&mut message, 1232, 1);
    let answer = exchange(&message, Transport::Datagram).expect("an answer");
    assert_eq!(answer.of(1), []);
    // BADVERS is 16: a one in the upper bits.
    assert_eq!(answer.records[0].3, 0x0100_8000);
    extend(&mut message, 1232, 0);
    let twice = exchange(&message, Transport::Datagram).expect("an answer");
    assert_eq!(twice.flags & 15, response::FORMAT_ERROR);
}

#[test]
fn what_this_server_does_not_do_is_refused() {
    for (name, kind) in [
        ("example.org", Kind::A),
        ("test", Kind::A),
        ("badexample.test", Kind::A),
        ("example.test", Kind::AXFR),
    ] {
        let answer = ask(name, kind);
        assert_eq!(answer.flags & 15, response::REFUSED, "{name}");
        assert_eq!(answer.records, []);
    }
    let mut notify = question("example.test", Kind::SOA);
    notify[2] |= 4 << 3;
    let answer = exchange(&notify, Transport::Datagram).expect("an answer");
    assert_eq!(answer.flags & 15, response::NOT_IMPLEMENTED);
    assert_eq!(ask("example.test", Kind::ANY).of(1).len(), 1);
}

#[test]
fn malformed_messages_are_named_so_and_answers_are_not_answered() {
    let whole = question("www.example.test", Kind::A);
    for length in 0..whole.len() {
        let answer = exchange(&whole[..length], Transport::Datagram);
        let code = answer.map(|answer| answer.flags & 15);
        let expected = (length >= Header::SIZE).then_some(response::FORMAT_ERROR);
        assert_eq!(code, expected, "{length}");
    }
    let mut two = whole.clone();
    two[5] = 2;
    let answer = exchange(&two, Transport::Datagram).expect("an answer");
    assert_eq!(answer.flags & 15, response::FORMAT_ERROR);
    let mut response = whole;
    response[2] |= 0x80;
    assert!(exchange(&response, Transport::Datagram).is_none());
}
