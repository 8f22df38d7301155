//! The Multiboot2 door, opened by GRUB itself.
#![allow(missing_docs)]

use std::fs;
use std::path::Path;
use std::process::Command;

use self_booting::{boot, has_program, has_qemu, self_booting};
use sprat_monitor::Options;
use sprat_monitor::disk::{End, MachineKind};
use tempfile::TempDir;

/// GRUB's part for PCs, in its Debian package `grub-pc-bin`.
const FOR_PCS: &str = "/usr/lib/grub/i386-pc/multiboot2.mod";

fn has_grub() -> bool {
    if !Path::new(FOR_PCS).exists() {
        println!("skipped: needs {FOR_PCS}");
        return false;
    }
    has_program("grub-mkrescue") && has_program("xorriso")
}

#[test]
fn grub_boots_the_elf_file() {
    if !has_qemu() || !has_grub() {
        return;
    }
    let options = Options {
        parameters: vec![("name".into(), "GRUB".into())],
        ..Options::default()
    };
    let file = self_booting("hello", None, &options);
    let folder = TempDir::new().expect("a folder");
    let boots = folder.path().join("content/boot");
    fs::create_dir_all(boots.join("grub")).expect("made");
    fs::write(boots.join("hello.elf"), file).expect("written");
    let menu = "multiboot2 /boot/hello.elf\nboot\n";
    fs::write(boots.join("grub/grub.cfg"), menu).expect("written");
    let disk = folder.path().join("disk");
    let made = Command::new("grub-mkrescue")
        .args(["-d", "/usr/lib/grub/i386-pc", "-o"])
        .arg(&disk)
        .arg(folder.path().join("content"))
        .output()
        .expect("it runs");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let disk = fs::read(&disk).expect("written");
    let outcome = boot(&disk, MachineKind::Bios, 64, |_| {});
    assert_eq!(outcome.end, End::Exited(0), "{outcome:?}");
    assert!(
        outcome.console.ends_with("INFO  hello: hello, GRUB\n"),
        "{outcome:?}"
    );
}
