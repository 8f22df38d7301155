//! Emulated machines as one more monitor: the same calls as for any instance.
#![allow(missing_docs)]

use std::fs;
use std::time::{Duration, Instant};

use self_booting::{boot_monitor, has_qemu, image, workspace};
use sprat_abi::control::{MessageHead, MessageKind};
use sprat_monitor::disk::{DiskMonitor, MachineKind};
use sprat_monitor::{Cause, Grant, GrantedDevice, Image, Instance, Monitor as _, Options, Outcome};

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

/// Asks a running instance for a handler: the answer's status and text.
fn ask(instance: &mut dyn Instance, handler: &str) -> (u32, String) {
    let head = MessageHead {
        id: 1,
        kind: MessageKind::Read as u16,
        ..MessageHead::default()
    };
    let sent = instance
        .shared()
        .send_request(head, handler.as_bytes(), b"");
    assert_eq!(sent, Ok(true));
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        let outcome = instance.enter(Duration::from_millis(100), false);
        assert!(
            matches!(outcome, Ok(Outcome::Yielded { .. })),
            "{outcome:?}"
        );
        let mut buffer = vec![0; instance.shared().answer_limit()];
        let answer = instance.shared().receive_answer(&mut buffer);
        if let Some(answer) = answer.expect("an honest ring") {
            let text = String::from_utf8_lossy(answer.data).into_owned();
            return (answer.head.status, text);
        }
    }
    panic!("no answer");
}

fn cards(count: u8) -> Vec<Grant> {
    let card = |number| Grant {
        name: format!("eth{number}"),
        device: GrantedDevice::Network {
            address: [2, 0, 0, 0, 0, number],
            frame_limit: 1514,
            features: 0,
        },
    };
    (0..count).map(card).collect()
}

#[test]
fn the_firewall_runs_in_8_megabytes_and_the_web_server_in_16() {
    if !has_qemu() {
        return;
    }
    let path = workspace().join("examples/firewall/firewall.click");
    let firewall = Options {
        configuration: fs::read(path).expect("there"),
        devices: cards(2),
        ..Options::default()
    };
    let web = Options {
        devices: cards(1),
        ..Options::default()
    };
    // The middlebox here has every element, of which a firewall's own image has few.
    for (package, memory, options, handler) in [
        ("click", 8, firewall, "arp.count"),
        ("web", 16, web, "os.tasks"),
    ] {
        let image = Image::load(&image(package, None).image).expect("an image");
        for kind in MachineKind::ALL {
            let monitor = DiskMonitor::new(boot_monitor(), kind, Some(memory));
            let made = monitor.create(&image, &options);
            let mut instance = made.unwrap_or_else(|error| panic!("{package} {kind:?}: {error}"));
            let (status, text) = ask(&mut *instance, handler);
            assert_eq!(status, 200, "{package} {kind:?}: {text}");
        }
    }
}
