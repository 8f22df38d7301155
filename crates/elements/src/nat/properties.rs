//! What holds of every rewriter, whatever the packet.

use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;
use sprat_packet::checksum::{Sum, internet_checksum};

use crate::testing::Bench;

/// The rewriters, each with a pattern that changes as much as it can, and the protocols that they
/// rewrite.
const REWRITERS: [(&str, &[u8]); 8] = [
    (
        "IPRewriter(pattern 198.51.100.1 1024-65535 203.0.113.5 8080 0 1, drop)",
        &[6, 17],
    ),
    (
        "TCPRewriter(pattern 198.51.100.1 1024-65535 203.0.113.5 8080 0 1, drop)",
        &[6],
    ),
    (
        "UDPRewriter(pattern 198.51.100.1 1024-65535 203.0.113.5 8080 0 1, drop)",
        &[6, 17],
    ),
    (
        "IPAddrRewriter(pattern 198.51.100.0/24 - 0 1, drop)",
        &[1, 6, 17, 47],
    ),
    (
        "IPAddrPairRewriter(pattern 198.51.100.0/24 203.0.113.5 0 1, drop)",
        &[1, 6, 17, 47],
    ),
    (
        "ICMPPingRewriter(pattern 198.51.100.1 203.0.113.5 0-65535? 0 1, drop)",
        &[1],
    ),
    ("IPRewriter(cgn, cgn)", &[6, 17]),
    ("UDPRewriter(balancer, drop)", &[6, 17]),
];

fn configuration(rewriter: &str) -> String {
    std::format!(
        "cgn :: PortBlockIPMapper(0.0.0.0/1, 198.51.100.0/24, 0, 1);
         balancer :: MaglevIPMapper(- - 203.0.113.5 - 0 1, - - 203.0.113.6 - 0 1, SIZE 13);
         rw :: {rewriter};
         FromDevice(inside) -> MarkIPHeader(0) -> [0]rw; FromDevice(outside) -> MarkIPHeader(0) -> [1]rw;
         rw[0] -> ToDevice(outside); rw[1] -> ToDevice(inside);"
    )
}

/// Where a protocol has its checksum, and whether that covers addresses.
fn checksum_of(protocol: u8) -> Option<(usize, bool)> {
    match protocol {
        1 => Some((22, false)),
        6 => Some((36, true)),
        17 => Some((26, true)),
        _ => None,
    }
}

fn transport_sum(bytes: &[u8], with_addresses: bool) -> u16 {
    let sum = Sum::of(&bytes[20..]);
    if !with_addresses {
        return sum.finish();
    }
    let length = u16::try_from(bytes.len() - 20).unwrap();
    sum.add_bytes(&bytes[12..20])
        .add_u16(u16::from(bytes[9]))
        .add_u16(length)
        .finish()
}

/// Sets lengths and checksums right; UDP's is left out where `unchecked`.
fn seal(bytes: &mut [u8], unchecked: bool) {
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[0] = 0x45;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes[6..8].fill(0);
    bytes[10..12].fill(0);
    let sum = internet_checksum(&bytes[..20]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    if let Some((at, with_addresses)) = checksum_of(bytes[9]) {
        bytes[at..at + 2].fill(0);
        let sum = match transport_sum(bytes, with_addresses) {
            // RFC 768: zero stands for none.
            0 if bytes[9] == 17 => 0xffff,
            sum => sum,
        };
        if !(unchecked && bytes[9] == 17) {
            bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
    }
}

/// Whether the checksums of a packet are right, or left out where they may be.
fn is_sound(bytes: &[u8], unchecked: bool) -> bool {
    let transport = match checksum_of(bytes[9]) {
        Some((at, _)) if unchecked && bytes[9] == 17 => bytes[at..at + 2] == [0, 0],
        Some((_, with_addresses)) => transport_sum(bytes, with_addresses) == 0,
        None => true,
    };
    internet_checksum(&bytes[..20]) == 0 && transport
}

/// The answer to a packet: ends swapped, and a ping made its reply.
fn answer(bytes: &[u8]) -> Vec<u8> {
    let mut back = bytes.to_vec();
    back[12..16].copy_from_slice(&bytes[16..20]);
    back[16..20].copy_from_slice(&bytes[12..16]);
    if bytes[9] == 1 {
        back[20] = 0;
    } else {
        back[20..22].copy_from_slice(&bytes[22..24]);
        back[22..24].copy_from_slice(&bytes[20..22]);
    }
    back
}

/// A packet of any protocol that rewriters know, and another, with any contents.
fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let protocol = prop::sample::select(std::vec![1_u8, 6, 17, 47]);
    // A byte more or less: odd lengths have sums of their own.
    let bytes = prop::collection::vec(any::<u8>(), 60..90);
    (protocol, bytes).prop_map(|(protocol, mut bytes)| {
        bytes[9] = protocol;
        // From inside, for the mapper that tells; to a neutral address.
        bytes[12] &= 0x7f;
        bytes[16] = 192;
        match protocol {
            1 => bytes[20..22].copy_from_slice(&[8, 0]),
            6 => bytes[32] = 0x50,
            17 => {
                let length = u16::try_from(bytes.len() - 20).unwrap();
                bytes[24..26].copy_from_slice(&length.to_be_bytes());
            }
            _ => {}
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn checksums_stay_right_both_ways_and_answers_find_back(mut bytes in any_packet(), unchecked: bool) {
        seal(&mut bytes, unchecked);
        for (rewriter, protocols) in REWRITERS {
            let bench = Bench::new(&configuration(rewriter));
            bench.arrive("inside", &bytes);
            bench.run();
            let sent = bench.sent("outside");
            prop_assert_eq!(sent.len(), usize::from(protocols.contains(&bytes[9])), "{}", rewriter);
            for sent in sent {
                prop_assert!(is_sound(&sent, unchecked), "{rewriter}");
                let mut back = answer(&sent);
                seal(&mut back, unchecked);
                bench.arrive("outside", &back);
                bench.run();
                let arrived = bench.sent("inside");
                prop_assert_eq!(arrived.len(), 1, "{}", rewriter);
                prop_assert!(is_sound(&arrived[0], unchecked), "{rewriter}");
                // All but checksums is what it would be without a rewriter between.
                let mut expected = answer(&bytes);
                seal(&mut expected, unchecked);
                let mut arrived = arrived[0].clone();
                seal(&mut arrived, unchecked);
                prop_assert_eq!(&arrived, &expected, "{}", rewriter);
            }
        }
    }

    #[test]
    fn no_bytes_are_too_odd(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..20)) {
        for (rewriter, _) in REWRITERS {
            let errors = "ICMPRewriter(rw); errors[0], errors[1] -> Discard";
            let bench = Bench::new(&std::format!(
                "{} FromDevice(third) -> MarkIPHeader(0) -> errors :: {errors};",
                configuration(rewriter)
            ));
            for bytes in &packets {
                for device in ["inside", "outside", "third"] {
                    let mut bytes = bytes.clone();
                    // More of them are near to something.
                    if let [version, ..] = bytes.as_mut_slice() {
                        *version = 0x40 | *version & 0x0f;
                    }
                    bench.arrive(device, &bytes);
                }
            }
            bench.run();
            let out = bench.sent("outside").len() + bench.sent("inside").len();
            prop_assert!(out <= 2 * packets.len());
        }
    }
}
