//! What the delay of an idle instance is made of on this machine, without any of Sprat's own work: one
//! wake-up of a thread, and one entry of a virtual machine, each after a rest as long as that between
//! two pings of `cargo xtask bench delay`; and the same entry without a rest.
//!
//! Microseconds, medians. Nothing is printed where there is no KVM.

#![allow(missing_docs)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use sprat_image::{BuildOptions, Package, build};
use sprat_monitor::{Image, Instance, Monitor as _, Options, Outcome, VmMonitor};

const REST: Duration = Duration::from_millis(10);
const TIMES: usize = 300;

fn pin(core: usize) {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    if rustix::thread::sched_setaffinity(None, &cores).is_err() {
        println!("not on a core of its own");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// From a byte that a thread writes until another one, which waits for it on another core, has it.
fn wake() -> f64 {
    let (mut here, mut there) = UnixStream::pair().expect("a pair of sockets");
    let begin = Instant::now();
    let waiting = thread::spawn(move || {
        pin(1);
        let mut told = [0; 8];
        let mut waits = Vec::new();
        while there.read_exact(&mut told).is_ok() {
            let now = begin.elapsed();
            let written = Duration::from_nanos(u64::from_ne_bytes(told));
            waits.push((now - written).as_secs_f64() * 1e6);
        }
        median(waits)
    });
    pin(0);
    for _ in 0..TIMES {
        sleep(REST);
        let now = u64::try_from(begin.elapsed().as_nanos()).expect("not for centuries");
        here.write_all(&now.to_ne_bytes()).expect("written");
    }
    drop(here);
    waiting.join().expect("it ends")
}

/// One entry of an instance that has nothing to do.
fn enter(instance: &mut dyn Instance, rest: Duration) -> f64 {
    let waits = (0..TIMES).map(|_| {
        if !rest.is_zero() {
            sleep(rest);
        }
        let begin = Instant::now();
        let outcome = instance.enter(Duration::from_secs(1), false);
        let wait = begin.elapsed().as_secs_f64() * 1e6;
        assert!(
            matches!(outcome, Ok(Outcome::Yielded { .. })),
            "{outcome:?}"
        );
        wait
    });
    median(waits.collect())
}

fn main() {
    let Ok(monitor) = VmMonitor::open() else {
        return;
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
    let options = Options {
        configuration: "Idle".into(),
        ..Options::default()
    };
    println!("REST wake {:.1}", wake());
    pin(1);
    let mut instance = monitor.create(&image, &options).expect("created");
    enter(&mut *instance, Duration::ZERO);
    println!("REST entry {:.1}", enter(&mut *instance, REST));
    println!("REST again {:.1}", enter(&mut *instance, Duration::ZERO));
}
