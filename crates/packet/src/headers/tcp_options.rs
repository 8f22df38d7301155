//! The options of a TCP header (RFC 9293, RFC 7323, RFC 2018).

use super::HeaderError;

/// Option kinds (IANA TCP Option Kind Numbers).
pub mod tcp_option {
    /// End of the options.
    pub const END: u8 = 0;
    /// Padding of one byte.
    pub const NO_OPERATION: u8 = 1;
    /// Maximum segment size.
    pub const MAXIMUM_SEGMENT_SIZE: u8 = 2;
    /// Window scale.
    pub const WINDOW_SCALE: u8 = 3;
    /// Selective acknowledgement permitted.
    pub const SACK_PERMITTED: u8 = 4;
    /// Selective acknowledgement.
    pub const SACK: u8 = 5;
    /// Timestamps.
    pub const TIMESTAMPS: u8 = 8;
}

/// One option. The end-of-options byte is not reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// Padding of one byte.
    NoOperation,
    /// Largest segment that the sender takes, in bytes.
    MaximumSegmentSize(u16),
    /// Shift of the sender's windows.
    WindowScale(u8),
    /// Selective acknowledgement permitted.
    SackPermitted,
    /// Blocks received out of order.
    Sack(SackBlocks<'a>),
    /// Timestamp value and echo reply.
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// The last timestamp that the sender received.
        echo: u32,
    },
    /// Any other option, and a known one of the wrong length.
    Other {
        /// Kind.
        kind: u8,
        /// What follows kind and length.
        data: &'a [u8],
    },
}

/// The blocks of a selective acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SackBlocks<'a>(&'a [u8]);

impl SackBlocks<'_> {
    /// Left and right edge of each block.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.0
            .as_chunks::<8>()
            .0
            .iter()
            .map(|&[a, b, c, d, e, f, g, h]| {
                (
                    u32::from_be_bytes([a, b, c, d]),
                    u32::from_be_bytes([e, f, g, h]),
                )
            })
    }
}

/// Iterator over options. An option whose length is below two or beyond the end is an error, after which
/// nothing follows.
#[derive(Debug, Clone)]
pub struct TcpOptions<'a> {
    bytes: &'a [u8],
}

impl<'a> TcpOptions<'a> {
    /// Walks the options in `bytes`.
    #[inline]
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl<'a> Iterator for TcpOptions<'a> {
    type Item = Result<TcpOption<'a>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, length) = match *self.bytes {
            [] | [tcp_option::END, ..] => return None,
            [tcp_option::NO_OPERATION, ..] => {
                self.bytes = self.bytes.get(1..).unwrap_or_default();
                return Some(Ok(TcpOption::NoOperation));
            }
            [kind, length, ..] => (kind, usize::from(length)),
            [kind] => (kind, 0),
        };
        let (Some(data), Some(rest)) = (self.bytes.get(2..length), self.bytes.get(length..)) else {
            self.bytes = &[];
            return Some(Err(HeaderError::Truncated));
        };
        self.bytes = rest;
        Some(Ok(match (kind, data) {
            (tcp_option::MAXIMUM_SEGMENT_SIZE, &[a, b]) => {
                TcpOption::MaximumSegmentSize(u16::from_be_bytes([a, b]))
            }
            (tcp_option::WINDOW_SCALE, &[shift]) => TcpOption::WindowScale(shift),
            (tcp_option::SACK_PERMITTED, &[]) => TcpOption::SackPermitted,
            (tcp_option::SACK, blocks) if blocks.len() % 8 == 0 => {
                TcpOption::Sack(SackBlocks(blocks))
            }
            (tcp_option::TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => TcpOption::Timestamps {
                value: u32::from_be_bytes([a, b, c, d]),
                echo: u32::from_be_bytes([e, f, g, h]),
            },
            (kind, data) => TcpOption::Other { kind, data },
        }))
    }
}
