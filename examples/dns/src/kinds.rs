//! Kinds of records: what master files call them, and what their data is made of.

use sprat::net::dns::Kind;

/// What signs a delegation (RFC 4034, section 5).
pub(crate) const DS: Kind = Kind(43);
/// Signs the set of another kind (RFC 4034, section 3).
pub(crate) const RRSIG: Kind = Kind(46);
/// Says which name is next, and what there is of this one (RFC 4034, section 4).
pub(crate) const NSEC: Kind = Kind(47);
/// What signatures are checked with (RFC 4034, section 2).
pub(crate) const DNSKEY: Kind = Kind(48);
/// NSEC for hashes of names (RFC 5155, section 3).
pub(crate) const NSEC3: Kind = Kind(50);
/// How the names of NSEC3 are hashed (RFC 5155, section 4).
pub(crate) const NSEC3PARAM: Kind = Kind(51);

/// A field of a record's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Ipv4,
    Ipv6,
    Name,
    /// A number of one byte, of two, of four.
    Byte,
    Short,
    Word,
    /// Seconds, also with units.
    Span,
    /// A moment, as seconds or as `YYYYMMDDhhmmss`.
    Moment,
    /// The kind of a record.
    Kind,
    /// A text behind its length.
    Text,
    /// As many of these as there are, at least one.
    Texts,
    /// A text that goes on to the end of the data.
    Value,
    /// Hexadecimal digits, and digits of base 64, up to the end.
    Hex,
    Base64,
    /// Salt in hexadecimal digits or `-`, behind its length.
    Salt,
    /// A hash in digits of base 32, behind its length.
    Hash,
    /// Kinds of records, as a map of bits.
    Kinds,
}

use Field as F;

/// A kind by the name that master files call it, and its fields.
type Known = (&'static str, Kind, &'static [Field]);

const KNOWN: [Known; 21] = [
    ("A", Kind::A, &[F::Ipv4]),
    ("NS", Kind::NS, &[F::Name]),
    ("CNAME", Kind::CNAME, &[F::Name]),
    (
        "SOA",
        Kind::SOA,
        &[
            F::Name,
            F::Name,
            F::Word,
            F::Span,
            F::Span,
            F::Span,
            F::Span,
        ],
    ),
    ("PTR", Kind::PTR, &[F::Name]),
    ("MX", Kind::MX, &[F::Short, F::Name]),
    ("TXT", Kind::TXT, &[F::Texts]),
    ("AAAA", Kind::AAAA, &[F::Ipv6]),
    ("SRV", Kind::SRV, &[F::Short, F::Short, F::Short, F::Name]),
    (
        "NAPTR",
        Kind(35),
        &[F::Short, F::Short, F::Text, F::Text, F::Text, F::Name],
    ),
    ("DS", DS, &[F::Short, F::Byte, F::Byte, F::Hex]),
    ("SSHFP", Kind(44), &[F::Byte, F::Byte, F::Hex]),
    (
        "RRSIG",
        RRSIG,
        &[
            F::Kind,
            F::Byte,
            F::Byte,
            F::Span,
            F::Moment,
            F::Moment,
            F::Short,
            F::Name,
            F::Base64,
        ],
    ),
    ("NSEC", NSEC, &[F::Name, F::Kinds]),
    ("DNSKEY", DNSKEY, &[F::Short, F::Byte, F::Byte, F::Base64]),
    (
        "NSEC3",
        NSEC3,
        &[F::Byte, F::Byte, F::Short, F::Salt, F::Hash, F::Kinds],
    ),
    (
        "NSEC3PARAM",
        NSEC3PARAM,
        &[F::Byte, F::Byte, F::Short, F::Salt],
    ),
    ("TLSA", Kind(52), &[F::Byte, F::Byte, F::Byte, F::Hex]),
    ("CDS", Kind(59), &[F::Short, F::Byte, F::Byte, F::Hex]),
    (
        "CDNSKEY",
        Kind(60),
        &[F::Short, F::Byte, F::Byte, F::Base64],
    ),
    ("CAA", Kind(257), &[F::Byte, F::Text, F::Value]),
];

/// The kind of that name; `TYPE123` is one without a name (RFC 3597).
pub(crate) fn kind(word: &str) -> Option<Kind> {
    let known = KNOWN
        .iter()
        .find(|(name, ..)| name.eq_ignore_ascii_case(word));
    known.map(|(_, kind, _)| *kind).or_else(|| {
        let (prefix, number) = word.split_at_checked(4)?;
        let number = number.parse().ok().map(Kind);
        number.filter(|_| prefix.eq_ignore_ascii_case("TYPE"))
    })
}

/// What a kind's data is made of, where that is known.
pub(crate) fn fields(kind: Kind) -> Option<&'static [Field]> {
    let known = KNOWN.iter().find(|(_, known, _)| *known == kind);
    known.map(|(_, _, fields)| *fields)
}
