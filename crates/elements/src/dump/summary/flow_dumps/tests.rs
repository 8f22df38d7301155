use std::string::String;

use sprat_click::simulation::Simulation;

use crate::testing::Bench;

const DUMP: &[u8] = b"\
!data timestamp src sport dst dport proto tcp_seq tcp_ack tcp_flags payload ip_id tcp_opt
10.887166 192.150.187.37 3153 18.26.4.44 21 T 2195313811 0 S \"\" 1 mss1400;ts1:2
10.962704 18.26.4.44 21 192.150.187.37 3153 T 2484225252 2195313812 SA \"\" 2 .
11 1.0.0.1 5 1.0.0.2 53 U - - - \"abc\" 3 -
12 192.150.187.37 3153 18.26.4.44 21 T 2195313812 2484225253 PA \"hello\" 4 .
";

fn run(keywords: &str) -> Bench {
    let simulation = Simulation::new();
    simulation.put_file("in", DUMP);
    let bench = Bench::with(
        simulation,
        &std::format!(
            "FromIPSummaryDump(in) -> a :: AggregateIPFlows
             -> t :: ToIPFlowDumps(flow%03n.%p{keywords})"
        ),
    );
    bench.run();
    bench
}

fn file(bench: &Bench, name: &str) -> Option<String> {
    let file = bench.simulation.file(name)?;
    Some(String::from_utf8(file).expect("text"))
}

/// The manual's example, and what follows in it.
#[test]
fn each_flow_has_a_file_with_numbers_counted_from_its_first() {
    let bench = run("");
    assert_eq!(bench.read("t.flows"), "2");
    assert_eq!(file(&bench, "flow001.T"), None);
    bench.write("t.clear", "");
    let expected = "\
!IPSummaryDump 1.3
!data timestamp direction tcp_flags tcp_seq payload_len tcp_ack
!flowid 192.150.187.37 3153 18.26.4.44 21 T
!aggregate 1
!first_seq > 2195313811
!first_seq < 2484225252
!first_time 10.887165
0.000001 > S 0 0 0
0.075539 < SA 0 0 1
1.112835 > PA 1 5 1
";
    assert_eq!(file(&bench, "flow001.T").as_deref(), Some(expected));
    let expected = "\
!IPSummaryDump 1.3
!data timestamp direction payload_len
!flowid 1.0.0.1 5 1.0.0.2 53 U
!aggregate 2
!first_time 10.999999
0.000001 > 3
";
    assert_eq!(file(&bench, "flow002.U").as_deref(), Some(expected));
    assert_eq!(bench.read("t.flows"), "0");
}

#[test]
fn numbers_may_be_absolute_and_fields_added() {
    let bench =
        run(", ABSOLUTE_TIME true, ABSOLUTE_SEQ true, IP_ID true, TCP_OPT true, MINCOUNT 2");
    bench.write("t.clear", "");
    let expected = "\
!IPSummaryDump 1.3
!data timestamp direction tcp_flags tcp_seq payload_len tcp_ack ip_id tcp_ntopt
!flowid 192.150.187.37 3153 18.26.4.44 21 T
!aggregate 1
10.887166 > S 2195313811 0 0 1 mss1400
10.962704 < SA 2484225252 0 2195313812 2 .
12.000000 > PA 2195313812 5 2484225253 4 .
";
    assert_eq!(file(&bench, "flow001.T").as_deref(), Some(expected));
    assert_eq!(file(&bench, "flow002.U"), None);
}

#[test]
fn a_flow_that_is_over_is_written_when_the_notifier_says_so() {
    let simulation = Simulation::new();
    let dump = "!data timestamp src sport dst dport proto\n1 1.0.0.1 5 1.0.0.2 6 U\n\
                900 1.0.0.3 5 1.0.0.4 6 U\n";
    simulation.put_file("in", dump.as_bytes());
    let bench = Bench::with(
        simulation,
        "FromIPSummaryDump(in) -> a :: AggregateIPFlows(UDP_TIMEOUT 60, REAP 100)
         -> t :: ToIPFlowDumps(flow%n, NOTIFIER a)",
    );
    bench.run();
    assert!(file(&bench, "flow1").is_some());
    assert_eq!(file(&bench, "flow2"), None);
    assert_eq!(bench.read("t.flows"), "1");
}

#[test]
fn what_is_not_written_here_is_refused() {
    for (arguments, error) in [
        ("f%q", "FILEPATTERN: bad escape '%q'"),
        ("f, GZIP true", "GZIP: dumps of flows are plain text here"),
        (
            "f, NOTIFIER x",
            "NOTIFIER: 'x' is no element that numbers flows",
        ),
    ] {
        let errors = Bench::errors(&std::format!("Idle -> ToIPFlowDumps({arguments})"));
        assert!(errors.contains(error), "{errors}");
    }
}
