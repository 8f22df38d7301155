//! What an idle firewall costs in memory, the host's side included: processes, page tables and what
//! the kernel keeps for them.
//!
//! The kernel's own count is used: this process moves into a memory control group of its own and
//! makes many instances, each of which forwards a frame and then idles. That needs root. Afterwards
//! each has to forward another frame.
//!
//! A line for each monitor: `MEMORY`, which, how many, bytes for each.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_image::{BuildOptions, Package, build};
use sprat_monitor::{
    Grant, GrantedDevice, Image, Instance, Monitor, Options, Outcome, ProcessMonitor, VmMonitor,
};

/// How many instances.
const INSTANCES: usize = 64;

/// A memory control group that holds this process until it is dropped.
struct Group {
    folder: PathBuf,
    parent: PathBuf,
    usage: &'static str,
}

impl Group {
    fn enter() -> io::Result<Self> {
        let first = Path::new("/sys/fs/cgroup/memory");
        let (parent, usage) = if first.exists() {
            (first, "memory.usage_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.current")
        };
        let folder = parent.join(format!("sprat-bench-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let group = Self {
            folder,
            parent: parent.to_owned(),
            usage,
        };
        fs::write(
            group.folder.join("cgroup.procs"),
            std::process::id().to_string(),
        )?;
        Ok(group)
    }

    /// Bytes that everything in the group takes.
    fn bytes(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join(self.usage)).expect("a count");
        text.trim().parse().expect("a number")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What stays behind is an empty folder.
        let _ = fs::write(
            self.parent.join("cgroup.procs"),
            std::process::id().to_string(),
        );
        let _ = fs::remove_dir(&self.folder);
    }
}

fn options(configuration: &str) -> Options {
    let device = |name: &str, number| Grant {
        name: name.into(),
        device: GrantedDevice::Network {
            address: [2, 0, 0, 0, 0, number],
            frame_limit: 1514,
            features: 0,
        },
    };
    Options {
        configuration: configuration.into(),
        devices: vec![device("eth0", 1), device("eth1", 2)],
        ..Options::default()
    }
}

/// Has an instance take an ARP request and forward it: true if it did.
fn forwards(instance: &mut dyn Instance) -> bool {
    let mut frame = [0; 60];
    frame[..14].copy_from_slice(&[255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9, 8, 6]);
    let frames = [Frame::new(&frame, FrameHead::at(1))];
    instance.shared().deliver(0, frames).expect("honest");
    let mut sent = 0;
    // A new one first sets itself up.
    for _ in 0..4 {
        let outcome = instance
            .enter(Duration::from_secs(5), false)
            .expect("entered");
        assert!(matches!(outcome, Outcome::Yielded { .. }), "{outcome:?}");
        let shared = instance.shared();
        shared.drain(1, u32::MAX, |_| sent += 1).expect("honest");
        shared.reclaim().expect("honest");
        if sent > 0 {
            break;
        }
    }
    sent > 0
}

/// An instance that has forwarded a frame and waits for more.
fn idle(monitor: &dyn Monitor, image: &Image, options: &Options) -> Box<dyn Instance> {
    let mut instance = monitor.create(image, options).expect("created");
    assert!(forwards(&mut *instance), "it forwards");
    // What it does when there is nothing more.
    let outcome = instance.enter(Duration::from_secs(5), false);
    assert!(
        matches!(outcome, Ok(Outcome::Yielded { .. })),
        "{outcome:?}"
    );
    instance
}

fn main() {
    let group = match Group::enter() {
        Ok(group) => group,
        Err(error) => {
            println!("not measured: needs root and memory control groups ({error})");
            return;
        }
    };
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.join("../..").canonicalize().expect("the workspace");
    let package = Package {
        workspace: workspace.clone(),
        name: "click".into(),
    };
    let targets = BuildOptions::new(workspace.join("target/images"));
    let built = build(&package, &targets, &mut |_| {}).expect("the image builds");
    let image = Image::load(&built.image).expect("a sound image");
    let firewall = workspace.join("examples/firewall/firewall.click");
    let options = options(&fs::read_to_string(firewall).expect("the example"));
    let mut monitors: Vec<Box<dyn Monitor>> = vec![Box::new(ProcessMonitor::new())];
    if let Ok(monitor) = VmMonitor::open() {
        monitors.push(Box::new(monitor));
    }
    allow_descriptors();
    for monitor in monitors {
        // The first brings in what all of them share.
        let first = idle(&*monitor, &image, &options);
        let before = group.bytes();
        let mut instances: Vec<_> = (0..INSTANCES)
            .map(|_| idle(&*monitor, &image, &options))
            .collect();
        let each = group.bytes().saturating_sub(before) / INSTANCES as u64;
        for instance in &mut instances {
            assert!(forwards(&mut **instance), "it still forwards");
        }
        println!("MEMORY {:?} {INSTANCES} {each}", monitor.kind());
        drop(first);
    }
}

/// As many open files as this process may have: an instance takes three.
fn allow_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is not allowed, fewer instances are.
    let _ = setrlimit(Resource::Nofile, limit);
}
