//! Packets that wait for an address, and who is asked for it.

use core::time::Duration;

use crate::testing::Bench;

const OWN: &[u8] = b"\x02\0\0\0\0\x01";
const PEER: &[u8] = b"\x02\0\0\0\0\x02";
const ALL: &[u8] = b"\xff\xff\xff\xff\xff\xff";

const CONFIG: &str = "10.0.0.1/24, 2:0:0:0:0:1";

/// A querier whose packets all go to 10.0.0.2, until `d.addr` is written.
fn bench(config: &str) -> Bench {
    Bench::new(&std::format!(
        "FromDevice(ip) -> d :: SetIPAddress(10.0.0.2) -> q :: ARPQuerier({config}) \
         -> ToDevice(out); FromDevice(arp) -> [1] q; q[1] -> ToDevice(asked)"
    ))
}

/// The request for 10.0.0.2 (RFC 826).
fn request() -> std::vec::Vec<u8> {
    [
        ALL,
        OWN,
        b"\x08\x06\0\x01\x08\0\x06\x04\0\x01",
        OWN,
        b"\x0a\0\0\x01\0\0\0\0\0\0\x0a\0\0\x02",
    ]
    .concat()
}

fn reply() -> std::vec::Vec<u8> {
    [
        OWN,
        PEER,
        b"\x08\x06\0\x01\x08\0\x06\x04\0\x02",
        PEER,
        b"\x0a\0\0\x02",
        OWN,
        b"\x0a\0\0\x01",
    ]
    .concat()
}

fn framed(destination: &[u8], packet: &[u8]) -> std::vec::Vec<u8> {
    [destination, OWN, b"\x08\x00", packet].concat()
}

#[test]
fn packets_wait_for_the_answer_and_then_go_at_once() {
    let bench = bench(CONFIG);
    bench.arrive("ip", b"one");
    bench.arrive("ip", b"two");
    bench.run();
    assert_eq!(bench.sent("asked"), [request()]);
    assert!(bench.sent("out").is_empty());
    assert_eq!(bench.read("q.length"), "2");
    bench.arrive("arp", &reply());
    bench.run();
    assert_eq!(
        bench.sent("out"),
        [framed(PEER, b"one"), framed(PEER, b"two")]
    );
    bench.arrive("ip", b"three");
    bench.run();
    assert_eq!(bench.sent("out"), [framed(PEER, b"three")]);
    assert!(bench.sent("asked").is_empty());
    assert!(
        bench
            .read("q.table")
            .starts_with("10.0.0.2 1 02-00-00-00-00-02 ")
    );
    assert_eq!(bench.read("q.responses"), "1");
}

#[test]
fn broadcasts_and_groups_need_no_answer() {
    let bench = bench(CONFIG);
    for (destination, expected) in [
        ("10.0.0.255", ALL),
        ("255.255.255.255", ALL),
        // RFC 1112, 6.4: the low 23 bits.
        ("224.129.2.3", b"\x01\x00\x5e\x01\x02\x03"),
    ] {
        bench.write("d.addr", destination);
        bench.arrive("ip", b"x");
        bench.run();
        assert_eq!(bench.sent("out"), [framed(expected, b"x")], "{destination}");
    }
    assert_eq!(bench.read("q.broadcast"), "10.0.0.255");
    bench.write("d.addr", "0.0.0.0");
    for _ in 0..2 {
        bench.arrive("ip", b"x");
    }
    bench.run();
    assert!(bench.sent("out").is_empty() && bench.sent("asked").is_empty());
    assert_eq!(
        bench.simulation.take_errors(),
        "q :: ARPQuerier: would query for 0.0.0.0; missing dest IP addr annotation?\n"
    );
    assert_eq!(bench.read("q.drops"), "2");
    assert_eq!(
        bench.read("q.stats"),
        "2 packets killed\n0 ARP queries sent\n"
    );
    bench.write("q.clear", "");
    assert_eq!(bench.read("q.drops"), "0");
}

#[test]
fn its_own_address_can_be_changed() {
    let bench = bench(CONFIG);
    bench.write("q.ipaddr", "10.0.0.9");
    bench.arrive("ip", b"x");
    bench.run();
    assert_eq!(bench.sent("asked")[0][28..32], [10, 0, 0, 9]);
    assert_eq!(bench.read("q.ipaddr"), "10.0.0.9");
}

#[test]
fn addresses_grow_old_and_are_asked_for_again() {
    let bench = bench("10.0.0.1, 2:0:0:0:0:1, POLL_TIMEOUT 10, TIMEOUT 20");
    bench.write("q.insert", "10.0.0.2 2:0:0:0:0:2");
    bench.run_for(Duration::from_secs(11));
    bench.arrive("ip", b"x");
    bench.run();
    assert_eq!(bench.sent("out"), [framed(PEER, b"x")]);
    // RFC 1122, 2.3.2.1: a poll asks the very station.
    let asked = bench.sent("asked");
    assert_eq!(asked, [[PEER, &request()[6..]].concat()]);
    bench.run_for(Duration::from_secs(10));
    bench.arrive("ip", b"y");
    bench.run();
    assert!(bench.sent("out").is_empty());
    assert_eq!(bench.sent("asked"), [request()]);
}

#[test]
fn only_replies_of_stations_are_believed() {
    let bench = bench(CONFIG);
    let mut others = [reply(), reply(), request()];
    // The sender a group, and the frame cut short.
    others[0][22] = 3;
    others[1].truncate(41);
    for frame in &others {
        bench.arrive("arp", frame);
    }
    bench.run();
    assert_eq!(bench.read("q.count"), "0");
    assert_eq!(bench.read("q.responses"), "2");
}

#[test]
fn what_it_learned_outlives_a_change_of_all_but_its_addresses() {
    let bench = bench(CONFIG);
    bench.arrive("arp", &reply());
    bench.run();
    for (config, count) in [
        ("10.0.0.1, 2:0:0:0:0:1, BROADCAST 10.0.0.255", "1"),
        ("10.0.0.3, 2:0:0:0:0:1", "0"),
    ] {
        bench.write("q.config", config);
        assert_eq!(bench.read("q.count"), count, "{config}");
        assert_eq!(bench.read("q.responses"), "1");
    }
}

#[test]
fn queriers_share_a_table_and_one_output_serves_for_both() {
    let bench = Bench::new(
        "t :: ARPTable; Idle -> a :: ARPQuerier(10.0.0.1, 2:0:0:0:0:1, TABLE t) -> Idle;
         Idle -> [1] a; FromDevice(ip) -> SetIPAddress(10.0.0.2)
         -> b :: ARPQuerier(10.0.0.1, 2:0:0:0:0:1, TABLE t) -> ToDevice(out); Idle -> [1] b"
            .replace("\n             ->", " ->")
            .as_str(),
    );
    bench.arrive("ip", b"x");
    bench.run();
    assert_eq!(bench.sent("out"), [request()]);
    assert_eq!(bench.read("t.length"), "1");
    bench.write("b.insert", "10.0.0.2 2:0:0:0:0:2");
    bench.run();
    // What waits when an address is written waits on; what comes later goes.
    assert!(bench.sent("out").is_empty());
    assert_eq!(bench.read("t.length"), "1");
    bench.arrive("ip", b"y");
    bench.run();
    assert_eq!(bench.sent("out"), [framed(PEER, b"y")]);
    assert_eq!(bench.read("a.table"), bench.read("t.table"));
}

#[test]
fn what_is_missing_is_named() {
    for (config, error) in [
        ("", "IP: required argument missing"),
        ("", "ETH: required argument missing"),
        // One argument stands for both addresses, and is no Ethernet address.
        ("10.0.0.1", "ETH: parse error"),
        (
            "10.0.0.1, 1:1:1:1:1:1, TABLE i",
            "TABLE: element type mismatch, expected ARPTable",
        ),
        (
            "10.0.0.1, 1:1:1:1:1:1, TABLE j",
            "TABLE: does not name an element",
        ),
    ] {
        let errors = Bench::errors(&std::format!(
            "i :: Idle -> q :: ARPQuerier({config}) -> Idle; Idle -> [1] q"
        ));
        assert!(errors.contains(error), "{errors}");
    }
}

#[test]
fn what_is_deleted_is_known_no_longer_but_is_there_until_it_is_old() {
    let bench = bench(CONFIG);
    bench.write("q.insert", "10.0.0.3 2:0:0:0:0:3");
    bench.run_for(Duration::from_millis(2));
    bench.write("q.insert", "10.0.0.2 2:0:0:0:0:2");
    bench.run_for(Duration::from_millis(2));
    bench.write("q.delete", "10.0.0.3");
    bench.run_for(Duration::from_millis(1));
    // The oldest first, to the thousandth of a second.
    assert_eq!(
        bench.read("q.table"),
        "10.0.0.2 1 02-00-00-00-00-02 0.003000\n10.0.0.3 0 FF-FF-FF-FF-FF-FF 0.001000\n"
    );
    assert_eq!(bench.read("q.count"), "2");
    for (handler, value, error) in [
        ("q.insert", "10.0.0.2", "ETH: required argument missing"),
        ("q.delete", "", "IP: required argument missing"),
    ] {
        let refused = bench.write_fails(handler, value);
        assert!(refused.is_some_and(|refused| refused.contains(error)));
    }
}

#[test]
fn without_an_address_of_its_own_it_drops() {
    let bench = bench(CONFIG);
    bench.write("q.ipaddr", "0.0.0.0");
    bench.arrive("ip", b"x");
    bench.run();
    assert!(bench.sent("out").is_empty() && bench.sent("asked").is_empty());
    assert_eq!(bench.read("q.drops"), "1");
}
