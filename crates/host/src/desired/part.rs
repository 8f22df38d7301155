//! What of the conversations a function gets at its place in a chain.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sprat_switch::switch::Selection;
use utoipa::ToSchema;

use crate::flows::{Network, Written, textual};

/// Largest share.
const MOST: u32 = 1_000_000;

/// What a function gets of the conversations that begin at its place: a share alone is written as a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its part of those that nobody asks for, beside the parts of the others.
    pub share: u32,
    /// Those it asks for: one of their ends has such an address.
    pub prefixes: Vec<Network>,
    /// Those it asks for by their hashes, where nobody asks for their addresses.
    pub hashes: Option<Hashes>,
}

impl Part {
    /// Whether it gets nothing, and so has no place.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What it asks for, as a switch takes it.
    pub(crate) fn selection(&self) -> Selection {
        Selection {
            prefixes: self.prefixes.iter().map(|network| network.0).collect(),
            hashes: self.hashes.map(|hashes| (hashes.0, hashes.1)),
        }
    }
}

impl From<u32> for Part {
    fn from(share: u32) -> Self {
        Self {
            share,
            ..Self::default()
        }
    }
}

/// As `sprat steer` takes it: a share, addresses and a range of hashes, with commas between.
impl FromStr for Part {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut part = Self::default();
        for word in text.split(',') {
            if let Ok(share @ 0..=MOST) = word.parse() {
                part.share = share;
            } else if let Ok(hashes) = word.parse() {
                part.hashes = Some(hashes);
            } else {
                part.prefixes.push(word.parse()?);
            }
        }
        Ok(part)
    }
}

/// A range of hashes, of 65,536: the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Written", into = "String")]
#[schema(value_type = String)]
pub struct Hashes(pub(crate) u16, pub(crate) u16);

textual!(Hashes, "a range of hashes such as 0-6553, of 0 to 65535");

impl FromStr for Hashes {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, last) = text.split_once('-').ok_or(())?;
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self(first, last)),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// A share, or what a function gets in full.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PartWritten {
    /// Its share.
    Share(u32),
    /// All that it gets.
    Full(FullPart),
}

/// What a function gets of the conversations that begin at its place.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FullPart {
    /// Its part of those that nobody asks for, beside the parts of the others.
    #[serde(default)]
    share: u32,
    /// Those it asks for: one of their ends has such an address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prefixes: Vec<Network>,
    /// Those it asks for by their hashes, where nobody asks for their addresses: such as `0-6553` of 0
    /// to 65535.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hashes: Option<Hashes>,
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self {
                share,
                prefixes,
                hashes: None,
            } if prefixes.is_empty() => PartWritten::Share(*share),
            full => PartWritten::Full(FullPart {
                share: full.share,
                prefixes: full.prefixes.clone(),
                hashes: full.hashes,
            }),
        };
        written.serialize(serializer)
    }
}

/// Reads what a number or a table says; an untagged type would not say what is wrong with it.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share such as 10, or a table with share, prefixes or hashes")
    }

    fn visit_u64<E: Error>(self, share: u64) -> Result<Part, E> {
        let fits = u32::try_from(share).map(Part::from);
        fits.map_err(|_| E::invalid_value(Unexpected::Unsigned(share), &self))
    }

    fn visit_i64<E: Error>(self, share: i64) -> Result<Part, E> {
        let fits = u32::try_from(share).map(Part::from);
        fits.map_err(|_| E::invalid_value(Unexpected::Signed(share), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Part, A::Error> {
        let full = FullPart::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Part {
            share: full.share,
            prefixes: full.prefixes,
            hashes: full.hashes,
        })
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_and_what_is_asked_for_stands_beside_it() {
        for (json, words) in [
            ("10", "10"),
            (r#"{"share":0,"hashes":"0-6553"}"#, "0-6553"),
            (
                r#"{"share":5,"prefixes":["192.0.2.0/24","2001:db8::/32"],"hashes":"7-7"}"#,
                "192.0.2.0/24,5,7-7,2001:db8::/32",
            ),
        ] {
            let part: Part = serde_json::from_str(json).expect("sound");
            assert_eq!(words.parse(), Ok(part.clone()), "{words}");
            assert_eq!(serde_json::to_string(&part).expect("JSON"), json);
        }
        assert!(Part::from(0).is_none() && !Part::from(1).is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("a = '10'", "a share such as 10, or a table with share"),
            ("a = -1", "invalid value: integer `-1`"),
            (
                "a = { hashes = '9-8' }",
                "expected a range of hashes such as 0-6553, of 0 to 65535",
            ),
            ("a = { hashes = '0-65536' }", "found 0-65536"),
            (
                "a = { prefixes = ['192.0.2.0/33'] }",
                "expected addresses such as 192.0.2.0/24",
            ),
            ("a = { prefix = [] }", "unknown field `prefix`"),
        ] {
            type Place = std::collections::BTreeMap<String, Part>;
            let error = toml::from_str::<Place>(text).expect_err(text);
            assert!(error.to_string().contains(expected), "{error}");
        }
        for text in ["", "ten", "1-", "-1", "1,", "9-8"] {
            assert_eq!(text.parse::<Part>(), Err(()), "{text}");
        }
    }
}
