//! A zone: names, and the sets of records that each has.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use sprat::net::dns::{Kind, Name};

use crate::data;
use crate::denial::{Denial, hash_in};
use crate::kinds::{NSEC, NSEC3, RRSIG, kind};
use crate::names::Names;
use crate::text::{Entry, Mistake, entries};

/// Records of one name and kind.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) kind: Kind,
    /// For how many seconds they may be kept.
    pub(crate) lifetime: u32,
    pub(crate) data: Vec<Vec<u8>>,
}

/// A master file that is none, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ZoneError {
    file: String,
    line: usize,
    words: &'static str,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.words)
    }
}

impl core::error::Error for ZoneError {}

/// Everything that is known below one name.
#[derive(Debug)]
pub(crate) struct Zone {
    origin: Name,
    /// Every name that there is, also those that only have names below them.
    names: Names,
    /// The names of NSEC3 records. They are hashes of names, and no names to ask for.
    hashed: Names,
    denial: Denial,
}

impl Zone {
    /// Reads a master file. It begins with the zone's SOA record.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Self, ZoneError> {
        read(text).map_err(|mistake| ZoneError {
            file: file.to_string(),
            line: mistake.line,
            words: mistake.words,
        })
    }

    /// Its topmost name.
    pub(crate) fn origin(&self) -> &Name {
        &self.origin
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn hashed(&self) -> &Names {
        &self.hashed
    }

    pub(crate) fn denial(&self) -> &Denial {
        &self.denial
    }

    /// The sets of a name, where there is such a name.
    pub(crate) fn sets(&self, name: &Name) -> Option<&[Set]> {
        self.names.get(name).map(|(_, sets)| sets)
    }

    fn add(
        &mut self,
        name: Name,
        kind: Kind,
        lifetime: u32,
        data: Vec<u8>,
    ) -> Result<(), &'static str> {
        if !name.is_within(&self.origin) {
            return Err("the name does not lie in the zone");
        }
        if kind == NSEC3 && (hash_in(&name).is_none() || name.parent() != Some(self.origin)) {
            return Err("the name must be a hash in digits of base 32");
        }
        let hashed = kind == NSEC3 || kind == RRSIG && data.starts_with(&NSEC3.0.to_be_bytes());
        let names = match hashed {
            true => &mut self.hashed,
            false => &mut self.names,
        };
        let mut above = name;
        while let Some(parent) = above.parent().filter(|_| above != self.origin && !hashed) {
            names.add(&parent);
            above = parent;
        }
        let sets = names.add(&name);
        // What signs an alias stands beside it (RFC 4035, section 2.5).
        let beside = |one, other| one == Kind::CNAME && ![RRSIG, NSEC, one].contains(&other);
        if sets
            .iter()
            .any(|set| beside(set.kind, kind) || beside(kind, set.kind))
        {
            return Err("a name with a CNAME record can have no others");
        }
        match sets.iter_mut().find(|set| set.kind == kind) {
            None => sets.push(Set {
                kind,
                lifetime,
                data: [data].into(),
            }),
            Some(_) if matches!(kind, Kind::CNAME | Kind::SOA) => {
                return Err("there can be only one such record");
            }
            // Records of a set that differ in lifetime are an error of RFC 2181, which the lesser
            // of them mends.
            Some(set) => {
                // Signatures of several sets are no set.
                if kind != RRSIG {
                    set.lifetime = set.lifetime.min(lifetime);
                }
                if !set.data.contains(&data) {
                    set.data.push(data);
                }
            }
        }
        Ok(())
    }
}

/// What an entry may leave out, because those before have said it.
struct Context {
    origin: Name,
    lifetime: Option<u32>,
    owner: Option<Name>,
}

fn read(text: &str) -> Result<Zone, Mistake> {
    let mut context = Context {
        origin: Name::ROOT,
        lifetime: None,
        owner: None,
    };
    let mut zone: Option<Zone> = None;
    for entry in entries(text)? {
        let line = entry.line;
        let mistake = |words| Mistake { line, words };
        let Some((name, kind, lifetime, data)) = context.record(&entry).map_err(mistake)? else {
            continue;
        };
        if zone.is_none() && kind != Kind::SOA {
            return Err(mistake("a zone begins with its SOA record"));
        }
        let zone = zone.get_or_insert_with(|| Zone {
            origin: name,
            names: Names::default(),
            hashed: Names::default(),
            denial: Denial::default(),
        });
        if kind == Kind::SOA && name != zone.origin {
            return Err(mistake("there can be only one such record"));
        }
        zone.add(name, kind, lifetime, data).map_err(mistake)?;
    }
    let mistake = |words| Mistake { line: 1, words };
    let mut zone = zone.ok_or(mistake("a zone begins with its SOA record"))?;
    zone.denial = Denial::new(&zone.origin, &zone.names, &zone.hashed).map_err(mistake)?;
    Ok(zone)
}

type Record = (Name, Kind, u32, Vec<u8>);

impl Context {
    /// The record that an entry is; none where it says something about those that follow.
    fn record(&mut self, entry: &Entry<'_>) -> Result<Option<Record>, &'static str> {
        let mut words = &entry.words[..];
        if !entry.indented {
            let (first, rest) = words.split_first().ok_or("expected a record")?;
            if first.text.starts_with('$') && !first.quoted {
                let value = rest.first().map_or("", |word| word.text);
                self.direct(first.text, value)?;
                return Ok(None);
            }
            let owner = data::name(first.text, &self.origin).ok_or("expected a name")?;
            self.owner = Some(owner);
            words = rest;
        }
        let owner = self.owner.ok_or("the first record must name its owner")?;
        let mut lifetime = None;
        while let Some((first, rest)) = words.split_first() {
            if first.text.eq_ignore_ascii_case("IN") {
                words = rest;
            } else if let Some(seconds) = data::span(first.text) {
                lifetime = Some(seconds);
                words = rest;
            } else {
                break;
            }
        }
        let (first, words) = words.split_first().ok_or("expected a kind of record")?;
        let kind = kind(first.text).ok_or("there is no such kind of record")?;
        let data = data::read(kind, words, &self.origin)?;
        let lifetime = lifetime
            .or(self.lifetime)
            .ok_or("expected a lifetime, here or by $TTL")?;
        Ok(Some((owner, kind, lifetime, data)))
    }

    fn direct(&mut self, directive: &str, value: &str) -> Result<(), &'static str> {
        match directive {
            "$ORIGIN" => {
                self.origin = data::name(value, &self.origin).ok_or("expected a name")?;
            }
            "$TTL" => {
                let expected = "expected a time such as 3600 or 1h";
                self.lifetime = Some(data::span(value).ok_or(expected)?);
            }
            _ => return Err("expected $ORIGIN or $TTL"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "$ORIGIN z.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n";

    #[test]
    fn owners_and_lifetimes_carry_over() {
        let text = format!("{START}x 5 IN A 192.0.2.1\n  IN 7 A 192.0.2.2\ny.w TXT t\n");
        let zone = Zone::parse(&text, "z").expect("a zone");
        let name = |text: &str| text.parse::<Name>().expect("a name");
        assert_eq!(*zone.origin(), name("z"));
        let set = |text, kind| {
            let sets = zone.sets(&name(text))?;
            sets.iter().find(|set| set.kind == kind)
        };
        let x = set("x.z", Kind::A).expect("a set");
        assert_eq!((x.lifetime, x.data.len()), (5, 2));
        assert_eq!(set("y.w.z", Kind::TXT).map(|set| set.lifetime), Some(60));
        // Between them lies a name without records, and beside them none.
        assert_eq!(zone.sets(&name("w.z")).map(<[Set]>::len), Some(0));
        assert!(zone.sets(&name("v.z")).is_none());
    }

    #[test]
    fn mistakes_are_named_with_file_and_line() {
        for (rest, line, words) in [
            ("x A 1.2.3", 4, "expected an IPv4 address"),
            ("x IN", 4, "expected a kind of record"),
            ("x WHAT y", 4, "there is no such kind of record"),
            (
                "\nx CNAME y\nx A 192.0.2.1",
                6,
                "a name with a CNAME record can have no others",
            ),
            (
                "x CNAME y\nx CNAME w",
                5,
                "there can be only one such record",
            ),
            ("x.y. A 192.0.2.1", 4, "the name does not lie in the zone"),
            ("$INCLUDE x", 4, "expected $ORIGIN or $TTL"),
            (
                "x NSEC3 1 0 0 - CPNMUOG A",
                4,
                "the name must be a hash in digits of base 32",
            ),
            (
                "@ NSEC3PARAM 1 0 151 -",
                1,
                "names are hashed more than 150 times: sign it with fewer iterations",
            ),
            (
                "x SOA a b 1 2 3 4 5",
                4,
                "there can be only one such record",
            ),
        ] {
            let error = Zone::parse(&format!("{START}{rest}"), "z.zone").expect_err(rest);
            assert_eq!(error.to_string(), format!("z.zone:{line}: {words}"));
        }
        for text in ["", "$TTL 1\nx. A 192.0.2.1"] {
            let error = Zone::parse(text, "z").expect_err(text);
            assert_eq!(error.words, "a zone begins with its SOA record");
        }
    }

    #[test]
    fn the_zone_of_the_image_is_sound() {
        let zone = Zone::parse(include_str!("../example.zone"), "example.zone");
        assert_eq!(
            zone.map(|zone| zone.origin().to_string()),
            Ok("example.test.".into())
        );
    }
}
