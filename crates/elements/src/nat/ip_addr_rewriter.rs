use sprat_click::Class;

use super::rewriter::class;

/// IPAddrRewriter: rewrites addresses, host by host.
///
/// ```click
/// IPAddrRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// ```
///
/// As IPRewriter, for any protocol and without ports: each inside host gets an address, by
/// `pattern SADDR - FOUTPUT ROUTPUT`. SADDR may be a range `A-B` or a prefix `A/LEN`, of which any
/// address is taken; with `#` behind it addresses are taken in order. Packets to an address that was
/// given go back to its host. Checksums of TCP and UDP follow.
///
/// Keywords: TIMEOUT (2 hours), GUARANTEE (5 seconds), MAPPING_CAPACITY, REAP_INTERVAL, DST_ANNO,
/// REPLY_ANNO, as in IPRewriter.
///
/// Handlers: `table`, `patterns`, `nmappings`, `size`, `mapping_failures` (read); `capacity`,
/// `patternN` (read, write); `clear` (write).
///
/// See Click's manual page IPAddrRewriter(n).
pub(super) const IP_ADDR_REWRITER: Class = class("IPAddrRewriter");

/// IPAddrPairRewriter: rewrites addresses, pair by pair.
///
/// ```click
/// IPAddrPairRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// ```
///
/// As IPAddrRewriter, for each pair of source and destination: `pattern SADDR DADDR FOUTPUT
/// ROUTPUT`, where either may be `-` and SADDR a range. So one address can stand for many hosts, as
/// long as they talk to different others.
///
/// Keywords and handlers: as IPAddrRewriter.
///
/// See Click's manual page IPAddrPairRewriter(n).
pub(super) const IP_ADDR_PAIR_REWRITER: Class = class("IPAddrPairRewriter");

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use sprat_packet::checksum::internet_checksum;

    use crate::testing::Bench;

    fn packet(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let mut bytes = std::vec![0; 28];
        bytes[0] = 0x45;
        bytes[3] = 28;
        bytes[8] = 64;
        bytes[9] = 47;
        bytes[12..16].copy_from_slice(&source);
        bytes[16..20].copy_from_slice(&destination);
        let sum = internet_checksum(&bytes[..20]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn translate(class: &str, pattern: &str, packets: &[([u8; 4], [u8; 4])]) -> Vec<String> {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> MarkIPHeader(0) -> rw :: {class}({pattern} 0 0) -> ToDevice(out)"
        ));
        for (source, destination) in packets {
            bench.arrive("in", &packet(*source, *destination));
        }
        bench.run();
        let sent = bench.sent("out");
        sent.iter()
            .for_each(|bytes| assert_eq!(internet_checksum(&bytes[..20]), 0));
        let address =
            |bytes: &[u8]| std::format!("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
        sent.iter()
            .map(|bytes| std::format!("{} > {}", address(&bytes[12..]), address(&bytes[16..])))
            .collect()
    }

    #[test]
    fn a_host_keeps_its_address_and_replies_find_it() {
        let (inside, other, outside) = ([10, 0, 0, 1], [10, 0, 0, 2], [9, 9, 9, 9]);
        let packets = [
            (inside, outside),
            (other, outside),
            (inside, [9, 9, 9, 8]),
            (outside, [3, 0, 0, 2]),
        ];
        assert_eq!(
            translate("IPAddrRewriter", "pattern 3.0.0.1-3.0.0.9# -", &packets),
            [
                "3.0.0.1 > 9.9.9.9",
                "3.0.0.2 > 9.9.9.9",
                "3.0.0.1 > 9.9.9.8",
                "9.9.9.9 > 10.0.0.2"
            ]
        );
    }

    #[test]
    fn each_pair_of_hosts_gets_an_address_of_its_own() {
        let (inside, outside) = ([10, 0, 0, 1], [9, 9, 9, 9]);
        let packets = [
            (inside, outside),
            (inside, [9, 9, 9, 8]),
            (inside, outside),
            ([9, 9, 9, 8], [3, 0, 0, 2]),
        ];
        assert_eq!(
            translate("IPAddrPairRewriter", "pattern 3.0.0.1-3.0.0.9# -", &packets),
            [
                "3.0.0.1 > 9.9.9.9",
                "3.0.0.2 > 9.9.9.8",
                "3.0.0.1 > 9.9.9.9",
                "9.9.9.8 > 10.0.0.1"
            ]
        );
    }

    #[test]
    fn hosts_beyond_the_range_are_dropped() {
        let packets = [1, 2, 3].map(|host| ([10, 0, 0, host], [9; 4]));
        assert_eq!(
            translate("IPAddrRewriter", "pattern 3.0.0.1-3.0.0.2# -", &packets),
            ["3.0.0.1 > 9.9.9.9", "3.0.0.2 > 9.9.9.9"]
        );
        // One address is no range: the host that had it last has it.
        assert_eq!(
            translate("IPAddrRewriter", "pattern 3.0.0.1-3.0.0.1# -", &packets),
            ["3.0.0.1 > 9.9.9.9"; 3]
        );
    }
}
