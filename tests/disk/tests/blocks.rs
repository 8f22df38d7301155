//! Virtio disks and consoles, over both buses.
#![allow(missing_docs)]

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use self_booting::{boot, boot_monitor, has_qemu, self_booting};
use sprat_monitor::disk::{End, MachineKind, disk};
use sprat_monitor::{Grant, GrantedDevice, Options};
use tempfile::TempDir;

/// What shows a property of the disk `data`.
fn with_disk(property: &str) -> Options {
    let nothing = File::open("/dev/null").expect("there");
    Options {
        parameters: vec![("property".into(), property.into())],
        devices: vec![Grant {
            name: "data".into(),
            device: GrantedDevice::Block {
                file: Arc::new(nothing),
                blocks: 0,
                read_only: false,
            },
        }],
        ..Options::default()
    }
}

/// A file of 64 blocks, of which each begins with its number plus `offset`.
fn numbered(folder: &Path, name: &str, offset: u64) -> std::path::PathBuf {
    let path = folder.join(name);
    let blocks = (0..64).flat_map(|number: u64| [(number + offset).to_le_bytes(); 64]);
    let bytes: Vec<u8> = blocks.flatten().collect();
    fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn a_machines_disk_is_the_images_with_the_size_it_has() {
    if !has_qemu() {
        return;
    }
    for property in ["block-size", "block-read", "block-write"] {
        let file = self_booting("properties", None, &with_disk(property));
        for kind in MachineKind::ALL {
            let folder = TempDir::new().expect("a folder");
            let data = numbered(folder.path(), "data", 0);
            let file = match kind {
                MachineKind::Bios => disk(&boot_monitor(), &file).expect("a disk"),
                MachineKind::Microvm | MachineKind::Pci => file.clone(),
            };
            let outcome = boot(&file, kind, 16, |machine| {
                machine.add_disk(0, "", &data, false);
            });
            assert_eq!(
                outcome.end,
                End::Exited(0),
                "{property} {kind:?}: {outcome:?}"
            );
        }
    }
}

#[test]
fn of_several_disks_the_one_of_the_devices_name_is_taken() {
    if !has_qemu() {
        return;
    }
    let file = self_booting("properties", None, &with_disk("block-read"));
    for kind in [MachineKind::Microvm, MachineKind::Pci] {
        let folder = TempDir::new().expect("a folder");
        let [other, data, third] = [("other", 7), ("data", 0), ("third", 9)]
            .map(|(name, offset)| (name, numbered(folder.path(), name, offset)));
        let outcome = boot(&file, kind, 16, |machine| {
            for (number, (name, path)) in [other, data, third].iter().enumerate() {
                machine.add_disk(number, name, path, false);
            }
        });
        assert_eq!(outcome.end, End::Exited(0), "{kind:?}: {outcome:?}");
    }
}

#[test]
fn the_disk_that_was_booted_from_is_nobodys_to_write() {
    if !has_qemu() {
        return;
    }
    let image = self_booting("properties", None, &with_disk("block-read"));
    let boots = disk(&boot_monitor(), &image).expect("a disk");
    let folder = TempDir::new().expect("a folder");
    let bootable = folder.path().join("bootable");
    fs::write(&bootable, boots).expect("written");
    let outcome = boot(&image, MachineKind::Pci, 16, |machine| {
        machine.add_disk(0, "", &bootable, false);
    });
    assert_eq!(outcome.end, End::Refused, "{outcome:?}");
    let line =
        "sprat: no virtio disk for the device data: the image wants 1, and the machine has 0\n";
    assert_eq!(outcome.console, line);
}

#[test]
fn a_machine_without_a_disk_is_told_which_is_missing() {
    if !has_qemu() {
        return;
    }
    let file = self_booting("properties", None, &with_disk("block-read"));
    for kind in [MachineKind::Microvm, MachineKind::Pci] {
        let outcome = boot(&file, kind, 16, |_| {});
        assert_eq!(outcome.end, End::Refused, "{outcome:?}");
        let line =
            "sprat: no virtio disk for the device data: the image wants 1, and the machine has 0\n";
        assert_eq!(outcome.console, line);
    }
}

#[test]
fn what_is_said_goes_to_a_virtio_console_where_there_is_one() {
    if !has_qemu() {
        return;
    }
    let options = Options {
        parameters: vec![("property".into(), "console-long".into())],
        ..Options::default()
    };
    let file = self_booting("properties", None, &options);
    for kind in [MachineKind::Microvm, MachineKind::Pci] {
        let folder = TempDir::new().expect("a folder");
        let said = folder.path().join("said");
        let outcome = boot(&file, kind, 16, |machine| {
            let chardev = format!("file,id=said,path={}", said.display());
            machine.add_device("serial", "");
            machine.add_arguments(&["-chardev", &chardev]);
            machine.add_arguments(&["-device", "virtconsole,chardev=said"]);
        });
        assert_eq!(outcome.end, End::Exited(0), "{kind:?}: {outcome:?}");
        assert_eq!(outcome.console, "", "nothing is on the serial line");
        let said = fs::read(&said).expect("written");
        assert!(
            said == vec![b'x'; 300_000],
            "{kind:?}: {} bytes",
            said.len()
        );
    }
}
