use crate::testing::Bench;

/// A counter of lengths, so that a packet's length is its value.
fn counter(arguments: &str) -> Bench {
    Bench::new(&std::format!(
        "FromDevice(in) -> AggregateLength -> c :: AggregateCounter({arguments});
         c[0] -> ToDevice(out); c[1] -> ToDevice(rest)"
    ))
}

fn arrive(bench: &Bench, lengths: &[usize]) {
    for length in lengths {
        bench.arrive("in", &std::vec![0; *length]);
    }
    bench.run();
}

fn ascii(bench: &Bench) -> std::string::String {
    bench.write("c.write_text_file", "counts");
    let bytes = bench.simulation.file("counts").expect("it was written");
    std::string::String::from_utf8(bytes).expect("text")
}

#[test]
fn each_value_has_a_count_and_values_ascend() {
    let bench = counter("BANNER !counts");
    arrive(&bench, &[100, 60, 100, 61]);
    assert_eq!(
        ascii(&bench),
        "!IPAggregate 1.0\n!counts\n!num_nonzero 3\n60 1\n61 1\n100 2\n"
    );
    assert_eq!(bench.read("c.count"), "4");
}

#[test]
fn bytes_are_counted_where_that_is_asked() {
    let bench = counter("BYTES true");
    arrive(&bench, &[100, 60, 100]);
    assert_eq!(
        ascii(&bench),
        "!IPAggregate 1.0\n!num_nonzero 2\n60 60\n100 200\n"
    );
}

#[test]
fn packed_files_hold_two_words_for_each_value() {
    let bench = counter("");
    arrive(&bench, &[258, 258, 60]);
    bench.write("c.write_file", "packed");
    let bytes = bench.simulation.file("packed").expect("it was written");
    let numbers = [60, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 2, 0, 0, 0];
    assert_eq!(
        bytes,
        [
            &b"!IPAggregate 1.0\n!num_nonzero 2\n!packed_le\n"[..],
            &numbers
        ]
        .concat()
    );
}

#[test]
fn a_frozen_counter_lets_new_values_out_the_other_way() {
    let bench = counter("AGGREGATE_FREEZE 2");
    arrive(&bench, &[60, 61, 62, 60]);
    assert_eq!(bench.read("c.freeze"), "true");
    assert_eq!(bench.sent("out").len(), 3);
    assert_eq!(bench.sent("rest").len(), 1);
    assert_eq!(
        ascii(&bench),
        "!IPAggregate 1.0\n!num_nonzero 2\n60 2\n61 1\n"
    );
}

#[test]
fn the_second_input_is_frozen() {
    let bench = Bench::new(
        "FromDevice(in) -> AggregateLength -> c :: AggregateCounter;
         FromDevice(other) -> AggregateLength -> [1]c;
         c[0] -> ToDevice(out); c[1] -> ToDevice(rest)",
    );
    arrive(&bench, &[60]);
    bench.arrive("other", &[0; 60]);
    bench.arrive("other", &[0; 61]);
    bench.run();
    assert_eq!(bench.sent("rest").len(), 1);
    assert_eq!(ascii(&bench), "!IPAggregate 1.0\n!num_nonzero 1\n60 2\n");
}

#[test]
fn counts_can_become_values() {
    let bench = counter("");
    arrive(&bench, &[60, 61, 61, 62, 62]);
    bench.write("c.counts_pdf", "");
    assert_eq!(
        ascii(&bench),
        "!IPAggregate 1.0\n!num_nonzero 2\n1 1\n2 2\n"
    );
}

#[test]
fn a_handler_is_called_when_enough_is_counted() {
    let bench = counter("COUNT_CALL 3 c.active false");
    arrive(&bench, &[60, 60, 60, 60]);
    assert_eq!(bench.read("c.count"), "3");
    let errors =
        Bench::errors("Idle -> AggregateCounter(AGGREGATE_STOP 1, AGGREGATE_FREEZE 2) -> Idle");
    assert!(
        errors.contains(
            "'AGGREGATE_FREEZE', 'AGGREGATE_STOP', and 'AGGREGATE_CALL' are mutually exclusive"
        ),
        "{errors}"
    );
}

#[test]
fn values_can_be_written_as_addresses() {
    let bench = counter("");
    arrive(&bench, &[258]);
    bench.write("c.write_ip_file", "addresses");
    let bytes = bench.simulation.file("addresses").expect("it was written");
    assert_eq!(bytes, b"!IPAggregate 1.0\n!num_nonzero 1\n!ip\n0.0.1.2 1\n");
}

#[test]
fn the_names_of_older_clicks_are_known() {
    let bench = counter("CALL_AFTER_COUNT 3 c.active false");
    assert_eq!(bench.read("c.count_call"), bench.read("c.call_after_count"));
    arrive(&bench, &[60]);
    bench.write("c.write_ascii_file", "counts");
    let bytes = bench.simulation.file("counts").expect("it was written");
    assert_eq!(bytes, b"!IPAggregate 1.0\n!num_nonzero 1\n60 1\n");
}

#[test]
fn a_limit_of_values_is_reached_by_one_more() {
    let bench = counter("AGGREGATE_STOP 2");
    assert_eq!(bench.read("c.aggregate_call"), "2 c.stop");
    arrive(&bench, &[60, 61, 60]);
    assert_eq!(bench.read("c.active"), "true");
    arrive(&bench, &[62]);
    assert_eq!(bench.read("c.active"), "false");
    assert_eq!(bench.read("c.aggregate_call"), "");
    assert_eq!(
        ascii(&bench),
        "!IPAggregate 1.0\n!num_nonzero 2\n60 2\n61 1\n"
    );
}

#[test]
fn values_can_be_written_with_their_parts() {
    let bench = counter("");
    arrive(&bench, &[60, 61, 61]);
    bench.write("c.write_pdf_file", "parts");
    let bytes = bench.simulation.file("parts").expect("it was written");
    let expected = b"!IPAggregate 1.0\n!num_nonzero 2\n60 0.333333333333\n61 0.666666666667\n";
    assert_eq!(bytes, expected);
}
