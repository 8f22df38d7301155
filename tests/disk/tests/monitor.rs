//! Emulated machines as one more monitor: the same calls as for any instance.
#![allow(missing_docs)]

use std::time::Duration;

use self_booting::{boot_monitor, has_qemu, image};
use sprat_monitor::disk::{DiskMonitor, MachineKind};
use sprat_monitor::{Cause, Image, Instance, Monitor as _, Options, Outcome};

/// Enters an instance until it ends; how, and what was on its console.
fn run(instance: &mut dyn Instance) -> (Outcome, String) {
    let mut text = Vec::new();
    loop {
        let outcome = instance
            .enter(Duration::from_millis(100), false)
            .expect("entered");
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = instance.shared().read_console(&mut part) {
            text.extend_from_slice(&part[..count]);
        }
        if !matches!(outcome, Outcome::Yielded { .. }) {
            return (outcome, String::from_utf8_lossy(&text).into_owned());
        }
    }
}

#[test]
fn hello_runs_on_every_machine_as_under_any_monitor() {
    if !has_qemu() {
        return;
    }
    let image = Image::load(&image("hello", None).image).expect("an image");
    for kind in MachineKind::ALL {
        let monitor = DiskMonitor::new(boot_monitor(), kind, None);
        let mut instance = monitor.create(&image, &Options::default()).expect("made");
        let (outcome, console) = run(&mut *instance);
        assert!(
            matches!(outcome, Outcome::Exited { status: 0 }),
            "{kind:?}: {outcome:?} {console}"
        );
        assert!(
            console.ends_with("INFO  hello: hello, world\n"),
            "{console}"
        );
    }
}

#[test]
fn a_fault_is_reported_with_registers_region_and_backtrace() {
    if !has_qemu() {
        return;
    }
    let built = image("sealed", Some("writes_text"));
    let image = Image::load(&built.image).expect("an image");
    let monitor = DiskMonitor::new(boot_monitor(), MachineKind::Microvm, None);
    let mut instance = monitor.create(&image, &Options::default()).expect("made");
    let (outcome, console) = run(&mut *instance);
    let Outcome::Faulted(report) = outcome else {
        panic!("{outcome:?} {console}");
    };
    let Cause::Exception {
        vector, error_code, ..
    } = report.cause
    else {
        panic!("{report}");
    };
    // A page fault by a write to a page that is there.
    assert_eq!((vector, error_code), (14, 3), "{report}");
    assert_eq!(report.region, Some("image text"));
    assert!(report.backtrace.len() > 1, "{report}");
    let code = image.segments()[1].pages.clone();
    assert!(code.contains(&report.registers.rip), "{report}");
}
