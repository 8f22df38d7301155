//! What the elements that inform others do to those.

use sprat_click::driver::Step;

use crate::testing::Bench;

#[test]
fn names_stand_for_addresses_within_their_compound() {
    let text = "AddressInfo(a 10.0.0.1/8, net 10.0.0.0/8);
        r :: StaticIPLookup(a 0, net 0, 0/0 1);
        Idle -> r; r[0] -> Discard; r[1] -> Discard;
        c :: { AddressInfo(a 10.0.0.9); q :: StaticIPLookup(a 0, 0/0 0);
               Idle -> q -> Discard }";
    let bench = Bench::new(text);
    let table = bench.read("r.table");
    assert!(
        table.contains("10.0.0.1/32") && table.contains("10.0.0.0/8"),
        "{table}"
    );
    assert!(bench.read("c/q.table").contains("10.0.0.9/32"));
}

#[test]
fn a_wrong_address_is_named() {
    let errors = Bench::errors("AddressInfo(a 1.0.0.300, b)");
    assert!(
        errors.contains("  '1.0.0.300' is not a recognizable address"),
        "{errors}"
    );
    assert!(errors.contains("  expected 'NAME [ADDRS]'"), "{errors}");
    // The later of two counts.
    let text = "AddressInfo(a 1.0.0.3 1.0.0.4); Idle -> r :: StaticIPLookup(a 0) -> Discard";
    assert!(Bench::new(text).read("r.table").contains("1.0.0.4/32"));
}

#[test]
fn a_wrong_port_is_named() {
    let errors = Bench::errors("PortInfo(a x, b 5/sctp, # comment)");
    assert_eq!(
        errors.matches("  expected 'NAME PORT/PROTO'\n").count(),
        1,
        "{errors}"
    );
}

#[test]
fn tasks_run_in_proportion_to_their_shares() {
    let text = "a :: InfiniteSource(BURST 1) -> ca :: Counter -> Discard;
        b :: InfiniteSource(BURST 1) -> cb :: Counter -> Discard;
        ScheduleInfo(a 3, b .5); Script(wait 1ms, stop)";
    let bench = Bench::new(text);
    assert_eq!(
        (&*bench.read("a.tickets"), &*bench.read("b.tickets")),
        ("3072", "512")
    );
    let errors = Bench::errors("a :: Idle; ScheduleInfo(c 1, a x)");
    assert_eq!(
        errors.matches("  expected 'ELEMENTNAME PARAM'\n").count(),
        1,
        "{errors}"
    );
}

#[test]
fn a_round_is_over_when_no_task_has_anything_to_do() {
    let bench = Bench::new(
        "a :: FromDevice(x) -> ca :: Counter -> Discard;
         b :: FromDevice(y) -> Discard; ScheduleInfo(b 20)",
    );
    assert_eq!(bench.step(), Step::Poll(None));
    // All of them are asked twice, those with the larger share more often.
    assert_eq!(bench.runs("a"), 2);
    assert!((2..60).contains(&bench.runs("b")), "{}", bench.runs("b"));
    // One with a small share is not passed over.
    bench.arrive("x", &[0; 64]);
    assert_eq!(bench.step(), Step::Poll(None));
    assert_eq!(bench.read("ca.count"), "1");
}

#[test]
fn an_error_keeps_the_router_from_running() {
    // Click's own says nothing.
    assert_eq!(Bench::errors("e :: Error(\"out of order\")"), "");
    let errors = Bench::errors("m :: Message(\"hot\", TYPE ERROR)");
    assert!(errors.contains("  hot"), "{errors}");
}

#[test]
fn control_sockets_look_at_their_type_then_at_keywords_then_at_the_rest() {
    for (arguments, wrong) in [
        ("READONLY q", &["TYPE: required argument missing"][..]),
        (
            "FOO, READONLY q, PROXY z, BAR 3",
            &["READONLY: parse error", "PROXY: does not name an element"],
        ),
        ("FOO, BAR 3", &["unknown socket type 'FOO'"]),
        (
            "TCP, BAR 3",
            &["PORT: required argument missing", "BAR: unknown argument"],
        ),
    ] {
        let errors = Bench::errors(&std::format!("ControlSocket({arguments})"));
        let lines: std::vec::Vec<&str> = errors.lines().skip(1).map(str::trim).collect();
        assert_eq!(lines, wrong, "{arguments}");
    }
}

#[test]
fn elements_may_be_called_by_their_place() {
    let bench = Bench::new("i :: Idle -> c :: Counter -> Discard");
    assert_eq!(bench.read("1.name"), "i");
    assert_eq!(bench.read("3.class"), "Discard");
    bench.write("2.reset", "");
    assert_eq!(
        bench.write_fails("4.reset", "").as_deref(),
        Some("no element '4'")
    );
    assert_eq!(
        bench.write_fails("0.reset", "").as_deref(),
        Some("no element '0'")
    );
}

#[test]
fn what_only_informs_other_tools_changes_no_packet() {
    for information in [
        "AlignmentInfo(a 4 0)",
        "BalancedThreadSched(10)",
        "DPDKInfo(NB_MBUF 1048576, MBUF_SIZE 4096)",
        "InfiniteSource(LIMIT 1) -> EnsureDPDKBuffer(EXTRA_HEADROOM 64) -> Discard",
        "ClickyInfo(STYLE x)",
        "DevirtualizeInfo(a 1)",
        "FlowInfo(a x/y)",
        "IPFieldInfo",
        "IPNameInfo",
    ] {
        let bench = Bench::new(&std::format!(
            "{information}; FromDevice(in) -> a :: Align(4, 2) -> ToDevice(out)"
        ));
        bench.arrive("in", b"frame");
        bench.run();
        assert_eq!(bench.sent("out"), [b"frame"], "{information}");
    }
}

#[test]
fn alignments_are_checked_though_they_change_nothing() {
    for (elements, wrong) in [
        ("Idle -> Align(1, 0) -> Idle", "MODULUS must be 2, 4, or 8"),
        (
            "Idle -> Align(4, 4) -> Idle",
            "OFFSET must be smaller than MODULUS",
        ),
        (
            "AlignmentInfo(a 4 0 2); a :: Idle -> Idle",
            "expected 'ELEMENTNAME CHUNK OFFSET [CHUNK OFFSET...]'",
        ),
        ("AlignmentInfo(a x 0); a :: Idle -> Idle", "expected CHUNK"),
        ("AlignmentInfo(a 4 x); a :: Idle -> Idle", "expected OFFSET"),
    ] {
        let errors = Bench::errors(elements);
        assert!(errors.contains(wrong), "{errors}");
    }
    // Of elements that are not there nothing is asked.
    Bench::new("AlignmentInfo(b 4 x, a); a :: Idle -> Idle");
}

#[test]
fn pokehandlers_writes_waits_and_ends_the_driver() {
    let bench = Bench::new(
        "i :: Idle -> c :: Counter -> Discard; q :: Idle -> s :: Suppressor -> Discard;
         PokeHandlers(s.active0 false, 2, s.active0 true, quit)",
    );
    assert!(!bench.run_for(core::time::Duration::from_secs(1)));
    assert_eq!(bench.read("s.active0"), "false");
    assert!(bench.run_for(core::time::Duration::from_secs(2)));
    assert_eq!(bench.read("s.active0"), "true");
}
