//! CheckIPHeader.

use super::*;

#[test]
fn check_ip_header_passes_good_packets_without_their_padding() {
    let mut padded = packet(8);
    padded.extend([0xee; 18]);
    assert_eq!(through("CheckIPHeader", &[padded]).0, [packet(8)]);
}

#[test]
fn check_ip_header_counts_each_fault() {
    let change = |place: usize, value: u8, mend: bool| {
        let mut bytes = packet(8);
        bytes[place] = value;
        if mend && let Ok(mut ip) = Ipv4Mut::new(&mut bytes) {
            ip.fill_checksum();
        }
        bytes
    };
    let bad = [
        packet(8)[..19].to_vec(),
        change(0, 0x65, false),
        change(0, 0x44, false),
        change(3, 29, true),
        change(3, 19, true),
        change(8, 63, false),
    ];
    let bench = Bench::new(
        "FromDevice(in) -> Strip(14) -> c :: CheckIPHeader(DETAILS true) -> ToDevice(out); c[1] -> ToDevice(side)",
    );
    for packet in &bad {
        bench.arrive("in", &frame(packet));
    }
    bench.arrive("in", &frame(&packet(8)));
    bench.run_for(MOMENT);
    assert_eq!(bench.sent("out").len(), 1);
    assert_eq!(bench.sent("side"), bad);
    assert_eq!(bench.read("c.drops"), "6");
    assert_eq!(bench.read("c.count"), "1");
    assert_eq!(
        bench.read("c.drop_details"),
        "1\ttiny packet\n1\tbad IP version\n1\tbad IP header length\n2\tbad IP length\n1\tbad IP checksum\n\
         0\tbad source address\n"
    );
    // Only the first is told.
    assert_eq!(
        bench.simulation.take_errors(),
        "c: IP header check failed: tiny packet\n"
    );
}

#[test]
fn check_ip_header_without_checksum_passes_a_wrong_one() {
    let mut wrong = packet(8);
    wrong[10] ^= 1;
    assert_eq!(
        through("CheckIPHeader(CHECKSUM false)", &[wrong.clone()])
            .0
            .len(),
        1
    );
    assert_eq!(through("CheckIPHeader2", &[wrong.clone()]).0.len(), 1);
    assert_eq!(through("CheckIPHeader", &[wrong]).1.len(), 1);
}

#[test]
fn check_ip_header_drops_bad_sources_unless_the_destination_is_good() {
    let passed = |arguments: &str| {
        through(&format!("CheckIPHeader({arguments})"), &[packet(8)])
            .0
            .len()
    };
    assert_eq!(passed("BADSRC 10.0.0.9"), 1);
    assert_eq!(passed("BADSRC 10.0.0.9 10.0.0.1"), 0);
    assert_eq!(passed("BADSRC 10.0.0.1, GOODDST 192.0.2.7"), 1);
    assert_eq!(passed("INTERFACES 10.0.0.2/30"), 1);
    // 10.0.0.1 is the broadcast address of 10.0.0.0/31.
    assert_eq!(passed("INTERFACES 10.0.0.0/31"), 0);
    assert_eq!(passed("INTERFACES 10.0.0.0/31 192.0.2.7/24"), 1);
}
