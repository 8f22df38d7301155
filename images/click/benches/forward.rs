//! What a frame costs in the middlebox image: host to instance and back, on one core.
//!
//! Frames are delivered in batches of up to 1,024, the instance is entered, what it sent is drained.
//! Each line is one configuration under one monitor; `empty` enters an instance without frames, which
//! is what the boundary costs.

#![allow(missing_docs)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_image::{BuildOptions, Package, build};
use sprat_monitor::{
    Grant, GrantedDevice, Image, Instance, Monitor, Options, Outcome, ProcessMonitor, VmMonitor,
};

const CONFIGURATIONS: &[(&str, &str)] = &[
    ("mirror", "FromDevice(eth0) -> EtherMirror -> ToDevice(eth0)"),
    ("queue", "FromDevice(eth0) -> EtherMirror -> Queue(2000) -> ToDevice(eth0)"),
    (
        "router",
        "FromDevice(eth0) -> Strip(14) -> CheckIPHeader -> IPFilter(deny src host 1.2.3.4, allow all)
         -> DecIPTTL -> EtherEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2) -> ToDevice(eth0)",
    ),
];

/// Entries in one run.
const ROUNDS: usize = 20;

/// An Ethernet frame of 60 bytes with an IPv4 header and UDP in it, as a small frame is without its
/// check sequence.
fn frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([
        0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    frame.extend([0; 26]);
    let sum = frame[14..34]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let check = u16::try_from(!folded & 0xffff).expect("16 bits");
    frame[24..26].copy_from_slice(&check.to_be_bytes());
    frame
}

fn enter(instance: &mut dyn Instance) {
    let outcome = instance
        .enter(Duration::from_secs(5), false)
        .expect("entered");
    let mut text = [0; 4096];
    let count = instance.shared().read_console(&mut text).expect("honest");
    assert!(
        matches!(outcome, Outcome::Yielded { .. }),
        "{outcome:?} {}",
        String::from_utf8_lossy(&text[..count])
    );
}

/// Seconds for `rounds` entries with `batch` frames each, and how many frames came back.
fn rounds(instance: &mut dyn Instance, frame: &[u8], batch: usize, rounds: usize) -> (f64, u64) {
    let mut returned = 0;
    let start = Instant::now();
    for _ in 0..rounds {
        let frames = (0..batch).map(|_| Frame::new(frame, FrameHead::at(1)));
        instance.shared().deliver(0, frames).expect("honest");
        enter(instance);
        let sink = |part: Frame<'_>| returned += u64::from(!part.is_empty());
        instance.shared().drain(0, u32::MAX, sink).expect("honest");
        instance.shared().reclaim().expect("honest");
    }
    (start.elapsed().as_secs_f64(), returned)
}

fn measure(monitor: &dyn Monitor, image: &Image, name: &str, configuration: &str) {
    let network = GrantedDevice::Network {
        address: [2, 0, 0, 0, 0, 1],
        frame_limit: 1514,
        features: 0,
    };
    let options = Options {
        configuration: configuration.into(),
        devices: vec![Grant {
            name: "eth0".into(),
            device: network,
        }],
        huge_pool: true,
        ..Options::default()
    };
    let mut instance = monitor.create(image, &options).expect("created");
    enter(&mut *instance);
    let frame = frame();
    rounds(&mut *instance, &frame, 1024, 50);
    let best = |batch: usize, count: usize, instance: &mut dyn Instance| {
        // Many short runs, of which the best: on a busy machine a long one is never left alone.
        let runs = (0..100).map(|_| rounds(instance, &frame, batch, count));
        runs.min_by(|one, other| one.0.total_cmp(&other.0))
            .expect("a hundred runs")
    };
    let (empty, _) = best(0, ROUNDS, &mut *instance);
    let boundary = empty / ROUNDS as f64;
    for batch in [32, 256, 1024] {
        let (seconds, returned) = best(batch, ROUNDS, &mut *instance);
        let frames = (batch * ROUNDS) as f64;
        println!(
            "{:8} {name:8} batch {batch:4}: {:6.2} M frames/s, {:5.1} ns a frame, {:5.1} without the {:.1} µs boundary, {} of {} returned",
            format!("{:?}", monitor.kind()),
            frames / seconds / 1e6,
            seconds / frames * 1e9,
            (seconds - empty) / frames * 1e9,
            boundary * 1e6,
            returned,
            batch * ROUNDS,
        );
    }
}

fn main() {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.join("../..").canonicalize().expect("the workspace");
    let package = Package {
        workspace: workspace.clone(),
        name: "click".into(),
    };
    let options = BuildOptions::new(workspace.join("target/images"));
    let built = build(&package, &options, &mut |_| {}).expect("the image builds");
    println!("image: {} bytes", built.image.len());
    let image = Image::load(&built.image).expect("a sound image");
    let mut monitors: Vec<Box<dyn Monitor>> = vec![Box::new(ProcessMonitor::new())];
    match VmMonitor::open() {
        Ok(monitor) => monitors.push(Box::new(monitor)),
        Err(error) => eprintln!("no KVM here: {error}"),
    }
    for monitor in monitors {
        for (name, configuration) in CONFIGURATIONS {
            measure(&*monitor, &image, name, configuration);
        }
    }
}
