//! The chain of IPv6 extension headers (RFC 8200, section 4; RFC 6564; RFC 4302 for AH).

use super::{HeaderError, protocol};

/// What a fragment header says (RFC 8200, section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Fragment {
    /// Offset in the fragmentable part, in bytes.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
    /// Identification.
    pub identification: u32,
}

/// What stands behind the extension headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpperLayer {
    /// Its protocol number. [`protocol::IPV6_NO_NEXT`] means nothing, [`protocol::ESP`] something sealed.
    pub protocol: u8,
    /// Its offset from where the walk began, in bytes; at most the number of bytes.
    pub offset: usize,
    /// The fragment header, when there was one. With an offset above zero the bytes at `offset` are not
    /// the upper layer's header.
    pub fragment: Option<Ipv6Fragment>,
}

/// Walks extension headers, beginning with one of type `next_header` at the start of `bytes`.
///
/// The walk ends at the first header that is no extension, at ESP, at "no next header", and behind a
/// fragment header that is not the first fragment's. Each step consumes at least eight bytes, so it ends.
///
/// # Errors
/// When the bytes end inside an extension header.
pub fn upper_layer(next_header: u8, bytes: &[u8]) -> Result<UpperLayer, HeaderError> {
    let mut found = UpperLayer {
        protocol: next_header,
        offset: 0,
        fragment: None,
    };
    loop {
        let is_extension = matches!(
            found.protocol,
            protocol::HOP_BY_HOP
                | protocol::IPV6_ROUTING
                | protocol::IPV6_FRAGMENT
                | protocol::IPV6_DESTINATION_OPTIONS
                | protocol::IPV6_MOBILITY
                | protocol::HIP
                | protocol::SHIM6
                | protocol::AH
        );
        if !is_extension {
            return Ok(found);
        }
        let header: &[u8; 8] = bytes
            .get(found.offset..)
            .and_then(|tail| tail.first_chunk())
            .ok_or(HeaderError::Truncated)?;
        let length = match found.protocol {
            protocol::IPV6_FRAGMENT => 8,
            // AH counts 32-bit words less two (RFC 4302, section 2.2).
            protocol::AH => ((usize::from(header[1]) + 2) * 4).max(8),
            _ => (usize::from(header[1]) + 1) * 8,
        };
        if found.protocol == protocol::IPV6_FRAGMENT {
            let word = u16::from_be_bytes([header[2], header[3]]);
            found.fragment = Some(Ipv6Fragment {
                offset: usize::from(word & 0xfff8),
                more: word & 1 != 0,
                identification: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            });
        }
        found.protocol = header[0];
        found.offset += length;
        if found.offset > bytes.len() {
            return Err(HeaderError::Truncated);
        }
        if found.fragment.is_some_and(|fragment| fragment.offset > 0) {
            return Ok(found);
        }
    }
}
