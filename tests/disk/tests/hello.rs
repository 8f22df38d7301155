//! The smallest image, by itself.
#![allow(missing_docs)]

use std::time::Duration;

use self_booting::{boot, boot_monitor, has_qemu, self_booting};
use sprat_monitor::Options;
use sprat_monitor::disk::{End, MachineKind, disk};

/// Both machines that take an image from QEMU's own hands.
const PVH: [MachineKind; 2] = [MachineKind::Microvm, MachineKind::Pci];

#[test]
fn hello_says_its_line_and_powers_off_in_four_megabytes() {
    if !has_qemu() {
        return;
    }
    let options = Options {
        parameters: vec![("name".into(), "disk".into())],
        ..Options::default()
    };
    let file = self_booting("hello", None, &options);
    for kind in PVH {
        let outcome = boot(&file, kind, 4, |_| {});
        assert_eq!(outcome.end, End::Exited(0), "{kind:?}: {outcome:?}");
        assert!(
            outcome.console.ends_with("INFO  hello: hello, disk\n"),
            "{kind:?}: {outcome:?}"
        );
    }
}

#[test]
fn the_smallest_machine_boots_within_a_third_of_a_second() {
    if !has_qemu() {
        return;
    }
    let file = self_booting("hello", None, &Options::default());
    // The bar is for a machine with nothing else to do; the best of several is what such a one takes.
    let best = (0..10)
        .map(|_| boot(&file, MachineKind::Microvm, 4, |_| {}).elapsed)
        .min()
        .expect("ten");
    println!("from QEMU's start to its end: {best:?} at best");
    assert!(best < Duration::from_millis(330), "{best:?}");
}

#[test]
fn what_is_wrong_with_a_machine_is_said_in_one_line() {
    if !has_qemu() {
        return;
    }
    let file = self_booting("hello", None, &Options::default());
    let said = |file: &[u8], kind, memory, arguments: &[&str]| {
        let outcome = boot(file, kind, memory, |machine| {
            machine.add_arguments(arguments)
        });
        assert_eq!(outcome.end, End::Refused, "{outcome:?}");
        let lines: Vec<&str> = outcome
            .console
            .lines()
            .filter(|line| line.contains("sprat: "))
            .collect();
        assert_eq!(lines.len(), 1, "{outcome:?}");
        lines[0].to_owned()
    };
    for kind in PVH {
        let line = said(&file, kind, 64, &["-cpu", "qemu32"]);
        assert!(line.contains("no 64-bit long mode"), "{line}");
        let line = said(&without_its_end(&file), kind, 64, &[]);
        assert!(line.contains("cut short or damaged"), "{line}");
    }
    let long = Options {
        configuration: vec![b'x'; 1 << 20],
        ..Options::default()
    };
    let long = self_booting("hello", None, &long);
    let line = said(&long, MachineKind::Microvm, 2, &[]);
    assert!(line.contains("too little memory"), "{line}");
    let wide = Options {
        configuration: vec![b'x'; 800 << 10],
        ..Options::default()
    };
    let wide = self_booting("hello", None, &wide);
    let line = said(&wide, MachineKind::Microvm, 2, &[]);
    assert!(line.contains("too little memory"), "{line}");
}

/// The file with other bytes for its last page: what a loader makes of one that was cut short.
fn without_its_end(file: &[u8]) -> Vec<u8> {
    let mut damaged = file.to_vec();
    let end = damaged.len();
    damaged[end - 4096..].fill(0xff);
    damaged
}

/// The file as a raw disk.
fn raw_disk(file: &[u8]) -> Vec<u8> {
    disk(&boot_monitor(), file).expect("a disk")
}

#[test]
fn a_bios_boots_the_raw_disk_within_a_second() {
    if !has_qemu() {
        return;
    }
    let file = raw_disk(&self_booting("hello", None, &Options::default()));
    let booted = || boot(&file, MachineKind::Bios, 4, |_| {});
    let first = booted();
    assert_eq!(first.end, End::Exited(0), "{first:?}");
    assert!(
        first.console.ends_with("INFO  hello: hello, world\n"),
        "{first:?}"
    );
    let best = (0..10).map(|_| booted().elapsed).min().expect("ten");
    println!("from QEMU's start to its end: {best:?} at best");
    assert!(best < Duration::from_secs(1), "{best:?}");
}

#[test]
fn a_disk_that_was_cut_short_is_named() {
    if !has_qemu() {
        return;
    }
    let file = raw_disk(&self_booting("hello", None, &Options::default()));
    for length in [1536, 16 << 10, file.len() - 16_384] {
        let outcome = boot(&file[..length], MachineKind::Bios, 16, |_| {});
        assert_eq!(outcome.end, End::Refused, "{length}: {outcome:?}");
        let line = "sprat: the disk cannot be read, or ends before its image does\n";
        assert_eq!(outcome.console, line, "{length}");
    }
}
