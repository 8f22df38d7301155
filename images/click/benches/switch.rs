//! What a switch carries on one core: generator, instances that turn frames round, sink.
//!
//! Each line is one arrangement: `SWITCH`, its name, millions of frames that arrived at the sink in
//! a second of the core's time, and frames for each entry of an instance. The core's time is what
//! this thread was given of it, so that others who use the machine do not count. The middle one of
//! several runs is printed.

#![allow(missing_docs)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sprat_image::{BuildOptions, Package, build};
use sprat_monitor::{Grant, GrantedDevice, Image, Instance, Monitor, Options, open};
use sprat_switch::port::{Generator, GeneratorOptions, Ring, Sink};
use sprat_switch::switch::{InstanceId, PortId, Side, Switch, SwitchOptions};

const MIRROR: &str = "FromDevice(eth0) -> EtherMirror -> Queue(2048) -> ToDevice(eth1);";

const RUNS: usize = 5;

/// Frames are counted for so long, after as long without.
const LENGTH: Duration = Duration::from_millis(700);

fn main() {
    // What is measured is one core; the second one of the machine, where the first serves interrupts.
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(1);
    if rustix::thread::sched_setaffinity(None, &cores).is_err() {
        println!("not on a core of its own");
    }
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.join("../..").canonicalize().expect("the workspace");
    let package = Package {
        workspace: workspace.clone(),
        name: "click".into(),
    };
    let targets = BuildOptions::new(workspace.join("target/images"));
    let built = build(&package, &targets, &mut |_| {}).expect("the image builds");
    let image = Image::load(&built.image).expect("a sound image");
    let monitor = open(None).expect("a monitor").monitor;
    println!("{:?}", monitor.kind());
    let only = std::env::args().nth(1).unwrap_or_default();
    for (name, arrangement, size) in [
        ("alone-64", Arrangement::Chain(0), 64),
        ("one-64", Arrangement::Spread(1), 64),
        ("one-1500", Arrangement::Spread(1), 1500),
        ("hundred-64", Arrangement::Spread(100), 64),
        ("hundred-1500", Arrangement::Spread(100), 1500),
        ("chain-1", Arrangement::Chain(1), 64),
        ("chain-2", Arrangement::Chain(2), 64),
        ("chain-4", Arrangement::Chain(4), 64),
        ("chain-8", Arrangement::Chain(8), 64),
    ] {
        if !only.starts_with('-') && !name.starts_with(&only) {
            continue;
        }
        let mut runs: Vec<_> = (0..RUNS)
            .map(|_| measure(&*monitor, &image, arrangement, size))
            .collect();
        runs.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (rate, batch) = runs[RUNS / 2];
        println!("SWITCH {name} {rate:.2} {batch:.0}");
    }
    if only.starts_with('-') || "ring".starts_with(&only) {
        for size in [64, 1500] {
            let mut rates: Vec<f64> = (0..RUNS).map(|_| from_lane_to_lane(size)).collect();
            rates.sort_by(f64::total_cmp);
            println!("SWITCH ring-{size} {:.2} 1", rates[RUNS / 2]);
        }
    }
    if only.starts_with('-') || "replace".starts_with(&only) {
        let waits = (0..4 * RUNS).map(|_| replace(&*monitor, &image));
        println!("REPLACE {:.3}", middle(waits.collect()));
    }
    if only.starts_with('-') || "wanted".starts_with(&only) {
        for ready in [0, 1] {
            let waits = (0..4 * RUNS).map(|_| wanted(&*monitor, &image, ready));
            println!("WANTED {ready} {:.3}", middle(waits.collect()));
        }
    }
}

fn options() -> Options {
    let device = |name: &str, number| Grant {
        name: name.into(),
        device: GrantedDevice::Network {
            address: [2, 0, 0, 0, 0, number],
            frame_limit: 1514,
            features: 0,
        },
    };
    Options {
        configuration: MIRROR.into(),
        devices: vec![device("eth0", 1), device("eth1", 2)],
        ..Options::default()
    }
}

/// How instances stand between generator and sink.
#[derive(Clone, Copy)]
enum Arrangement {
    /// Each takes a share of the flows.
    Spread(usize),
    /// Every frame passes through each.
    Chain(usize),
}

impl Arrangement {
    /// Puts the instances between two ports.
    fn put(
        self,
        switch: &mut Switch,
        ends: (PortId, PortId),
        create: &dyn Fn() -> Box<dyn Instance>,
    ) -> Vec<InstanceId> {
        let (Self::Spread(count) | Self::Chain(count)) = self;
        let mut places = Vec::new();
        let mut devices = Vec::new();
        for number in 0..count {
            let place = switch.add_place(&number.to_string(), &["eth0".into(), "eth1".into()]);
            switch.put(place, create());
            let ports: Vec<PortId> = switch.devices(place).collect();
            devices.push((ports[0], ports[1]));
            places.push(place);
        }
        match self {
            Self::Spread(_) => {
                let (before, after) = (switch.add_join(), switch.add_join());
                let line = switch.add_line();
                switch.align(before, line, 0);
                switch.align(after, line, 1);
                switch.join(before, Side::Left, ends.0, 1);
                switch.join(after, Side::Right, ends.1, 1);
                for (first, second) in devices {
                    switch.join(before, Side::Right, first, 1);
                    switch.join(after, Side::Left, second, 1);
                }
            }
            Self::Chain(_) => {
                // As lanes do.
                let line = switch.add_line();
                let mut last = ends.0;
                for (hop, (first, second)) in (0..).zip(devices) {
                    let join = switch.wire(last, first);
                    switch.align(join, line, hop);
                    last = second;
                }
                let join = switch.wire(last, ends.1);
                switch.align(join, line, u16::try_from(count).expect("few"));
            }
        }
        places
    }
}

/// Millions of frames a second, and frames for each entry.
fn measure(
    monitor: &dyn Monitor,
    image: &Image,
    arrangement: Arrangement,
    size: usize,
) -> (f64, f64) {
    let mut switch = Switch::new(SwitchOptions::default());
    let flows = match arrangement {
        Arrangement::Spread(count) if count > 1 => 10_000,
        _ => 1,
    };
    let generator = Generator::new(GeneratorOptions {
        size,
        count: None,
        flows,
    });
    let generator = switch.add_port("generator", Box::new(generator));
    let sink = switch.add_port("sink", Box::new(Sink::default()));
    let create = || monitor.create(image, &options()).expect("created");
    let places = arrangement.put(&mut switch, (generator, sink), &create);
    run_for(&mut [&mut switch], LENGTH);
    let before = counted(&switch, sink, &places);
    let begin = core_time();
    run_for(&mut [&mut switch], LENGTH);
    let seconds = (core_time() - begin).as_secs_f64();
    let after = counted(&switch, sink, &places);
    let (frames, entries) = (after.0 - before.0, after.1 - before.1);
    (
        frames as f64 / seconds / 1e6,
        frames as f64 / (entries as f64).max(1.0),
    )
}

/// Millions of frames a second from one switch to another by rings, where both take turns on the core.
fn from_lane_to_lane(size: usize) -> f64 {
    let (mut one, mut other) = (
        Switch::new(SwitchOptions::default()),
        Switch::new(SwitchOptions::default()),
    );
    let generator = Generator::new(GeneratorOptions {
        size,
        count: None,
        flows: 1,
    });
    let [up, down] = Ring::pair("bench").expect("permitted");
    let [up, down] = [up, down].map(|end| end.into_port().expect("mapped"));
    let (generator, up) = (
        one.add_port("generator", Box::new(generator)),
        one.add_port("up", up),
    );
    let (down, sink) = (
        other.add_port("down", down),
        other.add_port("sink", Box::new(Sink::default())),
    );
    one.wire(generator, up);
    other.wire(down, sink);
    run_for(&mut [&mut one, &mut other], LENGTH);
    let before = other.port_counters(sink).sent.frames;
    let begin = core_time();
    run_for(&mut [&mut one, &mut other], LENGTH);
    let seconds = (core_time() - begin).as_secs_f64();
    (other.port_counters(sink).sent.frames - before) as f64 / seconds / 1e6
}

/// From the end of an instance under load to the first frame that leaves through another, which is made
/// then with a machine that stands ready.
fn replace(monitor: &dyn Monitor, image: &Image) -> Duration {
    let mut switch = Switch::new(SwitchOptions::default());
    let generator = Box::new(Generator::new(GeneratorOptions::default()));
    let generator = switch.add_port("generator", generator);
    let sink = switch.add_port("sink", Box::new(Sink::default()));
    let place = switch.add_place("function", &["eth0".into(), "eth1".into()]);
    let create = || monitor.create(image, &options()).expect("created");
    switch.put(place, create());
    let ports: Vec<PortId> = switch.devices(place).collect();
    switch.wire(generator, ports[0]);
    switch.wire(ports[1], sink);
    run_for(&mut [&mut switch], Duration::from_millis(20));
    while monitor.prepare(1).expect("prepared") {}
    let begin = Instant::now();
    let remains = switch.take(place);
    let before = switch.port_counters(sink).sent.frames;
    switch.put(place, create());
    while switch.port_counters(sink).sent.frames == before {
        switch.turn();
    }
    let wait = begin.elapsed();
    drop(remains);
    wait
}

/// From the wish for an instance to the one frame that waits for it, where `ready` machines are there.
fn wanted(monitor: &dyn Monitor, image: &Image, ready: usize) -> Duration {
    let mut switch = Switch::new(SwitchOptions::default());
    let one_frame = GeneratorOptions {
        count: Some(1),
        ..GeneratorOptions::default()
    };
    let generator = Box::new(Generator::new(one_frame));
    let generator = switch.add_port("generator", generator);
    let sink = switch.add_port("sink", Box::new(Sink::default()));
    let place = switch.add_place("function", &["eth0".into(), "eth1".into()]);
    let ports: Vec<PortId> = switch.devices(place).collect();
    switch.wire(generator, ports[0]);
    switch.wire(ports[1], sink);
    while monitor.prepare(ready).expect("prepared") {}
    let begin = Instant::now();
    switch.put(place, monitor.create(image, &options()).expect("created"));
    while switch.port_counters(sink).sent.frames == 0 {
        switch.turn();
    }
    begin.elapsed()
}

/// The middle one, in milliseconds.
fn middle(mut waits: Vec<Duration>) -> f64 {
    waits.sort_unstable();
    waits[waits.len() / 2].as_secs_f64() * 1000.0
}

/// What this thread has had of a core.
fn core_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a time since the start")
}

fn run_for(switches: &mut [&mut Switch], length: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < length {
        for switch in &mut *switches {
            switch.turn();
            let events = switch.take_events();
            assert!(events.is_empty(), "{events:?}");
        }
    }
}

/// Frames at the sink, and entries of the instances.
fn counted(switch: &Switch, sink: PortId, places: &[InstanceId]) -> (u64, u64) {
    let entries = places
        .iter()
        .map(|place| switch.instance_counters(*place).entries);
    (switch.port_counters(sink).sent.frames, entries.sum())
}
