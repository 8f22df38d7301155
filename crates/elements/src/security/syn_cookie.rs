//! Sequence numbers that say what a half-open connection would have to remember (RFC 4987, section
//! 3.6 and appendix A): five bits of time, three of the segment size, and 24 that only the key's owner
//! can make.

use core::net::Ipv4Addr;

use md5::{Digest, Md5};

/// A connection as its client's segments name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Connection {
    pub(super) client: (Ipv4Addr, u16),
    pub(super) server: (Ipv4Addr, u16),
}

/// Segment sizes that a cookie can tell: those that are common, each the greatest that is no greater
/// than what was asked for.
const SIZES: [u16; 8] = [216, 536, 1024, 1220, 1360, 1440, 1452, 1460];

/// Seconds in a unit of a cookie's time.
const UNIT: u64 = 64;

/// Units of time for which a cookie is good, beside the one in which it was made.
const AGE: u64 = 1;

/// The owner's secret.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Key(pub(super) u64);

impl Key {
    /// The cookie for a client that begins with the sequence number `initial` and takes segments of
    /// so many bytes, at a time in seconds.
    pub(super) fn make(self, connection: &Connection, initial: u32, size: u16, now: u64) -> u32 {
        let index = SIZES.iter().rposition(|known| *known <= size).unwrap_or(0);
        let index = u32::try_from(index).unwrap_or(0);
        let time = now / UNIT;
        let low_time = u32::try_from(time & 31).unwrap_or(0);
        low_time << 27 | index << 24 | self.proof(connection, initial, time, index)
    }

    /// The segment size of a cookie that was made for this connection not long ago.
    pub(super) fn check(
        self,
        connection: &Connection,
        initial: u32,
        cookie: u32,
        now: u64,
    ) -> Option<u16> {
        let index = cookie >> 24 & 7;
        let made = (0..=AGE)
            .filter_map(|age| (now / UNIT).checked_sub(age))
            .find(|time| u64::from(cookie >> 27) == time & 31)?;
        let proof = self.proof(connection, initial, made, index);
        (proof == cookie & 0x00ff_ffff).then(|| SIZES.get(index as usize).copied())?
    }

    fn proof(self, connection: &Connection, initial: u32, time: u64, index: u32) -> u32 {
        let mut hash = Md5::new();
        hash.update(self.0.to_be_bytes());
        for (address, port) in [connection.client, connection.server] {
            hash.update(address.octets());
            hash.update(port.to_be_bytes());
        }
        hash.update(initial.to_be_bytes());
        hash.update(time.to_be_bytes());
        hash.update(index.to_be_bytes());
        let hash = hash.finalize();
        u32::from_be_bytes([0, hash[0], hash[1], hash[2]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn connection(port: u16) -> Connection {
        Connection {
            client: (Ipv4Addr::new(10, 0, 0, 1), port),
            server: (Ipv4Addr::new(10, 0, 0, 2), 80),
        }
    }

    #[test]
    fn a_cookie_tells_the_size_for_one_to_two_units_of_time() {
        let (key, it) = (Key(7), connection(1000));
        let cookie = key.make(&it, 5, 1400, 640);
        for now in [640, 703, 704, 767] {
            assert_eq!(key.check(&it, 5, cookie, now), Some(1360), "{now}");
        }
        for now in [0, 639, 768, 640 + 32 * 64 * 2 + 128] {
            assert_eq!(key.check(&it, 5, cookie, now), None, "{now}");
        }
    }

    #[test]
    fn a_cookie_is_good_for_its_connection_and_key_alone() {
        let (key, it) = (Key(7), connection(1000));
        let cookie = key.make(&it, 5, 1460, 640);
        assert_eq!(key.check(&it, 5, cookie, 640), Some(1460));
        assert_eq!(key.check(&connection(1001), 5, cookie, 640), None);
        assert_eq!(key.check(&it, 6, cookie, 640), None);
        assert_eq!(key.check(&it, 5, cookie ^ 1 << 24, 640), None);
        assert_eq!(Key(8).check(&it, 5, cookie, 640), None);
    }

    proptest! {
        #[test]
        fn every_cookie_is_good_when_made(initial: u32, size: u16, now in 0..1u64 << 40, secret: u64) {
            let (key, it) = (Key(secret), connection(9));
            let told = key.check(&it, initial, key.make(&it, initial, size, now), now);
            prop_assert!(told.is_some_and(|told| told <= size.max(216)));
        }
    }
}
