//! Tests of the checksum against vectors from RFCs and captures, and against the definition.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

/// RFC 1071, section 4.1, word for word: the definition that the fast sums must equal.
fn by_definition(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

#[test]
fn known_checksums_come_out() {
    let table: &[(&str, &[u8], u16)] = &[
        ("nothing", &[], 0xffff),
        ("all zero", &[0; 20], 0xffff),
        ("all ones", &[0xff; 20], 0x0000),
        ("one odd byte is padded on the right", &[0x12], !0x1200),
        (
            "RFC 1071, section 3",
            &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7],
            !0xddf2,
        ),
        (
            // By hand: 4500+0054 = 4554; +4000 = 8554; +4001 = c555; +0a01+0001+0a01+0002 = d95a.
            "an echo request's header, 10.1.0.1 to 10.1.0.2",
            &[
                0x45, 0x00, 0x00, 0x54, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0x00, 0x00, 0x0a, 0x01,
                0x00, 0x01, 0x0a, 0x01, 0x00, 0x02,
            ],
            !0xd95a,
        ),
    ];
    for (name, bytes, checksum) in table {
        assert_eq!(internet_checksum(bytes), *checksum, "{name}");
    }
}

#[test]
fn rfc_1624_example_updates_to_zero_and_not_to_its_negative() {
    assert_eq!(update_u16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

#[test]
fn unchanged_field_leaves_checksum() {
    for checksum in [0x0000, 0x0001, 0x8000, 0xfffe] {
        for field in [0x0000, 0x1234, 0xffff] {
            assert_eq!(update_u16(checksum, field, field), checksum);
        }
    }
}

#[test]
fn udp_without_checksum_stays_without() {
    let delta = Delta::new()
        .replace_u32(0x0a00_0001, 0xc0a8_0001)
        .replace_u16(1024, 40000);
    assert_eq!(delta.apply_udp(0), 0);
}

#[test]
fn udp_never_updates_to_zero() {
    // The field change of RFC 1624, section 4, would give zero.
    assert_eq!(
        Delta::new().replace_u16(0x5555, 0x3285).apply_udp(0xdd2f),
        0xffff
    );
    assert_eq!(Delta::new().apply_udp(0xffff), 0xffff);
}

#[test]
fn udp_computed_zero_is_sent_as_ones() {
    assert_eq!(Sum::of(&[0xff, 0xff]).finish(), 0);
    assert_eq!(Sum::of(&[0xff, 0xff]).finish_udp(), 0xffff);
}

#[test]
fn pseudo_headers_sum_as_the_rfcs_lay_them_out() {
    let laid_out_v4 = [10, 0, 0, 1, 192, 168, 7, 9, 0, 17, 0x01, 0x02];
    let sum = Sum::pseudo_header_v4(
        Ipv4Addr::new(10, 0, 0, 1),
        Ipv4Addr::new(192, 168, 7, 9),
        17,
        0x0102,
    );
    assert_eq!(sum.finish(), by_definition(&laid_out_v4));

    let source: Ipv6Addr = "2001:db8::1".parse().unwrap();
    let destination: Ipv6Addr = "fe80::1234:5678:9abc:def0".parse().unwrap();
    let mut laid_out_v6 = Vec::from(source.octets());
    laid_out_v6.extend(destination.octets());
    laid_out_v6.extend([0x00, 0x01, 0x02, 0x03, 0, 0, 0, 58]);
    let sum = Sum::pseudo_header_v6(source, destination, 58, 0x0001_0203);
    assert_eq!(sum.finish(), by_definition(&laid_out_v6));
}

proptest! {
    #[test]
    fn fast_sum_equals_definition(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(internet_checksum(&bytes), by_definition(&bytes));
    }

    #[test]
    fn long_runs_of_ones_lose_no_carry(length in 0_usize..70_000) {
        let bytes = std::vec![0xff; length];
        prop_assert_eq!(internet_checksum(&bytes), by_definition(&bytes));
    }

    #[test]
    fn straight_line_header_sum_equals_definition(header in any::<[u8; 20]>()) {
        prop_assert_eq!(ipv4_header_checksum(&header), by_definition(&header));
    }

    #[test]
    fn sums_may_be_split_at_even_offsets(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..150,
    ) {
        let (left, right) = bytes.split_at((at * 2).min(bytes.len() & !1));
        prop_assert_eq!(Sum::of(left).add_bytes(right).finish(), by_definition(&bytes));
    }

    /// One word stays non-zero, as the version does in every header and the protocol in every
    /// pseudo-header: that is what makes the checksum unique.
    #[test]
    fn updated_checksum_equals_recomputed(
        mut words in any::<[u16; 8]>(), at in 1_usize..7, low: u16, high: u16, extreme in 0..6,
    ) {
        words[0] |= 0x4000;
        let (new_high, new_low) = match extreme {
            0 => (0, 0),
            1 => (0xffff, 0xffff),
            2 => (!words[at], !words[at + 1]),
            _ => (high, low),
        };
        let checksum = |words: [u16; 8]| {
            internet_checksum(&words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>())
        };
        let before = checksum(words);
        let old = u32::from(words[at]) << 16 | u32::from(words[at + 1]);
        let new = u32::from(new_high) << 16 | u32::from(new_low);

        let mut one = words;
        one[at] = new_high;
        prop_assert_eq!(update_u16(before, words[at], new_high), checksum(one));

        let mut two = one;
        two[at + 1] = new_low;
        prop_assert_eq!(update_u32(before, old, new), checksum(two));
    }

    #[test]
    fn tuple_delta_equals_recomputed(
        old in any::<(u32, u32, u16, u16)>(), new in any::<(u32, u32, u16, u16)>(),
        payload in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let tuple = |(source, destination, source_port, destination_port)| {
            AddressesAndPorts { source, destination, source_port, destination_port }
        };
        let sum = |tuple: &AddressesAndPorts| {
            Sum::pseudo_header_v4(tuple.source.into(), tuple.destination.into(), 6, 20)
                .add_u16(tuple.source_port)
                .add_u16(tuple.destination_port)
                .add_bytes(&payload)
        };
        let (old, new) = (tuple(old), tuple(new));
        let delta = Delta::of_addresses_and_ports(&old, &new);
        prop_assert_eq!(delta.apply(sum(&old).finish()), sum(&new).finish());
        prop_assert_eq!(delta.apply_udp(sum(&old).finish_udp()), sum(&new).finish_udp());
    }
}
