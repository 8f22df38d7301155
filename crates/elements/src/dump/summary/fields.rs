//! The table of fields.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::arguments::{parse_unsigned, split_words, unquote};

use super::{Draft, View, ip_fields, packet_fields, payload, transport_fields};

/// Takes a word into a packet to be; `None` where the word is not a value of the field.
pub(super) type Read = fn(&mut Draft, &str) -> Option<()>;

/// Writes the field of a packet; `None` where the packet has it not.
pub(super) type Write = fn(&View<'_>, &mut String) -> Option<()>;

/// A field of a line.
pub(super) struct Field {
    /// Its names, the one that headers show first.
    pub(super) names: &'static [&'static str],
    /// Whether a packet that has it has an IP header.
    pub(super) network: bool,
    /// When it is taken over from a line: a later pass overrides an earlier one.
    pub(super) pass: u8,
    /// How it is read; `None`: what a dump says about it cannot be put into a packet.
    pub(super) read: Option<Read>,
    /// How it is written.
    pub(super) write: Write,
}

impl Field {
    /// A field that can be read and written.
    pub(super) const fn new(names: &'static [&'static str], read: Read, write: Write) -> Self {
        Self {
            names,
            network: true,
            pass: 0,
            read: Some(read),
            write,
        }
    }

    /// A field that can be written only.
    pub(super) const fn written(names: &'static [&'static str], write: Write) -> Self {
        Self {
            names,
            network: true,
            pass: 0,
            read: None,
            write,
        }
    }

    /// A field of the packet as such, which needs no IP header.
    pub(super) const fn below_ip(mut self) -> Self {
        self.network = false;
        self
    }

    /// A field that is taken over in pass number `pass`.
    pub(super) const fn in_pass(mut self, pass: u8) -> Self {
        self.pass = pass;
        self
    }

    /// The name that headers show.
    pub(super) fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// The field of a name. In a name, spaces count as underscores, and one without any of these may
    /// lack the `ip_` that others begin with.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        let name = name.replace(' ', "_");
        let known = |name: &str| {
            FIELDS
                .iter()
                .flat_map(|group| group.iter())
                .find(|field| field.names.contains(&name))
        };
        known(&name).or_else(|| {
            let short = !name.contains('_');
            known(&format!("ip_{name}")).filter(|_| short)
        })
    }
}

/// All fields.
const FIELDS: [&[Field]; 4] = [
    packet_fields::FIELDS,
    ip_fields::FIELDS,
    transport_fields::FIELDS,
    payload::FIELDS,
];

/// The fields of a list of names, each with its name where it is unknown.
pub(super) fn parse_list(text: &str) -> Vec<Result<&'static Field, String>> {
    split_words(text)
        .iter()
        .map(|word| unquote(word))
        .map(|name| Field::find(&name).ok_or(name))
        .collect()
}

/// Reads a whole number.
pub(super) fn number<T: TryFrom<u64>>(word: &str) -> Option<T> {
    T::try_from(parse_unsigned(word)?.ok()?).ok()
}
