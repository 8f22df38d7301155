//! Two instances on one core, with a switch between them.

use std::time::{Duration, Instant};

use sprat_monitor::{Death, Image, Monitor, MonitorKind};
use sprat_switch::switch::{Event, Switch, SwitchOptions};

use crate::{BYTES, RUNS, gigabits, median, name, options};

pub(crate) fn measure(monitors: &[Box<dyn Monitor + Send>], image: &Image) {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(1);
    if rustix::thread::sched_setaffinity(None, &cores).is_err() {
        println!("not on a core of its own");
    }
    for monitor in monitors {
        for sender in 1..=2 {
            let runs = (0..RUNS).map(|_| carry(&**monitor, image, sender));
            let rate = median(runs.collect());
            println!("BULK {} {} {rate:.2}", name(&**monitor), sender - 1);
        }
    }
}

fn carry(monitor: &dyn Monitor, image: &Image, sender: u8) -> f64 {
    let receiver = 3 - sender;
    let mut switch = Switch::new(SwitchOptions::default());
    let mut devices = Vec::new();
    // Who takes is there first.
    for (number, to) in [(receiver, None), (sender, Some(receiver))] {
        let place = switch.add_place(&number.to_string(), &["eth0".into()]);
        let instance = monitor.create(image, &options(number, to));
        switch.put(place, instance.expect("created"));
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
    assert!(said.contains(&format!("{BYTES} bytes")), "{said}");
    gigabits(match monitor.kind() {
        MonitorKind::Vm => core_time() - core,
        _ => begin.elapsed(),
    })
}

/// What this thread has had of a core.
fn core_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a time since the start")
}
