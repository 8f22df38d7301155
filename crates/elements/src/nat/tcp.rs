//! What a rewriter remembers of TCP connections.

use super::flow_table::Direction;

/// Bytes of a header that must be there: up to the checksum.
pub(super) const SHORTEST: usize = 18;

/// The lists of connections: data has not been seen both ways; has been; both ends are done.
const NO_DATA: u8 = 0;
const DATA_BOTH_WAYS: u8 = 1;
const DONE_BOTH_WAYS: u8 = 2;
/// How many lists those are.
pub(super) const LISTS: u8 = 3;

/// Bits of a connection's state, for the forward direction; those of replies are one to the left.
const DATA: u8 = 1;
const DONE: u8 = 4;
const BOTH_WAYS: u8 = 3;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

/// The state after a segment.
#[inline]
pub(super) fn state(mut state: u8, direction: Direction, flags: u8, data: bool) -> u8 {
    let way = direction as u8;
    if flags & RST != 0 {
        state |= DONE * BOTH_WAYS;
    } else if flags & FIN != 0 {
        state |= DONE << way;
    } else if flags & SYN != 0 || data {
        // A new connection between the same ports, or an end that goes on after all.
        state &= !(DONE << way);
    }
    if data {
        state |= DATA << way;
    }
    state
}

/// The list that a connection belongs to.
#[inline]
pub(super) fn list(state: u8) -> u8 {
    if state & (DONE * BOTH_WAYS) == DONE * BOTH_WAYS {
        DONE_BOTH_WAYS
    } else if state & (DATA * BOTH_WAYS) == DATA * BOTH_WAYS {
        DATA_BOTH_WAYS
    } else {
        NO_DATA
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Forward, Reply};

    /// The list after segments, each with direction, flags and whether it has data.
    fn after(segments: &[(Direction, u8, bool)]) -> u8 {
        let end = segments.iter().fold(0, |before, (direction, flags, data)| {
            state(before, *direction, *flags, *data)
        });
        list(end)
    }

    #[test]
    fn a_connection_has_data_once_both_ends_have_sent_some() {
        assert_eq!(
            after(&[(Forward, SYN, false), (Reply, SYN, false)]),
            NO_DATA
        );
        assert_eq!(after(&[(Forward, 0, true), (Forward, 0, true)]), NO_DATA);
        assert_eq!(
            after(&[(Forward, 0, true), (Reply, 0, true)]),
            DATA_BOTH_WAYS
        );
    }

    #[test]
    fn it_is_done_after_two_fins_or_one_reset() {
        assert_eq!(after(&[(Forward, FIN, false)]), NO_DATA);
        assert_eq!(
            after(&[(Forward, FIN, false), (Reply, FIN, true)]),
            DONE_BOTH_WAYS
        );
        assert_eq!(after(&[(Reply, RST, false)]), DONE_BOTH_WAYS);
    }

    #[test]
    fn an_end_that_sends_again_is_not_done() {
        let done = [(Forward, FIN, false), (Reply, FIN, false)];
        assert_eq!(
            after(&[&done[..], &[(Forward, SYN, false)]].concat()),
            NO_DATA
        );
        assert_eq!(after(&[&done[..], &[(Reply, 0, true)]].concat()), NO_DATA);
    }
}
