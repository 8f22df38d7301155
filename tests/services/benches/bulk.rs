//! What one TCP connection carries between two instances on one core, with an MTU of 1,500.
//!
//! Each line is one direction: `BULK`, the monitor, which of the two sends, and Gbit a second: of the
//! core's time under KVM, so that others who use the machine do not count; of the clock's where the
//! instances are processes of their own. The middle one of several runs is printed.
#![allow(missing_docs)]

use std::time::{Duration, Instant};

use services::{built, monitors};
use sprat_monitor::{Death, Grant, GrantedDevice, Image, Monitor, MonitorKind, Options};
use sprat_switch::switch::{Event, Switch, SwitchOptions};

const RUNS: usize = 5;

const MEBIBYTES: u64 = 512;

fn main() {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(1);
    if rustix::thread::sched_setaffinity(None, &cores).is_err() {
        println!("not on a core of its own");
    }
    let image = Image::load(&built("bulk").image).expect("a sound image");
    for monitor in monitors() {
        for sender in 0..2 {
            let mut rates: Vec<_> = (0..RUNS)
                .map(|_| measure(&*monitor, &image, sender))
                .collect();
            rates.sort_by(f64::total_cmp);
            let name = format!("{:?}", monitor.kind()).to_lowercase();
            println!("BULK {name} {sender} {:.2}", rates[RUNS / 2]);
        }
    }
}

fn measure(monitor: &dyn Monitor, image: &Image, sender: u8) -> f64 {
    let mut switch = Switch::new(SwitchOptions::default());
    let mut devices = Vec::new();
    // Who takes is there first.
    for number in [1 - sender, sender] {
        let place = switch.add_place(&number.to_string(), &["eth0".into()]);
        let mut parameters = vec![("ip".into(), format!("10.0.0.{}/24", number + 1))];
        if number == sender {
            parameters.push(("to".into(), format!("10.0.0.{}", 2 - sender)));
            parameters.push(("mebibytes".into(), MEBIBYTES.to_string()));
        }
        let options = Options {
            parameters,
            devices: vec![Grant {
                name: "eth0".into(),
                device: GrantedDevice::Network {
                    address: [2, 0, 0, 0, 0, number],
                    frame_limit: 1514,
                    features: 0,
                },
            }],
            ..Options::default()
        };
        switch.put(place, monitor.create(image, &options).expect("created"));
        devices.extend(switch.devices(place));
    }
    switch.wire(devices[0], devices[1]);
    let (begin, core) = (Instant::now(), core_time());
    let (mut ended, mut said) = (0, String::new());
    while ended < 2 {
        switch.turn();
        for event in switch.take_events() {
            match event {
                Event::Ended { death, .. } => {
                    assert!(matches!(*death, Death::Exited(0)), "{death:?} {said}");
                    ended += 1;
                }
                Event::Console { text, .. } => said += &String::from_utf8_lossy(&text),
                other => panic!("{other:?}"),
            }
        }
    }
    let seconds = match monitor.kind() {
        MonitorKind::Vm => core_time() - core,
        _ => begin.elapsed(),
    };
    let bytes = MEBIBYTES << 20;
    assert!(said.contains(&format!("{bytes} bytes")), "{said}");
    bytes as f64 * 8.0 / seconds.as_secs_f64() / 1e9
}

/// What this thread has had of a core.
fn core_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a time since the start")
}
