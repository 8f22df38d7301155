//! What address translators do to transport headers, as far as they are there.

use sprat_packet::checksum::Delta;
use sprat_packet::headers::protocol;

/// Whether a transport header had a checksum to mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    /// It has been mended.
    Mended,
    /// A UDP header that states none.
    None,
    /// Not a protocol with a checksum over addresses, or cut off before it.
    Absent,
}

/// Mends the checksum of a TCP or UDP header whose pseudo-header or ports have changed.
pub(super) fn mend(segment: &mut [u8], kind: u8, delta: Delta) -> Checksum {
    let at = match kind {
        protocol::TCP => 16,
        protocol::UDP | protocol::UDP_LITE => 6,
        protocol::ICMPV6 => 2,
        _ => return Checksum::Absent,
    };
    let Some(field) = segment.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>) else {
        return Checksum::Absent;
    };
    let old = u16::from_be_bytes(*field);
    let new = match kind {
        protocol::UDP if old == 0 => return Checksum::None,
        protocol::UDP => delta.apply_udp(old),
        _ => delta.apply(old),
    };
    *field = new.to_be_bytes();
    Checksum::Mended
}
