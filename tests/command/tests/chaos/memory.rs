//! Memory that is gone.

use std::fs;

use end_to_end::{Host, in_namespace};

use crate::at_rest;
use crate::load::{self, Load, PASS, assert_whole};

/// Takes more memory than there is, as soon as it begins.
const GREEDY: &str = "Script(set x a, label more, set x $x$x$x$x, goto more)";

#[test]
fn an_instance_that_has_no_memory_left_over_and_over_costs_its_neighbour_no_frame() {
    let test =
        "memory::an_instance_that_has_no_memory_left_over_and_over_costs_its_neighbour_no_frame";
    if !in_namespace(test) {
        return;
    }
    let ends = load::wire("a");
    let [ports, chain] = load::chain("a", "default");
    let neighbour = format!("[ports]\n{ports}{chain}");
    let host = Host::start(&neighbour);
    fs::write(host.path().join("pass.click"), PASS).expect("written");
    fs::write(host.path().join("greedy.click"), GREEDY).expect("written");
    host.good(&["up", "edge.toml"]);
    host.wait("a", "running");
    let lane = host.lane("default").expect("a lane");
    let load = Load::start(&[ends]);
    let greedy = "[functions.greedy]\nrun = 'greedy.click'\ndevices = []\nmemory = '64K'\n";
    let both = format!("{neighbour}\n{greedy}");

    let run_out = || {
        assert_eq!(host.declare(&both), "+ greedy\n");
        host.until(|| {
            let found = host.instance("greedy")?;
            // What `sprat ps` shows of it.
            let end = found["last_end"].as_str()?;
            let told = end.contains("out of memory: ") && end.contains(" asked for more");
            (told && found["restarts"].as_u64() >= Some(3)).then_some(())
        });
        host.until(|| {
            let reports = fs::read_dir(host.path().join("state/crashes")).ok()?;
            let mut texts = reports
                .flatten()
                .map(|report| fs::read_to_string(report.path()));
            let said = |text: std::io::Result<String>| {
                text.is_ok_and(|text| text.contains("out of memory"))
            };
            texts.any(said).then_some(())
        });
        assert_eq!(host.declare(&neighbour), "- greedy\n");
    };
    run_out();
    let [[descriptors, mappings]] = at_rest(&host, [lane]);
    run_out();
    // What was removed is put away beside the frames.
    host.until(|| {
        let [[now, mapped]] = at_rest(&host, [lane]);
        (now <= descriptors + 2 && mapped <= mappings + 40).then_some(())
    });
    assert_eq!(host.lane("default"), Some(lane), "nobody ended it");
    assert_whole(&host, "default", "a", &load.end()[0]);
}
