//! How often an instance is entered for what it is given.
#![allow(missing_docs)]

use std::path::PathBuf;

use sprat_image::{BuildOptions, Package, build};
use sprat_monitor::{Grant, GrantedDevice, Image, Monitor as _, Options, ProcessMonitor};
use sprat_switch::port::{Generator, GeneratorOptions, Sink};
use sprat_switch::switch::{PortId, Switch, SwitchOptions};

/// Enough for anything that is going on to come to its end.
const TURNS: usize = 20;

/// Entries for so many frames that come at once, and how many of them leave.
fn entries_for(frames: u64, configuration: &str) -> (u64, u64) {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.join("../..").canonicalize().expect("the workspace");
    let targets = BuildOptions::new(workspace.join("target/images"));
    let package = Package {
        workspace,
        name: "click".into(),
    };
    let built = build(&package, &targets, &mut |_| {}).expect("the image builds");
    let image = Image::load(&built.image).expect("a sound image");
    let device = |name: &str, number| Grant {
        name: name.into(),
        device: GrantedDevice::Network {
            address: [2, 0, 0, 0, 0, number],
            frame_limit: 1514,
            features: 0,
        },
    };
    let options = Options {
        configuration: configuration.into(),
        devices: vec![device("eth0", 1), device("eth1", 2)],
        ..Options::default()
    };
    let instance = ProcessMonitor::new().create(&image, &options);
    let mut switch = Switch::new(SwitchOptions::default());
    let place = switch.add_place("function", &["eth0".into(), "eth1".into()]);
    switch.put(place, instance.expect("created"));
    let turns = |switch: &mut Switch| {
        (0..TURNS).for_each(|_| _ = switch.turn());
    };
    turns(&mut switch);
    let before = switch.instance_counters(place).entries;
    let generator = Generator::new(GeneratorOptions {
        count: Some(frames),
        ..GeneratorOptions::default()
    });
    let generator = switch.add_port("generator", Box::new(generator));
    let sink = switch.add_port("sink", Box::new(Sink::default()));
    let ports: Vec<PortId> = switch.devices(place).collect();
    switch.wire(generator, ports[0]);
    switch.wire(ports[1], sink);
    turns(&mut switch);
    let entries = switch.instance_counters(place).entries - before;
    (entries, switch.port_counters(sink).sent.frames)
}

#[test]
fn an_instance_is_entered_once_for_what_it_can_send_at_once() {
    let pass = "FromDevice(eth0) -> Queue -> ToDevice(eth1);";
    assert_eq!(entries_for(1, pass), (1, 1));
    assert_eq!(entries_for(100, pass), (1, 100));
}

#[test]
fn an_instance_is_entered_again_while_it_has_more_to_send_than_there_is_room() {
    let multiply = "FromDevice(eth0) -> t :: Tee(5) -> q :: Queue(100000) -> ToDevice(eth1);
        t[1] -> q; t[2] -> q; t[3] -> q; t[4] -> q;";
    let (entries, sent) = entries_for(1000, multiply);
    assert!((3..TURNS as u64).contains(&entries), "{entries} for {sent}");
    assert_eq!(sent, 5000);
}
