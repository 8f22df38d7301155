//! Flows, and when they are over.

use core::net::Ipv4Addr;

use sprat_packet::flow::FlowKey;
use sprat_packet::headers::protocol::TCP;

use super::SECOND;

/// The key of both directions of a flow, and whether this one goes from the greater end: in the
/// key the lesser end is the source.
pub(super) fn undirected(key: FlowKey) -> (FlowKey, bool) {
    let end = |address: Ipv4Addr, port: u16| u64::from(address.to_bits()) << 16 | u64::from(port);
    let source = end(key.source(), key.source_port());
    let destination = end(key.destination(), key.destination_port());
    match source > destination {
        true => (key.reversed(), true),
        false => (key, false),
    }
}

/// When nothing has come yet.
pub(super) const NEVER: i64 = i64::MIN;

pub(super) struct Flow {
    pub(super) number: u32,
    /// Whether the first packet went from the greater end to the lesser.
    pub(super) reversed: bool,
    pub(super) last: i64,
    /// Which ends have closed, a bit each; both bits after a reset.
    pub(super) closed: u8,
}

impl Flow {
    /// The next flow, of which no packet has come yet.
    pub(super) fn begun(last_number: &mut u32, reversed: bool) -> Self {
        *last_number = last_number.wrapping_add(1);
        Self {
            number: *last_number,
            reversed,
            last: NEVER,
            closed: 0,
        }
    }

    /// From where to where the first packet went, of a flow with this key.
    pub(super) fn ends(&self, key: &FlowKey) -> [(Ipv4Addr, u16); 2] {
        let first = match self.reversed {
            true => key.reversed(),
            false => *key,
        };
        [
            (first.source(), first.source_port()),
            (first.destination(), first.destination_port()),
        ]
    }

    /// Whether it has been silent for too long. Click counts in whole seconds.
    pub(super) fn is_over(&self, [tcp, tcp_done, udp]: [i64; 3], protocol: u8, now: i64) -> bool {
        let limit = match protocol {
            TCP if self.closed == 3 => tcp_done,
            TCP => tcp,
            _ => udp,
        };
        // What lies no further apart than that does so in whole seconds, too; most does.
        now.saturating_sub(self.last) > limit.saturating_mul(SECOND)
            && now.div_euclid(SECOND) - self.last.div_euclid(SECOND) > limit
    }
}
