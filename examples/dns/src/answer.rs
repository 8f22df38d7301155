//! From a question to its answer (RFC 1034, section 4.3.2). No sockets, no clocks.

use alloc::vec::Vec;

use sprat::net::dns::{CLASS_IN, Header, Kind, Name, Question, Reader, flags, response};

use crate::denial::Absent;
use crate::kinds::DS;
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

/// Asks for what has changed in a zone.
const IXFR: Kind = Kind(251);

/// The upper bits of the code for a version of EDNS that is not known.
const BAD_VERSION: u8 = 1;

/// What stands in the message of who asks.
struct Asked<'a> {
    question: Question,
    /// The question as it was written.
    written: &'a [u8],
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
    let Some(asked) = read(&header, message, reader) else {
        Message::new(out, failed(response::FORMAT_ERROR), SHORT.into(), None).finish();
        return true;
    };
    let limit = match transport {
        Transport::Datagram => asked.limit,
        Transport::Stream => u16::MAX,
    };
    let mut message = Message::new(out, begun, limit.into(), asked.extension);
    message.question(asked.question.name, asked.written);
    if asked.extension.is_none_or(|extension| extension.code == 0) {
        reply(zone, &asked.question, &mut message);
    }
    message.finish();
    true
}

/// Reads the question and what is said beside it; none where they are malformed.
fn read<'a>(header: &Header, message: &'a [u8], mut reader: Reader<'_>) -> Option<Asked<'a>> {
    let [1, answers, authorities, additional] = header.counts else {
        return None;
    };
    let question = reader.question()?;
    let written = message.get(Header::SIZE..reader.position())?;
    // There is nothing before it that it could point to.
    if written.len() != question.name.as_bytes().len() + 4 {
        return None;
    }
    for _ in 0..u32::from(answers) + u32::from(authorities) {
        reader.record()?;
    }
    let mut asked = Asked {
        question,
        written,
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
        let found = find(zone, &name, question.kind);
        if let Found::Set(set, sets) | Found::Alias(set, sets) = found {
            complete &= message.set(Section::Answer, &name, set, sets, set.lifetime);
            if zone.sets(&name).is_none() {
                complete &= prove(zone, Absent::Expanded, &name, message);
            }
        }
        match found {
            Found::Set(set, _) => mentioned.push(set),
            Found::Alias(set, _) => {
                let target = set.data.first().and_then(|data| Name::read(data, 0));
                if let Some((target, _)) = target
                    && target.is_within(zone.origin())
                {
                    name = target;
                    continue;
                }
            }
            Found::Delegation(cut, sets, servers) => {
                if name == question.name {
                    message.header().flags &= !flags::AUTHORITATIVE;
                }
                // What signs the other zone's keys stands here, and its own servers there.
                complete &= message.set(Section::Authority, cut, servers, &[], servers.lifetime);
                if message.takes_signatures() {
                    complete &= match sets.iter().find(|set| set.kind == DS) {
                        Some(set) => message.set(Section::Authority, cut, set, sets, set.lifetime),
                        None => prove(zone, Absent::Set, cut, message),
                    };
                }
                mentioned.push(servers);
            }
            Found::Nothing(absent) => {
                if absent == Absent::Name {
                    message.header().flags |= response::NO_SUCH_NAME;
                }
                complete &= say_nothing(zone, message) && prove(zone, absent, &name, message);
            }
        }
        break;
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
    let sets = zone.sets(zone.origin()).unwrap_or(&[]);
    let Some(start) = sets.iter().find(|set| set.kind == Kind::SOA) else {
        return true;
    };
    let least = start
        .data
        .first()
        .and_then(|data| data.last_chunk().copied());
    let lifetime = start.lifetime.min(least.map_or(0, u32::from_be_bytes));
    message.set(Section::Authority, zone.origin(), start, sets, lifetime)
}

/// Proves to who understands it that there is nothing.
fn prove(zone: &Zone, absent: Absent, name: &Name, message: &mut Message<'_>) -> bool {
    if !message.takes_signatures() {
        return true;
    }
    let (kind, owners) = zone.proof(absent, name);
    owners.into_iter().all(|(owner, sets)| {
        let mut records = sets.iter().filter(|set| set.kind == kind);
        records.all(|set| message.set(Section::Authority, owner, set, sets, set.lifetime))
    })
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
        let sets = zone.sets(&name).unwrap_or(&[]);
        for kind in [Kind::A, Kind::AAAA] {
            if let Some(set) = sets.iter().find(|set| set.kind == kind) {
                // They may as well be asked for.
                let _ = message.set(Section::Additional, &name, set, sets, set.lifetime);
            }
        }
    }
}

/// What a zone knows about a name, with all that stands beside it.
enum Found<'a> {
    Set(&'a Set, &'a [Set]),
    /// It is another name for something.
    Alias(&'a Set, &'a [Set]),
    /// Others answer for it and everything below this name.
    Delegation(&'a Name, &'a [Set], &'a Set),
    Nothing(Absent),
}

fn find<'a>(zone: &'a Zone, name: &Name, kind: Kind) -> Found<'a> {
    // What signs a delegation is known above it (RFC 4035, section 3.1.4.1).
    let above = (kind == DS).then(|| name.parent()).flatten();
    let from = above.filter(|_| name != zone.origin()).unwrap_or(*name);
    if let Some(delegation) = delegation(zone, &from) {
        return delegation;
    }
    let sets = zone.sets(name).or_else(|| wildcard(zone, name));
    let Some(sets) = sets else {
        return Found::Nothing(Absent::Name);
    };
    let of = |kind| sets.iter().find(|set| set.kind == kind);
    // Who asks for everything gets something (RFC 8482, section 4.1).
    let exact = if kind == Kind::ANY {
        sets.first()
    } else {
        of(kind)
    };
    match (exact, of(Kind::CNAME)) {
        (Some(set), _) => Found::Set(set, sets),
        (None, Some(alias)) => Found::Alias(alias, sets),
        (None, None) => Found::Nothing(Absent::Set),
    }
}

/// The topmost name on the way down to `name` that others answer for.
fn delegation<'a>(zone: &'a Zone, name: &Name) -> Option<Found<'a>> {
    let mut found = None;
    let mut at = *name;
    while at != *zone.origin() {
        if let Some((owner, sets)) = zone.names().get(&at)
            && let Some(servers) = sets.iter().find(|set| set.kind == Kind::NS)
        {
            found = Some(Found::Delegation(owner, sets, servers));
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
#[path = "answer/tests.rs"]
mod tests;
