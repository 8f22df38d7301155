use sprat_click::Class;

use super::rewriter::class;

/// ICMPPingRewriter: rewrites addresses and identifiers of pings.
///
/// ```click
/// ICMPPingRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// ```
///
/// As IPRewriter, for ICMP echo requests and their replies, with the ICMP identifier in the place of
/// a port: `pattern SADDR DADDR IDENTIFIER FOUTPUT ROUTPUT`, where IDENTIFIER may be a range. Other
/// packets are dropped unless their input says `pass`. A reply to no known request begins nothing.
///
/// Keywords: TIMEOUT (5 minutes), GUARANTEE (5 seconds), MAPPING_CAPACITY, REAP_INTERVAL, DST_ANNO,
/// REPLY_ANNO, as in IPRewriter.
///
/// Handlers: as IPAddrRewriter.
///
/// See Click's manual page ICMPPingRewriter(n).
pub(super) const ICMP_PING_REWRITER: Class = class("ICMPPingRewriter");

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use sprat_packet::checksum::internet_checksum;

    use crate::testing::Bench;

    fn ping(kind: u8, source: [u8; 4], destination: [u8; 4], identifier: u16) -> Vec<u8> {
        let mut bytes = std::vec![0; 36];
        bytes[0] = 0x45;
        bytes[3] = 36;
        bytes[8] = 64;
        bytes[9] = 1;
        bytes[12..16].copy_from_slice(&source);
        bytes[16..20].copy_from_slice(&destination);
        let sum = internet_checksum(&bytes[..20]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes[20] = kind;
        bytes[24..26].copy_from_slice(&identifier.to_be_bytes());
        bytes[27] = 9;
        let sum = internet_checksum(&bytes[20..]);
        bytes[22..24].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn pings_of_two_hosts_with_one_identifier_are_told_apart_by_another() {
        let bench = Bench::new(
            "rw :: ICMPPingRewriter(pattern 2.0.0.2 - 0-65535 0 1, drop);
             FromDevice(inside) -> MarkIPHeader(0) -> [0]rw; FromDevice(outside) -> MarkIPHeader(0) -> [1]rw;
             rw[0] -> ToDevice(outside); rw[1] -> ToDevice(inside);",
        );
        let server = [5, 0, 0, 5];
        bench.arrive("inside", &ping(8, [1, 0, 0, 1], server, 10));
        bench.arrive("inside", &ping(8, [1, 0, 0, 2], server, 10));
        bench.run();
        let sent = bench.sent("outside");
        let identifier = |bytes: &[u8]| u16::from_be_bytes([bytes[24], bytes[25]]);
        assert_eq!(identifier(&sent[0]), 10);
        assert_ne!(identifier(&sent[1]), 10);
        for bytes in &sent {
            assert_eq!(
                (
                    internet_checksum(&bytes[..20]),
                    internet_checksum(&bytes[20..])
                ),
                (0, 0)
            );
            assert_eq!(bytes[12..16], [2, 0, 0, 2]);
            bench.arrive("outside", &ping(0, server, [2, 0, 0, 2], identifier(bytes)));
        }
        // A reply that nobody asked for.
        bench.arrive("outside", &ping(0, [5, 0, 0, 6], [2, 0, 0, 2], 10));
        bench.run();
        let back = bench.sent("inside");
        assert_eq!(back.len(), 2);
        for (bytes, host) in back.iter().zip(1..) {
            assert_eq!(
                (
                    internet_checksum(&bytes[..20]),
                    internet_checksum(&bytes[20..])
                ),
                (0, 0)
            );
            assert_eq!(bytes[16..20], [1, 0, 0, host]);
            assert_eq!(identifier(bytes), 10);
        }
        // Click knows replies by one more, on the machine's side of the identifier.
        let table = bench.read("rw.table");
        for flow in [
            "(1.0.0.1, 5.0.0.5, 10) => (2.0.0.2, 5.0.0.5, 10) [*0 1]",
            "(5.0.0.5, 2.0.0.2, 266) => (5.0.0.5, 1.0.0.1, 266) [0 *1]",
        ] {
            assert!(table.contains(flow), "{table}");
        }
    }
}
