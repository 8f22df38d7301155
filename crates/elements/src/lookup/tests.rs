//! Route lookup elements by their handlers and on packets.

use core::time::Duration;
use std::format;
use std::vec::Vec;

use crate::testing::Bench;

/// Long enough for all that is there to pass; a device polls each simulated microsecond.
const MOMENT: Duration = Duration::from_micros(20);

/// Frames whose first four bytes are an address.
fn routed(bench: &Bench, addresses: &[[u8; 4]]) {
    for address in addresses {
        bench.arrive("in", address);
    }
    bench.run_for(MOMENT);
}

#[test]
fn packets_leave_by_the_longest_prefix_and_take_its_gateway() {
    for class in [
        "RadixIPLookup",
        "DirectIPLookup",
        "RangeIPLookup",
        "LinearIPLookup",
        "SortedIPLookup",
        "StaticIPLookup",
    ] {
        let bench = Bench::new(&format!(
            "FromDevice(in) -> GetIPAddress(0) -> r :: {class}(10.0.0.0/8 0, 10.1.0.0/16 9.9.9.9 1, 0/0 7.7.7.7 2)
               -> StoreIPAddress(0) -> ToDevice(o0);
             r[1] -> StoreIPAddress(0) -> ToDevice(o1); r[2] -> StoreIPAddress(0) -> ToDevice(o2)"
        ));
        routed(
            &bench,
            &[
                [10, 2, 3, 4],
                [10, 1, 0, 0],
                [11, 0, 0, 1],
                [10, 1, 255, 255],
            ],
        );
        assert_eq!(bench.sent("o0"), [[10, 2, 3, 4]], "{class}");
        assert_eq!(bench.sent("o1"), [[9, 9, 9, 9], [9, 9, 9, 9]], "{class}");
        assert_eq!(bench.sent("o2"), [[7, 7, 7, 7]], "{class}");
    }
}

#[test]
fn packets_without_a_route_are_dropped() {
    let bench =
        Bench::new("FromDevice(in) -> GetIPAddress(0) -> RadixIPLookup(10/8 0) -> ToDevice(out)");
    routed(&bench, &[[11, 0, 0, 1], [10, 0, 0, 1]]);
    assert_eq!(bench.sent("out").len(), 1);
    assert!(
        bench
            .simulation
            .take_errors()
            .contains("IPRouteTable: no route for 11.0.0.1")
    );
}

#[test]
fn handlers_change_the_table() {
    let bench = Bench::new(
        "Idle -> r :: RadixIPLookup(10.0.0.0/8 0, 172.16.0.0/12 1.1.1.1 1) -> Idle; r[1] -> Idle",
    );
    bench.write("r.add", "10.1.0.0/16 2.2.2.2 1");
    assert_eq!(
        bench.read("r.table"),
        "10.0.0.0/8\t\t-\t\t0\n172.16.0.0/12\t\t1.1.1.1\t\t1\n10.1.0.0/16\t\t2.2.2.2\t\t1\n"
    );
    bench.write("r.remove", "10.1.0.0/16");
    bench.write("r.set", "10.0.0.0/8 3.3.3.3 1");
    bench.write(
        "r.ctrl",
        "add 1.0.0.0/8 0\nremove 172.16.0.0/12 1.1.1.1 1\nset 10/8 4.4.4.4 0",
    );
    assert_eq!(
        bench.read("r.table"),
        "1.0.0.0/8\t\t-\t\t0\n10.0.0.0/8\t\t4.4.4.4\t\t0\n"
    );
    bench.write("r.flush", "");
    assert_eq!(bench.read("r.table"), "");
}

#[test]
fn handlers_know_declared_names() {
    let bench = Bench::new(
        "AddressInfo(inside 10.0.0.1/8, gw 1.1.1.1); Idle -> r :: RadixIPLookup(inside:ipnet 0) -> Idle",
    );
    assert_eq!(bench.read("r.lookup inside"), "0");
    bench.write("r.set", "inside:ipnet gw 0");
    assert_eq!(bench.read("r.lookup inside"), "0 1.1.1.1");
    bench.write("r.ctrl", "remove inside:ipnet");
    assert_eq!(bench.read("r.table"), "");
}

#[test]
fn a_group_of_commands_is_done_whole_or_not_at_all() {
    let bench = Bench::new("Idle -> r :: LinearIPLookup(10.0.0.0/8 0, 9.0.0.0/8 0) -> Idle");
    let before = bench.read("r.table");
    for group in [
        "remove 10.0.0.0/8\nadd 9.0.0.0/8 0",
        "add 1.0.0.0/8 0\nset 9.0.0.0/8 5.5.5.5 0\nremove 2.0.0.0/8",
        "add 1.0.0.0/8 0\nfrobnicate",
        "add 1.0.0.0/8 7",
    ] {
        assert!(bench.write_fails("r.ctrl", group).is_some(), "{group}");
        let mut now: Vec<_> =
            Vec::from_iter(bench.read("r.table").lines().map(std::string::String::from));
        let mut then: Vec<_> = Vec::from_iter(before.lines().map(std::string::String::from));
        now.sort();
        then.sort();
        assert_eq!(now, then, "{group}");
    }
}

#[test]
fn adding_a_known_prefix_is_a_conflict() {
    let bench = Bench::new("Idle -> r :: RangeIPLookup(18.26.0/12 4.0.0.4 0) -> Idle");
    assert_eq!(
        bench
            .write_fails("r.add", "18.26.0/12 6.0.0.6 0")
            .as_deref(),
        Some("conflict with existing route '18.16.0.0/12 4.0.0.4 0'")
    );
}

/// Click's words and error numbers, as a script shows them.
#[test]
fn commands_that_do_not_fit_say_why_and_have_statuses() {
    let bench = Bench::new(
        "Idle -> r :: LinearIPLookup(18.26.0/12 4.0.0.4 0) -> Idle;
         s :: Script(TYPE PASSIVE, write r.add 18.26.0/12 0, print $?, write r.remove 18/8, print $?,
                     write r.remove 18.26.0/12 0, print $?, write r.add 1/8, print $?,
                     write r.set 18.26.0/12 0, print $?)",
    );
    bench.write("s.run", "");
    assert_eq!(bench.simulation.take_output(), "-17\n-2\n-2\n-22\n0\n");
    for (handler, value, message) in [
        (
            "r.remove",
            "18.0.0.0/8",
            "route '18.0.0.0/8 - -1' not found",
        ),
        (
            "r.remove",
            "18.26/12 5.0.0.5 0",
            "route '18.16.0.0/12 5.0.0.5 0' not found",
        ),
        (
            "r.remove",
            "18.26/12 0 5",
            "expected 'ADDR/MASK [GATEWAY OUTPUT]'",
        ),
        ("r.remove", "18.26/12 3", "bad OUTPUT"),
        ("r.add", "19/8", "expected 'ADDR/MASK [GATEWAY] OUTPUT'"),
        ("r.add", "19/8 1", "bad OUTPUT"),
        ("r.ctrl", "put 19/8 0", "bad command 'put'"),
    ] {
        assert_eq!(
            bench.write_fails(handler, value).as_deref(),
            Some(message),
            "{handler} {value}"
        );
    }
}

#[test]
fn wrong_routes_are_named_by_their_place() {
    let errors = Bench::errors("Idle -> r :: RadixIPLookup(10/8 0, 10.0.0.0/33 0, 11/8 1) -> Idle");
    assert!(
        errors.contains("argument 2 should be 'ADDR/MASK [GATEWAY] OUTPUT'"),
        "{errors}"
    );
    assert!(errors.contains("argument 3 bad OUTPUT"), "{errors}");
    let errors = Bench::errors("Idle -> r :: RadixIPLookup(10/8 -1) -> Idle");
    assert!(errors.contains("argument 1 bad OUTPUT"), "{errors}");
}
