//! Packets through the elements. What they become was computed by OpenSSL and Python's hmac, after RFC
//! 4302 and 4303.

use std::vec::Vec;

use crate::testing::Bench;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).expect("two digits");
    digits.chunks(2).map(byte).collect()
}

/// UDP from 10.0.0.1 to 10.0.0.2 with two bytes, type of service 0xb8, not to be fragmented.
const PLAIN: &str = "45b8001e12344000401113e10a0000010a000002 03e80035000a0000 6869";

/// An association: the element's name without its end, its arguments, and what PLAIN becomes.
struct Case {
    name: &'static str,
    key: &'static str,
    tunnel: bool,
    protected: &'static str,
}

const ESP_KEY: &str = "000102030405060708090a0b0c0d0e0f 10111213";
const AH_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

const CASES: [Case; 4] = [
    Case {
        name: "ESP",
        key: ESP_KEY,
        tunnel: true,
        protected: "45b800540001400040324d89c0000201c6336401 00001000000000010000000000000001\
                    1bfefa8fa9206e167f96beac1084f2e7db90537f180e66d89b4625392a91b95f\
                    200015f6a29dc356a73e8030e646d8fb",
    },
    Case {
        name: "ESP",
        key: ESP_KEY,
        tunnel: false,
        protected: "45b80040123440004032139e0a0000010a000002 00001000000000010000000000000001\
                    5daefaa4bb1e2e1657eead5c 4577521d38bc357c15e9a0e042189d0b",
    },
    Case {
        name: "AH",
        key: AH_KEY,
        tunnel: true,
        protected: "45b8004e0001400040334d8ec0000201c6336401 040500000000100000000001\
                    c59a34ac070a81378a98a404740e5bcb\
                    45b8001e12344000401113e10a0000010a00000203e80035000a00006869",
    },
    Case {
        name: "AH",
        key: AH_KEY,
        tunnel: false,
        protected: "45b8003a12344000403313a30a0000010a000002 110500000000100000000001\
                    b262db667b0c3562cce30ecbbb798f3f 03e80035000a00006869",
    },
];

impl Case {
    fn protecting(&self) -> Bench {
        let ends = if self.tunnel {
            ", 192.0.2.1, 198.51.100.1"
        } else {
            ""
        };
        Bench::new(&std::format!(
            "FromDevice(in) -> Strip(14) -> MarkIPHeader(0)
             -> x :: {}Encap(0x1000, \\<{}>{ends}) -> ToDevice(out); x[1] -> ToDevice(others)",
            self.name,
            self.key
        ))
    }

    fn opening(&self) -> Bench {
        Bench::new(&std::format!(
            "FromDevice(in) -> MarkIPHeader(0)
             -> x :: {}Decap(0x1000, \\<{}>, TUNNEL {}) -> ToDevice(out);
             x[1] -> ToDevice(others)",
            self.name,
            self.key,
            self.tunnel
        ))
    }
}

/// Behind an Ethernet header.
fn frame(packet: &[u8]) -> Vec<u8> {
    [&[0; 14][..], packet].concat()
}

#[test]
fn packets_become_what_others_make_of_them_and_back() {
    for case in CASES {
        let bench = case.protecting();
        bench.arrive("in", &frame(&hex(PLAIN)));
        bench.run();
        assert_eq!(bench.sent("out"), [hex(case.protected)]);
        let bench = case.opening();
        // What stands behind the packet is no part of it.
        bench.arrive("in", &[hex(case.protected), hex("0000")].concat());
        bench.run();
        assert_eq!(bench.sent("out"), [hex(PLAIN)], "{}", case.name);
        assert_eq!(bench.read("x.count"), "1");
    }
}

#[test]
fn what_routers_change_does_not_matter_and_everything_else_does() {
    for case in CASES {
        let bench = case.opening();
        let genuine = hex(case.protected);
        for at in 20..genuine.len() {
            let mut changed = genuine.clone();
            changed[at] ^= 1;
            bench.arrive("in", &changed);
        }
        bench.run();
        assert_eq!(bench.sent("out"), Vec::<Vec<u8>>::new());
        assert_eq!(bench.sent("others").len(), genuine.len() - 20);
        assert_ne!(bench.read("x.forged"), "0");
        // Time to live; the checksum is CheckIPHeader's.
        let mut routed = genuine.clone();
        routed[8] -= 3;
        bench.arrive("in", &routed);
        bench.run();
        assert_eq!(bench.sent("out").len(), 1, "{}", case.name);
    }
}

#[test]
fn a_packet_passes_once() {
    for case in CASES {
        let protecting = case.protecting();
        for _ in 0..70 {
            protecting.arrive("in", &frame(&hex(PLAIN)));
        }
        protecting.run();
        let packets = protecting.sent("out");
        let bench = case.opening();
        for number in [1, 0, 1, 69, 5, 6, 69, 68] {
            bench.arrive("in", &packets[number]);
        }
        bench.run();
        assert_eq!(bench.sent("out").len(), 5);
        // The second 1 and 69; and 5, sequence number 6, which is 64 behind 70.
        assert_eq!(bench.read("x.replayed"), "3");
    }
}

#[test]
fn what_does_not_belong_to_the_association_is_refused() {
    for case in CASES {
        let bench = case.opening();
        let mut fragment = hex(case.protected);
        fragment[6] = 0x20;
        let mut other = hex(case.protected);
        // The lowest byte of the SPI: behind the IP header, and in AH behind another word.
        other[if case.name == "AH" { 27 } else { 23 }] ^= 1;
        let short = hex(case.protected)[..30].to_vec();
        for packet in [&hex(PLAIN), &fragment, &other, &short] {
            bench.arrive("in", packet);
        }
        bench.run();
        assert_eq!(bench.sent("out"), Vec::<Vec<u8>>::new());
        assert_eq!(
            (bench.read("x.refused"), bench.read("x.forged")),
            ("4".into(), "0".into())
        );
    }
}

#[test]
fn the_mode_is_the_associations_not_the_packets() {
    for [case, other] in [[&CASES[0], &CASES[1]], [&CASES[2], &CASES[3]]] {
        for (from, to) in [(case, other), (other, case)] {
            let bench = to.opening();
            bench.arrive("in", &hex(from.protected));
            bench.run();
            assert_eq!(bench.read("x.refused"), "1");
        }
    }
}

#[test]
fn fragments_and_packets_that_would_be_too_long_are_refused() {
    for case in CASES {
        let bench = case.protecting();
        let mut fragment = hex(PLAIN);
        fragment[6] = 0x20;
        bench.arrive("in", &frame(&fragment));
        let mut long = std::vec![0; 65_530];
        long[..20].copy_from_slice(&hex(PLAIN)[..20]);
        long[2..4].copy_from_slice(&65_530u16.to_be_bytes());
        bench.arrive("in", &frame(&long));
        bench.run();
        // A tunnel takes fragments.
        let refused = if case.tunnel { "1" } else { "2" };
        assert_eq!(bench.read("x.refused"), refused);
    }
}

#[test]
fn wrong_arguments_are_named() {
    for (element, wrong) in [
        ("ESPEncap(255, \\<00>)", "SPI: must be 256 or more"),
        (
            "ESPEncap(256, \\<0011>)",
            "KEY: must have 16 or 32 bytes and 4 of salt, not 2 bytes",
        ),
        ("AHDecap(256, abc)", "KEY: must have 32 bytes, not 3 bytes"),
        (
            "AHEncap(256, abc, 1.2.3.4)",
            "DST: required argument missing",
        ),
    ] {
        let errors = Bench::errors(&std::format!("Idle -> {element} -> Idle"));
        assert!(errors.contains(wrong), "{errors}");
    }
}

#[test]
fn espdecap_names_what_is_wrong_with_its_key() {
    let errors = Bench::errors("Idle -> ESPDecap(256, abc) -> Idle");
    assert!(errors.contains("KEY: must have"), "{errors}");
}
