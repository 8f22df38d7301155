//! From a question to its answer (RFC 1034, section 4.3.2). No sockets, no clocks.

use alloc::vec::Vec;

use sprat::net::dns::{CLASS_IN, Header, Kind, Name, Question, Reader, flags, response};

use crate::message::{DATAGRAM, Extension, Message, Section};
use crate::zone::{Set, Zone};

/// How a question came. A datagram's answer may have to be short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Datagram,
    Stream,
}

/// Longest answer to who does not say how long it may be (RFC 1035, section 4.2.1).
const SHORT: u16 = 512;

/// Names that lead to each other are followed so often.
const ALIASES: usize = 8;

/// What signs a delegation.
const DS: Kind = Kind(43);

/// Asks for what has changed in a zone.
const IXFR: Kind = Kind(251);

/// The upper bits of the code for a version of EDNS that is not known.
const BAD_VERSION: u8 = 1;

/// What stands in the message of who asks.
struct Asked {
    question: Question,
    extension: Option<Extension>,
    limit: u16,
}

/// Writes the answer to a message into `out`; false where it gets none.
pub(crate) fn answer(zone: &Zone, message: &[u8], transport: Transport, out: &mut Vec<u8>) -> bool {
    let Some((header, reader)) = Reader::new(message) else {
        return false;
    };
    // Answers are not answered, or two servers could keep each other busy.
    if header.flags & flags::RESPONSE != 0 {
        return false;
    }
    let kept = header.flags & (flags::OPCODE | flags::RECURSION_DESIRED);
    let begun = Header {
        id: header.id,
        flags: kept | flags::RESPONSE,
        counts: [0; 4],
    };
    let failed = |code| Header {
        flags: begun.flags | code,
        ..begun
    };
    if header.flags & flags::OPCODE != 0 {
        Message::new(out, failed(response::NOT_IMPLEMENTED), SHORT.into(), None).finish();
        return true;
    }
    let Some(asked) = read(&header, reader) else {
        Message::new(out, failed(response::FORMAT_ERROR), SHORT.into(), None).finish();
        return true;
    };
    let limit = match transport {
        Transport::Datagram => asked.limit,
        Transport::Stream => u16::MAX,
    };
    let mut message = Message::new(out, begun, limit.into(), asked.extension);
    message.question(&asked.question);
    if asked.extension.is_none_or(|extension| extension.code == 0) {
        reply(zone, &asked.question, &mut message);
    }
    message.finish();
    true
}

/// Reads the question and what is said beside it; none where they are malformed.
fn read(header: &Header, mut reader: Reader<'_>) -> Option<Asked> {
    let [1, answers, authorities, additional] = header.counts else {
        return None;
    };
    let question = reader.question()?;
    for _ in 0..u32::from(answers) + u32::from(authorities) {
        reader.record()?;
    }
    let mut asked = Asked {
        question,
        extension: None,
        limit: SHORT,
    };
    for _ in 0..additional {
        let record = reader.record()?;
        if record.kind != Kind::OPT {
            continue;
        }
        if asked.extension.is_some() || record.name != Name::ROOT {
            return None;
        }
        // The class is how long the answer may be; in the lifetime there are the upper bits of the
        // code, the version, and flags.
        asked.limit = record.class.clamp(SHORT, DATAGRAM);
        let [_, version, flags, _] = record.lifetime.to_be_bytes();
        asked.extension = Some(Extension {
            code: if version == 0 { 0 } else { BAD_VERSION },
            signatures: flags & 0x80 != 0,
        });
    }
    Some(asked)
}

fn reply(zone: &Zone, question: &Question, message: &mut Message<'_>) {
    let whole_zone = matches!(question.kind, Kind::AXFR | IXFR);
    if question.class != CLASS_IN || whole_zone || !question.name.is_within(zone.origin()) {
        message.header().flags |= response::REFUSED;
        return;
    }
    message.header().flags |= flags::AUTHORITATIVE;
    let mut name = question.name;
    let mut complete = true;
    let mut mentioned = Vec::new();
    for _ in 0..ALIASES {
        match find(zone, &name, question.kind) {
            Found::Set(set) => {
                complete &= message.set(Section::Answer, &name, set, set.lifetime);
                mentioned.push(set);
                break;
            }
            Found::Alias(set) => {
                complete &= message.set(Section::Answer, &name, set, set.lifetime);
                let target = set.data.first().and_then(|data| Name::read(data, 0));
                match target {
                    Some((target, _)) if target.is_within(zone.origin()) => name = target,
                    _ => break,
                }
            }
            Found::Delegation(cut, set) => {
                if name == question.name {
                    message.header().flags &= !flags::AUTHORITATIVE;
                }
                complete &= message.set(Section::Authority, cut, set, set.lifetime);
                mentioned.push(set);
                break;
            }
            Found::NoSet => {
                complete &= say_nothing(zone, message);
                break;
            }
            Found::NoName => {
                message.header().flags |= response::NO_SUCH_NAME;
                complete &= say_nothing(zone, message);
                break;
            }
        }
    }
    if !complete {
        // Half a set would be taken for a whole one.
        message.clear_records();
        message.header().flags |= flags::TRUNCATED;
        return;
    }
    for set in mentioned {
        add_addresses(zone, set, message);
    }
}

/// Says for how long it may be remembered that there is nothing (RFC 2308, section 3).
fn say_nothing(zone: &Zone, message: &mut Message<'_>) -> bool {
    let Some(start) = zone.set(zone.origin(), Kind::SOA) else {
        return true;
    };
    let data = start.data.first().map_or(&[][..], Vec::as_slice);
    let least = data.last_chunk().copied().map_or(0, u32::from_be_bytes);
    let lifetime = start.lifetime.min(least);
    message.set(Section::Authority, zone.origin(), start, lifetime)
}

/// Adds the addresses of names that records mention, as far as they are known and there is room.
fn add_addresses(zone: &Zone, set: &Set, message: &mut Message<'_>) {
    let front = match set.kind {
        Kind::NS => 0,
        Kind::MX => 2,
        Kind::SRV => 6,
        _ => return,
    };
    for data in &set.data {
        let Some((name, _)) = Name::read(data, front) else {
            continue;
        };
        for kind in [Kind::A, Kind::AAAA] {
            if let Some(addresses) = zone.set(&name, kind) {
                // They may as well be asked for.
                let _ = message.set(Section::Additional, &name, addresses, addresses.lifetime);
            }
        }
    }
}

/// What a zone knows about a name.
enum Found<'a> {
    Set(&'a Set),
    /// It is another name for something.
    Alias(&'a Set),
    /// Others answer for it and everything below this name.
    Delegation(&'a Name, &'a Set),
    /// There is the name but nothing of the kind.
    NoSet,
    NoName,
}

fn find<'a>(zone: &'a Zone, name: &Name, kind: Kind) -> Found<'a> {
    // What signs a delegation is known above it (RFC 4035, section 3.1.4.1).
    let above = (kind == DS).then(|| name.parent()).flatten();
    let from = above.filter(|_| name != zone.origin()).unwrap_or(*name);
    if let Some((cut, set)) = delegation(zone, &from) {
        return Found::Delegation(cut, set);
    }
    let sets = zone.sets(name).or_else(|| wildcard(zone, name));
    let Some(sets) = sets else {
        return Found::NoName;
    };
    let of = |kind| sets.iter().find(|set| set.kind == kind);
    // Who asks for everything gets something (RFC 8482, section 4.1).
    let exact = if kind == Kind::ANY {
        sets.first()
    } else {
        of(kind)
    };
    match (exact, of(Kind::CNAME)) {
        (Some(set), _) => Found::Set(set),
        (None, Some(alias)) => Found::Alias(alias),
        (None, None) => Found::NoSet,
    }
}

/// The topmost name on the way down to `name` that others answer for.
fn delegation<'a>(zone: &'a Zone, name: &Name) -> Option<(&'a Name, &'a Set)> {
    let mut found = None;
    let mut at = *name;
    while at != *zone.origin() {
        if let Some((owner, set)) = zone.owned(&at, Kind::NS) {
            found = Some((owner, set));
        }
        at = at.parent()?;
    }
    found
}

/// What stands for all names that are not there: `*` below the nearest one that is (RFC 4592).
fn wildcard<'a>(zone: &'a Zone, name: &Name) -> Option<&'a [Set]> {
    let mut above = name.parent()?;
    while zone.sets(&above).is_none() {
        above = above.parent()?;
    }
    zone.sets(&above.child(b"*").ok()?)
}

#[cfg(test)]
mod tests;
