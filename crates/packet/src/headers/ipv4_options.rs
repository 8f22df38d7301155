//! The options of an IPv4 header (RFC 791, section 3.1).

use super::HeaderError;

/// Option types (IANA IP Option Numbers), copy bit and class included.
pub mod ip_option {
    /// End of the options.
    pub const END: u8 = 0;
    /// Padding of one byte.
    pub const NO_OPERATION: u8 = 1;
    /// Record route.
    pub const RECORD_ROUTE: u8 = 7;
    /// Timestamp.
    pub const TIMESTAMP: u8 = 68;
    /// Security.
    pub const SECURITY: u8 = 130;
    /// Loose source and record route.
    pub const LOOSE_SOURCE_ROUTE: u8 = 131;
    /// Stream identifier.
    pub const STREAM_IDENTIFIER: u8 = 136;
    /// Strict source and record route.
    pub const STRICT_SOURCE_ROUTE: u8 = 137;
    /// Router alert (RFC 2113).
    pub const ROUTER_ALERT: u8 = 148;
    /// Bit that asks for the option to be copied into every fragment.
    pub const COPY_BIT: u8 = 0x80;
}

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Option<'a> {
    /// Type; see [`ip_option`].
    pub kind: u8,
    /// Offset of the option from the start of the options, in bytes.
    pub offset: usize,
    /// The whole option with type and length.
    pub bytes: &'a [u8],
}

impl<'a> Ipv4Option<'a> {
    /// What follows type and length.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.bytes.get(2..).unwrap_or_default()
    }

    /// Whether every fragment carries the option.
    #[inline]
    #[must_use]
    pub fn is_copied(&self) -> bool {
        self.kind & ip_option::COPY_BIT != 0
    }
}

/// Iterator over options. Ends at the end-of-options byte; an option whose length is below two or beyond
/// the end is an error, after which nothing follows.
#[derive(Debug, Clone)]
pub struct Ipv4Options<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Ipv4Options<'a> {
    /// Walks the options in `bytes`.
    #[inline]
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }
}

impl<'a> Iterator for Ipv4Options<'a> {
    type Item = Result<Ipv4Option<'a>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        let tail = self.bytes.get(self.offset..)?;
        let (kind, length) = match *tail {
            [] | [ip_option::END, ..] => return None,
            [ip_option::NO_OPERATION, ..] => (ip_option::NO_OPERATION, 1),
            [kind, length, ..] if length >= 2 => (kind, usize::from(length)),
            _ => (0, usize::MAX),
        };
        let offset = self.offset;
        let Some(bytes) = tail.get(..length) else {
            self.offset = self.bytes.len();
            return Some(Err(HeaderError::Truncated));
        };
        self.offset += length;
        Some(Ok(Ipv4Option {
            kind,
            offset,
            bytes,
        }))
    }
}
