//! Any question to the name server (`examples/dns`), which has a signed zone, by NSEC or by NSEC3; and
//! any master file, which is a zone or is refused.
//!
//! The first byte says which, and how a question comes.
#![no_main]
#![allow(dead_code, reason = "the program's own tests use the rest")]

extern crate alloc;

#[path = "../../examples/dns/src/answer.rs"]
mod answer;
#[path = "../../examples/dns/src/data.rs"]
mod data;
#[path = "../../examples/dns/src/denial.rs"]
mod denial;
#[path = "../../examples/dns/src/digits.rs"]
mod digits;
#[path = "../../examples/dns/src/kinds.rs"]
mod kinds;
#[path = "../../examples/dns/src/message.rs"]
mod message;
#[path = "../../examples/dns/src/names.rs"]
mod names;
#[path = "../../examples/dns/src/text.rs"]
mod text;
#[path = "../../examples/dns/src/zone.rs"]
mod zone;

use std::sync::LazyLock;

use answer::Transport;
use libfuzzer_sys::fuzz_target;
use sprat::net::dns::{Kind, Reader};
use zone::Zone;

const ZONES: [&str; 3] = [
    include_str!("../../examples/dns/example.zone"),
    include_str!("../../examples/dns/signed/nsec.zone"),
    include_str!("../../examples/dns/signed/optout.zone"),
];

static SERVED: LazyLock<[Zone; 3]> =
    LazyLock::new(|| ZONES.map(|text| Zone::parse(text, "served").expect("a zone")));

/// Asks, and reads the answer as who asked would.
fn ask(zone: &Zone, question: &[u8], transport: Transport) {
    let mut out = Vec::new();
    if !answer::answer(zone, question, transport, &mut out) {
        return;
    }
    if transport == Transport::Datagram {
        assert!(out.len() <= usize::from(message::DATAGRAM), "{}", out.len());
    }
    let (header, mut reader) = Reader::new(&out).expect("a header");
    assert_eq!(header.id.to_be_bytes(), question[..2]);
    for _ in 0..header.counts[0] {
        reader.question().expect("a question");
    }
    for _ in header.counts[1..].iter().flat_map(|count| 0..*count) {
        let record = reader.record().expect("a record");
        assert!(record.kind == Kind::OPT || record.name.is_within(zone.origin()));
    }
    assert_eq!(reader.position(), out.len());
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let transport = match first & 4 {
        0 => Transport::Datagram,
        _ => Transport::Stream,
    };
    match first & 3 {
        3 => {
            if let Ok(text) = str::from_utf8(rest)
                && let Ok(zone) = Zone::parse(text, "zone")
            {
                let mut question = b"\0\0\0\0\0\x01\0\0\0\0\0\x01".to_vec();
                question.extend_from_slice(
                    zone.origin()
                        .child(b"x")
                        .unwrap_or(*zone.origin())
                        .as_bytes(),
                );
                // An address, signed.
                question.extend(b"\0\x01\0\x01\0\0\x29\xff\xff\0\0\x80\0\0\0");
                ask(&zone, &question, transport);
            }
        }
        which => ask(&SERVED[usize::from(which)], rest, transport),
    }
});
