//! What is answered from signed zones to who understands signatures. That NSD answers so, too, is
//! where the lists of owners are from.

use super::*;
use crate::kinds::{DNSKEY, NSEC, NSEC3, RRSIG};

fn zone(text: &str) -> Zone {
    Zone::parse(text, "signed").expect("a zone")
}

fn plain() -> Zone {
    zone(include_str!("../../../signed/nsec.zone"))
}

fn hashed() -> Zone {
    zone(include_str!("../../../signed/optout.zone"))
}

/// The answer to who understands signatures.
fn ask_signed(zone: &Zone, name: &str, kind: Kind) -> Answer {
    let mut message = question(name, kind);
    extend(&mut message, 1232, 0);
    exchange_with(zone, &message, Transport::Stream).expect("an answer")
}

/// The kinds that are signed in a section, of each owner.
fn signed(answer: &Answer, section: usize) -> Vec<(String, Kind)> {
    let of = |record: &&(usize, String, Kind, u32, Vec<u8>)| record.0 == section;
    let signatures = answer.records.iter().filter(of);
    let signatures = signatures.filter(|record| record.2 == RRSIG);
    let covered = |data: &[u8]| Kind(u16::from_be_bytes([data[0], data[1]]));
    signatures
        .map(|record| (record.1.clone(), covered(&record.4)))
        .collect()
}

#[test]
fn signatures_come_along_where_they_are_understood() {
    for zone in [plain(), hashed()] {
        let answer = ask_signed(&zone, "web.example.test", Kind::A);
        let expected = [
            ("web.example.test.", Kind::CNAME),
            ("web.example.test.", RRSIG),
            ("www.example.test.", Kind::A),
            ("www.example.test.", RRSIG),
        ];
        assert_eq!(answer.of(1), expected);
        // A signature lives as long as what it signs.
        assert_eq!(answer.records[3].3, 300);
        let mut plainly = question("web.example.test", Kind::A);
        let without = exchange_with(&zone, &plainly, Transport::Stream).expect("an answer");
        assert_eq!(without.of(1).len(), 2);
        plainly = question("www.example.test", RRSIG);
        let asked = exchange_with(&zone, &plainly, Transport::Stream).expect("an answer");
        assert!(asked.of(1).len() >= 2);
        let keys = ask_signed(&zone, "example.test", DNSKEY);
        assert_eq!(keys.of(1).len(), 2 + 2);
    }
}

/// NSD gives the same, of the same zone.
#[test]
fn signatures_that_are_asked_for_live_as_long_as_what_each_signs() {
    let kinds = [Kind::SOA, Kind::NS, Kind::MX, Kind::TXT, NSEC, DNSKEY];
    let answer = ask_signed(&plain(), "example.test", RRSIG);
    let mut lifetimes = Vec::new();
    for (record, (_, covered)) in answer.records.iter().zip(signed(&answer, 1)) {
        lifetimes.push((covered, record.3));
    }
    lifetimes.dedup();
    let lives = |kind| (kind, if kind == NSEC { 300 } else { 3600 });
    assert_eq!(lifetimes, kinds.map(lives));
}

#[test]
fn what_is_not_there_is_proven_not_to_be() {
    let apex = "example.test.";
    for (name, kind, owners) in [
        ("none", Kind::A, &["mail", ""][..]),
        ("x.wild", Kind::A, &["*.wild"]),
        ("x.wild", Kind::TXT, &["*.wild"]),
        ("toany", Kind::A, &["*.wild"]),
        ("one", Kind::A, &["ns1"]),
        ("www", Kind::MX, &["www"]),
        ("web", Kind::MX, &["www"]),
        ("sub", DS, &["sub"]),
        ("host.sub", Kind::A, &["sub"]),
        ("host.safe", Kind::A, &[]),
        ("cut.below", DS, &["cut.below"]),
    ] {
        let answer = ask_signed(&plain(), &format!("{name}.{apex}"), kind);
        let mut found = signed(&answer, 2);
        found.retain(|(_, kind)| *kind == NSEC);
        let name_of = |owner: &&str| match *owner {
            "" => apex.to_owned(),
            owner => format!("{owner}.{apex}"),
        };
        let owners: Vec<_> = owners.iter().map(|owner| (name_of(owner), NSEC)).collect();
        assert_eq!(found, owners, "{name}");
    }
}

#[test]
fn what_is_not_there_is_proven_by_hashes() {
    const APEX: &str = "bn4jpvg4de1oq0jd3k2g3efu0aectv44";
    const NEXT: &str = "i577ge5qi0nk01dg42elfkfdgve1q5ng";
    const LAST: &str = "uc84kr4bhs9gujsvr3ujqjjf9eurntlh";
    const ANY: &str = "hgn7e9am9lovbakb1nh8fpajv76igfe2";
    for (name, kind, owners) in [
        ("none", Kind::A, &[APEX, NEXT, ANY][..]),
        ("x.wild", Kind::A, &[LAST]),
        (
            "x.wild",
            Kind::TXT,
            &["557459re47r0tk3gvmf244787qjp9c4i", ANY, LAST],
        ),
        ("toany", Kind::A, &[LAST]),
        ("one", Kind::A, &["rbkiunthm2ka12hia0eqnjcr9q8lamkg"]),
        ("www", Kind::MX, &["5okoil2jhelapgmrdrq2qfi5l5ddmd6l"]),
        // These are left out of the hashes, so what is above is shown, and what would be next.
        ("sub", DS, &[APEX]),
        ("host.sub", Kind::A, &[APEX]),
        ("cut.below", DS, &[APEX, NEXT]),
        ("host.safe", Kind::A, &[]),
        // Hashes are no names: this one is denied as any other.
        (LAST, Kind::A, &[APEX]),
    ] {
        let answer = ask_signed(&hashed(), &format!("{name}.example.test."), kind);
        let mut found = signed(&answer, 2);
        found.retain(|(_, kind)| *kind == NSEC3);
        let mut found: Vec<_> = found.into_iter().map(|(name, _)| name).collect();
        found.sort();
        let mut owners: Vec<_> = owners
            .iter()
            .map(|hash| format!("{hash}.example.test."))
            .collect();
        owners.sort();
        if name == LAST {
            assert_eq!(answer.flags & 15, response::NO_SUCH_NAME);
            assert!(found.contains(&owners[0]));
        } else {
            assert_eq!(found, owners, "{name}");
        }
    }
}

#[test]
fn a_signed_delegation_is_referred_to_with_what_signs_it() {
    for zone in [plain(), hashed()] {
        let answer = ask_signed(&zone, "host.safe.example.test", Kind::A);
        assert_eq!(answer.flags, GOOD & !flags::AUTHORITATIVE);
        let owner = "safe.example.test.";
        let expected = [(owner, Kind::NS), (owner, DS), (owner, RRSIG)];
        assert_eq!(answer.of(2), expected);
        assert_eq!(ask_signed(&zone, "safe.example.test", DS).of(1).len(), 2);
    }
}
