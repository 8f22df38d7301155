//! What a pattern means: a Boolean expression over tests of header bytes, and its plain evaluation.
//!
//! This is the language every front end (IP patterns, byte patterns) translates into and every
//! back end (the compiled program, the step listing) translates from. [`Expression::matches`] is
//! the definition both are held against.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Where an offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Base {
    /// The first byte of the data given as [`Headers::network`].
    Network,
    /// The first byte of the transport header.
    Transport,
    /// The first byte of the link header.
    Link,
}

/// A big-endian field of one to four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Field {
    /// What `offset` counts from.
    pub base: Base,
    /// Bytes from `base` to the field.
    pub offset: u16,
    /// The field's length in bytes, 1 to 4.
    pub width: u8,
}

impl Field {
    /// A field of the network header.
    #[must_use]
    pub const fn network(offset: u16, width: u8) -> Self {
        Self {
            base: Base::Network,
            offset,
            width,
        }
    }

    /// A field of the transport header.
    #[must_use]
    pub const fn transport(offset: u16, width: u8) -> Self {
        Self {
            base: Base::Transport,
            offset,
            width,
        }
    }

    /// A field of the link header.
    #[must_use]
    pub const fn link(offset: u16, width: u8) -> Self {
        Self {
            base: Base::Link,
            offset,
            width,
        }
    }

    /// The largest value the field can hold.
    #[must_use]
    pub const fn maximum(self) -> u32 {
        u32::MAX >> (32 - 8 * self.width as u32)
    }

    /// The field's value, or `None` where the packet ends before it.
    #[inline]
    #[must_use]
    pub fn read(self, headers: &Headers<'_>) -> Option<u32> {
        let data = match self.base {
            Base::Network => headers.network,
            Base::Transport => headers.transport,
            Base::Link => headers.link,
        };
        let start = usize::from(self.offset);
        let bytes = data.get(start..start + usize::from(self.width))?;
        Some(
            bytes
                .iter()
                .fold(0, |value, byte| value << 8 | u32::from(*byte)),
        )
    }
}

/// The parts of a packet that expressions look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// From the network header to the end of the packet (for byte patterns: the whole packet).
    pub network: &'a [u8],
    /// From the transport header to the end of the packet; empty for a fragment other than the
    /// first, which has none.
    pub transport: &'a [u8],
    /// From the link header to the end of the packet; empty where nobody has marked it.
    pub link: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Finds the transport header of an IPv4 packet that starts at its network header.
    ///
    /// The header length is taken at its word; a fragment with a nonzero offset (RFC 791,
    /// section 3.1) has no transport header, and neither has a packet too short to tell.
    #[inline]
    #[must_use]
    pub fn ip(network: &'a [u8]) -> Self {
        let transport = match network {
            [first, _, _, _, _, _, high, low, ..] if high & 0x1f | low == 0 => network
                .get(usize::from(first & 0xf) * 4..)
                .unwrap_or_default(),
            _ => &[],
        };
        Self {
            network,
            transport,
            link: &[],
        }
    }

    /// The bytes of a packet, for patterns that name offsets from its start.
    #[inline]
    #[must_use]
    pub fn packet(data: &'a [u8]) -> Self {
        Self {
            network: data,
            transport: &[],
            link: &[],
        }
    }
}

/// How a masked field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal.
    Different,
    /// Strictly greater.
    Greater,
    /// Less or equal.
    AtMost,
}

/// One comparison. It is false where the packet ends before the field, whatever the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Test {
    /// The field compared.
    pub field: Field,
    /// Which of its bits count.
    pub mask: u32,
    /// The comparison.
    pub comparison: Comparison,
    /// What the masked field is compared with.
    pub value: u32,
}

impl Test {
    /// The test that `field`, masked, equals `value`.
    #[must_use]
    pub const fn equal(field: Field, mask: u32, value: u32) -> Self {
        Self {
            field,
            mask,
            comparison: Comparison::Equal,
            value,
        }
    }

    /// Whether a present field with this value passes.
    #[inline]
    #[must_use]
    pub const fn accepts(&self, value: u32) -> bool {
        let masked = value & self.mask;
        match self.comparison {
            Comparison::Equal => masked == self.value,
            Comparison::Different => masked != self.value,
            Comparison::Greater => masked > self.value,
            Comparison::AtMost => masked <= self.value,
        }
    }
}

/// A Boolean expression over tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Always true, or always false.
    Constant(bool),
    /// One comparison.
    Test(Test),
    /// True where the inner expression is false, truncated packets included.
    Not(Box<Expression>),
    /// True where every part is; true without parts.
    All(Vec<Expression>),
    /// True where some part is; false without parts.
    Any(Vec<Expression>),
}

impl Expression {
    /// The negation.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(!value),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// `condition ? yes : no`.
    #[must_use]
    pub fn choose(condition: Self, yes: Self, no: Self) -> Self {
        Self::Any(alloc::vec![
            Self::All(alloc::vec![condition.clone(), yes]),
            Self::All(alloc::vec![condition.negate(), no]),
        ])
    }

    /// Evaluates the expression against a packet, one test after the other.
    #[must_use]
    pub fn matches(&self, headers: &Headers<'_>) -> bool {
        match self {
            Self::Constant(value) => *value,
            Self::Test(test) => test
                .field
                .read(headers)
                .is_some_and(|value| test.accepts(value)),
            Self::Not(inner) => !inner.matches(headers),
            Self::All(parts) => parts.iter().all(|part| part.matches(headers)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(headers)),
        }
    }
}
