//! Scripts at work.

use core::time::Duration;

use crate::testing::Bench;

/// What a configuration prints within a simulated second.
fn printed(text: &str) -> alloc::string::String {
    let bench = Bench::new(text);
    bench.run_for(Duration::from_secs(1));
    bench.simulation.take_output()
}

// The example of Click's manual page Script(n).
#[test]
fn only_the_q_forms_take_quotation_marks_off_their_value() {
    let text = "c :: Idle -> d :: Discard;
        Script(set x $(d.count), print $x, set x \"$(d.count)\", print $x,
               setq x \"$(d.count)\", print $x)";
    assert_eq!(printed(text), "0\n\"0\"\n0\n");
}

#[test]
fn print_takes_a_handler_or_a_text() {
    let text = "d :: Idle; Script(print d.class, printn \"a b\", print $(add 1 2), printq '\"c\"',
                       print add \"1\", printq add \"1\" 2)";
    assert_eq!(printed(text), "Idle\na b3\n\"c\"\n3\n");
}

#[test]
fn a_loop_runs_until_its_condition_fails() {
    let text = "Script(init i 0, label top, print $i, set i $(add $i 1), goto top $(lt $i 3), \
                print done)";
    let text = text.replace("print done", "print \"done\"");
    assert_eq!(printed(&text), "0\n1\n2\ndone\n");
}

#[test]
fn a_script_that_only_jumps_is_given_up() {
    let bench = Bench::new("s0 :: Script(label a, goto a)");
    bench.run();
    let errors = bench.simulation.take_errors();
    assert_eq!(errors, "s0 :: Script: too many jumps, giving up\n");
}

#[test]
fn waiting_takes_time_and_jumps_after_it_count_anew() {
    let text = "s :: Script(export i 0, set i $(add $i 1), wait 1ms, goto begin)";
    let bench = Bench::new(text);
    bench.run_for(Duration::from_micros(5500));
    assert_eq!(bench.read("s.i"), "6");
}

#[test]
fn the_driver_manager_steps_at_each_stop_and_stops_the_driver_in_the_end() {
    let text = "i :: InfiniteSource(LIMIT 3, STOP true) -> c :: Counter -> Discard;
        DriverManager(print \"a\", wait_stop, print c.count, wait 1ms, print \"b\")";
    let bench = Bench::new(text);
    assert!(bench.run_for(Duration::from_secs(1)));
    assert_eq!(bench.simulation.take_output(), "a\n3\nb\n");
}

// Click's manual page: "Wait for TIME seconds, or until a step, whichever comes first".
#[test]
fn a_stop_or_a_step_ends_a_wait() {
    let text = "i :: InfiniteSource(LIMIT 1, STOP true) -> Discard;
        DriverManager(wait 1h, print \"a\", pause, print \"b\", wait 1ms, print \"c\", pause);
        s :: Script(TYPE PASSIVE, wait 1h, print \"d\", wait 1h, print \"e\", wait 1ms, print \"f\")";
    let bench = Bench::new(text);
    assert!(!bench.run());
    assert_eq!(bench.simulation.take_output(), "a\n");
    bench.write("stop", "");
    assert!(!bench.run());
    assert_eq!(bench.simulation.take_output(), "b\nc\n");
    bench.write("s.run", "");
    bench.write("s.step", "2");
    assert_eq!(bench.simulation.take_output(), "d\ne\n");
    bench.run_for(Duration::from_millis(5));
    assert_eq!(bench.simulation.take_output(), "f\n");
}

#[test]
fn packets_go_where_the_script_returns() {
    let text = "InfiniteSource(LIMIT 6, STOP true)
        -> s :: Script(TYPE PACKET, init i -1, set i $(add $i 1), return $(mod $i 3));
        s[0] -> a :: Counter -> Discard; s[1] -> b :: Counter -> Discard";
    let bench = Bench::new(text);
    bench.run();
    assert_eq!(
        (&*bench.read("a.count"), &*bench.read("b.count")),
        ("2", "2")
    );
}

#[test]
fn a_packet_goes_where_its_script_ends() {
    for (script, passed) in [
        ("end", "3"),
        ("exit", "0"),
        ("return 0", "3"),
        // No port, and one that is not there.
        ("return", "0"),
        ("return -1", "0"),
        ("pause", "0"),
        ("error \"no\"", "0"),
        // Only this packet is dropped.
        ("goto exit $(eq $(c.count) 1)", "1"),
        ("init n 0, set n $(add $n 1), goto exit $(eq $n 2)", "2"),
    ] {
        let text = alloc::format!(
            "InfiniteSource(LIMIT 3) -> Script(TYPE PACKET, {script}) -> c :: Counter -> Discard"
        );
        let bench = Bench::new(&text);
        bench.run();
        assert_eq!(bench.read("c.count"), passed, "{script}");
    }
}

#[test]
fn a_script_that_has_ended_may_be_run_again() {
    let bench = Bench::new("s :: Script(TYPE PASSIVE, print \"a\", exit)");
    bench.write("s.run", "");
    bench.write("s.run", "");
    assert_eq!(bench.simulation.take_output(), "a\na\n");
}

#[test]
fn what_a_script_calls_may_call_it_back() {
    let text = "i :: InfiniteSource(LIMIT 2, END_CALL s.run again) -> c :: Counter -> Discard;
        s :: Script(TYPE PASSIVE, export runs 0, set runs $(add $runs 1),
                    goto end $(ge $runs 3), write i.reset, write i.active true)";
    let bench = Bench::new(text);
    bench.run();
    assert_eq!(
        (&*bench.read("s.runs"), &*bench.read("c.count")),
        ("3", "6")
    );
}

#[test]
fn a_passive_script_is_a_function() {
    let text = "f :: Script(TYPE PASSIVE, goto one $(le $1 1),
                            return $(mul $1 $(f.run $(sub $1 1))), label one, return 1);
        Script(print $(f.run 5), print f.run 3, print $(f.run 4 5))";
    assert_eq!(printed(text), "120\n6\n24\n");
}

#[test]
fn arguments_have_numbers_and_a_count() {
    let text = "f :: Script(TYPE PASSIVE, returnq \"$# $2 $args $0 $write\");
        Script(print $(f.run a 'b c'))";
    assert_eq!(printed(text), "2 'b c' a 'b c' run false\n");
}

#[test]
fn arguments_and_variables_may_be_taken_word_by_word() {
    let text = "f :: Script(TYPE PASSIVE, print $(shift), print $args, set x \"1 2\" 3,
                            print $(shift x), print $x, return $(get x));
        Script(print $(f.run a b c))";
    assert_eq!(printed(text), "a\nb c\n\"1 2\"\n3\n3\n");
    let bench = Bench::new("s :: Script(TYPE PASSIVE, print $(get y), print $(shift y z))");
    bench.write("s.run", "");
    assert_eq!(
        bench.simulation.take_errors(),
        "While executing 's :: Script':\n  undefined variable 'y'\n  too many arguments\n"
    );
}

#[test]
fn a_proxy_answers_for_every_handler() {
    let text = "p :: Script(TYPE PROXY, goto written $write, return \"$0($args)\",
                            label written, print \"$0 := $args\");
        Script(print $(p.count 1), write p.limit 5)";
    assert_eq!(printed(text), "\"count(1)\"\nlimit := 5\n");
}

#[test]
fn steps_and_jumps_come_from_outside() {
    let bench = Bench::new(
        "s :: Script(TYPE PASSIVE, print \"a\", pause 2, print \"b\", \
                            label c, pause, print \"c\")",
    );
    bench.write("s.run", "");
    bench.write("s.step", "");
    assert_eq!(bench.simulation.take_output(), "a\n");
    bench.write("s.step", "2");
    assert_eq!(bench.simulation.take_output(), "b\nc\n");
    bench.write("s.goto", "c");
    bench.write("s.step", "");
    assert_eq!(bench.simulation.take_output(), "c\n");
}

// In Click a first wait is set up when the element is initialized.
#[test]
fn a_wrong_time_at_the_start_is_a_mistake_of_the_configuration() {
    let bench = Bench::new("s :: Script(wait foo, print 1)");
    bench.run();
    assert_eq!(
        bench.simulation.take_errors(),
        "config:1: While initializing 's :: Script':\n  syntax error at 'wait'\n"
    );
}

#[test]
fn a_failed_write_is_said_and_shows_in_the_status() {
    let bench = Bench::new(
        "i :: InfiniteSource(ACTIVE false) -> Discard;
         s :: Script(write i.active x y, print $?, write s.set y 1, print $?,
                     write i.limit x, write i.x 5, print $?, write j.x, read i.y,
                     print i.reset, print $(i.z))",
    );
    bench.run();
    // A handler that is not there has no status, and a reference to it stays as it is.
    assert_eq!(bench.simulation.take_output(), "-22\n0\n-22\n$(i.z)");
    let said = bench.simulation.take_errors();
    let lines: alloc::vec::Vec<&str> = said
        .lines()
        .filter(|line| *line != "While executing 's :: Script':")
        .collect();
    assert_eq!(
        lines,
        [
            "  While calling 'i.active x y':",
            "    active parameter must be boolean",
            "  While calling 'i.limit x':",
            "    limit parameter must be integer",
            "  no 'i.x' write handler",
            "  no element named 'j'",
            "  no 'i.y' read handler",
            "  no 'i.reset' read handler",
            "  no 'i.z' read handler",
        ]
    );
}

// With a newline at the end of what it says, and of what the handler says.
#[test]
fn read_says_the_name_of_a_handler_and_its_value() {
    let bench = Bench::new("d :: Idle; s :: Script(read d.class, read d.ports, readq add \"1\" 2)");
    bench.run();
    let said = bench.simulation.take_errors();
    assert!(said.starts_with("d.class:\nIdle\nd.ports:\n"), "{said}");
    assert!(said.ends_with("\n\nadd:\n3\n"), "{said}");
}

#[test]
fn printing_to_files_replaces_or_adds() {
    let bench =
        Bench::new("Script(print >F \"a\", print >F \"b\", print >>F \"c\", print $(cat F))");
    bench.run();
    assert_eq!(bench.simulation.file("F").as_deref(), Some(&b"b\nc\n"[..]));
    assert_eq!(bench.simulation.take_output(), "b\nc\n");
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    let errors = Bench::errors("Script(frob, goto x, TYPE WHEN)");
    assert!(errors.contains("bad TYPE"), "{errors}");
    let errors = Bench::errors("Script(frob, goto x)");
    assert!(errors.contains("  syntax error at 'frob'"), "{errors}");
    assert!(errors.contains("  no such label 'x'"), "{errors}");
    let errors = Bench::errors("Script(set x, label, stop now, wait_time, label a, label a)");
    for word in ["set", "label", "stop"] {
        assert!(
            errors.contains(&alloc::format!("syntax error at '{word}'")),
            "{errors}"
        );
    }
    assert!(!errors.contains("'a'"), "{errors}");
    let errors = Bench::errors("a :: DriverManager(pause); b :: DriverManager(pause)");
    assert!(errors.contains("more than one driver script"), "{errors}");
}

#[test]
fn goto_knows_loop_and_error_without_labels_of_these_names() {
    let text = "Script(init i 0, set i $(add $i 1), print $i, goto loop $(lt $i 3), goto error, \
                print \"no\")";
    let bench = Bench::new(&text.replace("print $i", "print \"$i\""));
    bench.run();
    assert_eq!(bench.simulation.take_output(), "1\n2\n3\n");
    assert_eq!(bench.simulation.take_errors(), "");
    let bench = Bench::new("s :: Script(error a \"b\", print \"no\")");
    bench.run();
    assert_eq!(bench.simulation.take_output(), "");
    let said = bench.simulation.take_errors();
    assert_eq!(said, "While executing 's :: Script':\n  a \"b\"\n");
}

#[test]
fn save_and_append_write_a_handler_to_a_file() {
    let bench = Bench::new("d :: Idle; Script(save d.class F, append d.name F, save d.class)");
    bench.run();
    assert_eq!(
        bench.simulation.file("F").as_deref(),
        Some(&b"Idle\nd\n"[..])
    );
    assert_eq!(bench.simulation.take_output(), "Idle\n");
}

// Click's manual page: a real remainder; the length of the parameters as they stand.
#[test]
fn remainders_are_real_and_lengths_count_every_byte() {
    let text = "Script(print $(rem 7.5 2), print $(rem -7 2), print $(mod 7 3), \
                print $(length a \"b\"))";
    assert_eq!(printed(text), "1.5\n-1\n1\n5\n");
}
