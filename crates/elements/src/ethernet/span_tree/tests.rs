use std::format;
use std::string::String;
use std::time::Duration;

use crate::testing::Bench;

/// A switch of two ports called so, whose links come from and go to these networks.
fn switch(name: &str, last: u8, networks: [&str; 2]) -> String {
    let [a, b] = networks;
    format!(
        "{name} :: EtherSpanTree(2:0:0:0:0:{last}, {name}before, {name}behind, {name}switch);
         {name}before, {name}behind :: Suppressor; {name}switch :: EtherSwitch;
         in_{name}_0 -> {name}c0 :: Classifier(14/4242, -);
         in_{name}_1 -> {name}c1 :: Classifier(14/4242, -);
         out_{name}_0 :: Null -> {a}; out_{name}_1 :: Null -> {b};
         {name}c0 -> {name} -> out_{name}_0; {name}c1 -> [1] {name} [1] -> out_{name}_1;
         {name}c0[1] -> {name}before -> {name}switch -> {name}behind -> out_{name}_0;
         {name}c1[1] -> [1] {name}before [1] -> [1] {name}switch [1] -> [1] {name}behind [1]
         -> out_{name}_1;"
    )
}

/// Three switches in a ring: a-b, b-c and c-a.
fn ring() -> Bench {
    let switches = [
        switch("a", 1, ["in_b_0", "ca :: Switch"]),
        switch("b", 2, ["ab :: Switch", "in_c_0"]),
        switch("c", 3, ["in_b_1", "in_a_1"]),
    ];
    // Links that can be cut: to a from b, and to c from a. Frames that test are counted on the way.
    Bench::new(&format!(
        "in_a_0, in_a_1, in_b_0, in_b_1, in_c_0, in_c_1 :: Null; {} ab[0] -> in_a_0; ab[1] -> Discard; ca[0] -> in_c_1; ca[1] -> Discard;",
        switches.concat()
    ))
}

fn roles(bench: &Bench) -> String {
    let messages = ["a", "b", "c"].map(|name| bench.read(&format!("{name}.msgs")));
    let lines = messages.iter().flat_map(|text| text.lines());
    let ports = lines.filter(|line| line.starts_with("port"));
    let words = ports.map(|line| {
        line.split(' ')
            .skip(2)
            .take(2)
            .collect::<std::vec::Vec<_>>()
            .join(" ")
    });
    words.collect::<std::vec::Vec<_>>().join(", ")
}

#[test]
fn a_ring_is_cut_where_it_is_farthest_from_the_root() {
    let bench = ring();
    bench.run_for(Duration::from_secs(10));
    assert_eq!(
        roles(&bench),
        "designated listening, designated listening, root listening, designated listening, \
         alternate blocking, root listening"
    );
    bench.run_for(Duration::from_secs(15));
    assert_eq!(bench.read("abefore.active0"), "true");
    assert_eq!(bench.read("abehind.active0"), "false");
    bench.run_for(Duration::from_secs(15));
    assert_eq!(
        roles(&bench),
        "designated forwarding, designated forwarding, root forwarding, designated forwarding, \
         alternate blocking, root forwarding"
    );
    let lowest = "8000020000000001";
    for name in ["a", "b", "c"] {
        assert!(
            bench
                .read(&format!("{name}.msgs"))
                .contains(&format!("root {lowest}"))
        );
    }
    for (handler, opened) in [("behind.active0", "false"), ("behind.active1", "true")] {
        assert_eq!(bench.read(&format!("c{handler}")), opened);
    }
}

#[test]
fn a_blocked_port_opens_when_the_other_way_is_lost() {
    let bench = ring();
    bench.run_for(Duration::from_secs(60));
    // What a sends to c is lost from now on.
    bench.write("ca.switch", "1");
    bench.run_for(Duration::from_secs(60));
    let text = bench.read("c.msgs");
    assert!(text.contains("port 0 root forwarding"), "{text}");
    // By b: two links of cost 19.
    assert!(text.contains("cost 38"), "{text}");
    assert_eq!(bench.read("cbehind.active0"), "true");
}

#[test]
fn switches_forget_early_while_the_topology_changes() {
    let bench = ring();
    bench.run_for(Duration::from_secs(40));
    assert_eq!(bench.read("bswitch.timeout"), "15");
    bench.run_for(Duration::from_secs(60));
    assert_eq!(bench.read("bswitch.timeout"), "300");
}

#[test]
fn what_it_works_on_must_be_there() {
    let errors = Bench::errors("EtherSpanTree(1:1:1:1:1:1, a, b, c)");
    assert!(
        errors.contains("INPUT_SUPPRESSOR: no element named 'a'"),
        "{errors}"
    );
    let errors = Bench::errors("n :: Idle; EtherSpanTree(1:1:1:1:1:1, n, n, n); n -> n");
    assert!(errors.contains("no 'n.timeout' handler"), "{errors}");
}
