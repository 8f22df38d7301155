//! Instances that hang, flood, lie in their rings and die in a loop, under load.

use std::fs;
use std::path::Path;

use end_to_end::{Host, in_namespace, project};
use sprat_image::{BuildOptions, Package, build_binary};

use crate::at_rest;
use crate::load::{self, Load, PASS, assert_whole};

/// Images of tests/sealed, and what is said of the end that they come to, where they do.
const HOSTILE: [(&str, Option<&str>); 4] = [
    ("spins", Some("hung: did not yield")),
    ("floods_the_console", None),
    ("lies", Some("broke its contract")),
    ("exits", Some("exited with status 3")),
];

fn build(name: &str, folder: &Path) {
    let package = Package {
        workspace: project().into(),
        name: "sealed".into(),
    };
    let options = BuildOptions::new(project().join("target/images"));
    let built = build_binary(&package, name, &options, &mut |_| {}).expect("the image builds");
    fs::write(folder.join(format!("{name}.image")), built.image).expect("written");
}

#[test]
fn what_hangs_floods_lies_or_dies_in_a_loop_costs_no_neighbour_a_frame() {
    let test = "hostile::what_hangs_floods_lies_or_dies_in_a_loop_costs_no_neighbour_a_frame";
    if !in_namespace(test) {
        return;
    }
    let (mut ends, mut ports, mut chains) = (Vec::new(), String::new(), String::new());
    for (name, tenant) in [("a", "default"), ("b", "other")] {
        ends.push(load::wire(name));
        let [port, chain] = load::chain(name, tenant);
        ports += &port;
        chains += &chain;
    }
    let neighbours = format!("[ports]\n{ports}{chains}");
    let host = Host::start("");
    fs::write(host.path().join("pass.click"), PASS).expect("written");
    for (name, _) in HOSTILE {
        build(name, host.path());
    }
    host.declare(&neighbours);
    for name in ["a", "b"] {
        host.wait(name, "running");
    }
    let lane = host.lane("default").expect("a lane");
    let load = Load::start(&ends);
    let bring_and_take = |name: &str, end: Option<&str>| {
        let hostile = format!("[functions.{name}]\nrun = '{name}.image'\ndevices = ['eth0']\n");
        let changes = host.declare(&format!("{neighbours}\n{hostile}"));
        assert_eq!(changes, format!("+ {name}\n"));
        host.until(|| {
            let found = host.instance(name)?;
            match end {
                Some(end) => {
                    let last = found["last_end"].as_str()?;
                    assert!(last.contains(end), "{name}: {last}");
                    (found["restarts"].as_u64() >= Some(2)).then_some(())
                }
                // It goes on, and what it says is cut off.
                None => (found["entries"].as_u64() >= Some(100)).then_some(()),
            }
        });
        assert_eq!(host.declare(&neighbours), format!("- {name}\n"));
    };
    for (name, end) in HOSTILE {
        bring_and_take(name, end);
    }
    let [[descriptors, mappings]] = at_rest(&host, [lane]);
    for (name, end) in HOSTILE {
        bring_and_take(name, end);
    }
    // What was removed is put away beside the frames.
    host.until(|| {
        let [[now, mapped]] = at_rest(&host, [lane]);
        (now <= descriptors + 2 && mapped <= mappings + 40).then_some(())
    });
    assert_eq!(host.lane("default"), Some(lane), "nobody ended it");
    let passed = load.end();
    assert_whole(&host, "default", "a", &passed[0]);
    assert_whole(&host, "other", "b", &passed[1]);
}
