//! What this machine has, and getting what it lacks.

use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether a program of that name is on the PATH, or a file of that whole name there.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").into()])
        .any(|folder| folder.join(name).is_file())
}

/// Whether /dev/kvm is KVM's and can be opened for reading and writing. Something else stands there
/// where it is hidden from a container.
pub(crate) fn has_kvm() -> bool {
    /// Major and minor number of KVM's device (Linux' list of allocated devices).
    const KVM: u64 = 10 << 8 | 232;
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .and_then(|device| device.metadata())
        .is_ok_and(|device| device.rdev() == KVM)
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n")
}

/// How many bytes can still be written where `folder` lies. `None` where `df` cannot tell.
pub(crate) fn free_space(folder: &Path) -> Option<u64> {
    let output = Command::new("df")
        .args(["--output=avail", "--block-size=1"])
        .arg(folder)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.trim().parse().ok()
}

/// Whether this machine has what the reason for a skip says was missing, so that the skip is
/// not to be accepted. Reasons name what they need: KVM, root, namespaces, or a program.
pub(crate) fn contradicts(why: &str) -> bool {
    let why = why.to_lowercase();
    // In front of the reason stands the test's name, which may be that of a program.
    let reason = why
        .rsplit_once("needs ")
        .map_or(&*why, |(_, reason)| reason);
    let words: Vec<&str> = reason
        .split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)))
        .collect();
    let named = |word: &str| words.contains(&word);
    (named("kvm") && has_kvm())
        || (named("root") && is_root())
        || ((named("namespace") || named("namespaces")) && is_root())
        || PROGRAMS
            .iter()
            .any(|(program, _)| named(program) && has_program(program))
}

/// The programs that tests start, and Debian's packages that hold them.
const PROGRAMS: [(&str, &str); 16] = [
    // The fuzzer that fuzz targets are linked with is C++.
    ("c++", "g++"),
    // Two of Click's own cases talk to a control socket with it.
    ("nc", "netcat-openbsd"),
    ("curl", "curl"),
    // Makes certificates, and is the other side of TLS.
    ("openssl", "openssl"),
    ("dig", "bind9-dnsutils"),
    ("redis-cli", "redis-tools"),
    ("redis-benchmark", "redis-tools"),
    ("tcpdump", "tcpdump"),
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("python3", "python3"),
    ("valgrind", "valgrind"),
    // Boots the images that boot by themselves.
    ("qemu-system-x86_64", "qemu-system-x86"),
    // Boots one of them from a disk of its own. Its part for PCs has no program: a file of it.
    ("grub-mkrescue", "grub-common"),
    ("/usr/lib/grub/i386-pc/multiboot2.mod", "grub-pc-bin"),
    ("xorriso", "xorriso"),
];

/// Installs the programs that tests start and this machine lacks, saying what.
pub(crate) fn install_programs() {
    install_packages(&PROGRAMS);
}

/// Installs those of the programs that this machine lacks, each given with its Debian package.
///
/// Where that cannot be done it says so and goes on: what needs them will say so too.
pub(crate) fn install_packages(programs: &[(&str, &str)]) {
    let packages: Vec<_> = programs
        .iter()
        .filter(|(program, _)| !has_program(program))
        .map(|(_, package)| *package)
        .collect();
    if packages.is_empty() {
        return;
    }
    if !is_root() || !has_program("apt-get") {
        println!(
            "    lacks {}: as root on Debian, apt-get install {0}",
            packages.join(" ")
        );
        return;
    }
    println!("    installing {} (apt-get)", packages.join(" "));
    let apt = |arguments: &[&str]| {
        Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&packages);
    // The lists may be missing or old: fetch them only when the first attempt shows it.
    let installed = apt(&install) || apt(&["update", "-qq"]) && apt(&install);
    if !installed {
        println!("    apt-get could not install {}", packages.join(" "));
    }
}

/// Installs a cargo subcommand from crates.io where it is missing, saying so.
///
/// # Errors
/// It could not be installed.
pub(crate) fn install_cargo_tool(name: &str) -> std::io::Result<()> {
    let home = std::env::var_os("CARGO_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    if has_program(name) || home.is_some_and(|home| home.join("bin").join(name).is_file()) {
        return Ok(());
    }
    println!("    installing {name} (cargo install)");
    let mut install = crate::process::cargo(&["install", "--locked", "--quiet", name]);
    if crate::process::show(&mut install)? {
        Ok(())
    } else {
        Err(std::io::Error::other(format!(
            "cargo could not install {name}"
        )))
    }
}

/// Adds rustfmt and clippy to the toolchain where they are missing, saying so.
pub(crate) fn install_components() {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let there = crate::process::cargo(&[subcommand, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !there {
            println!("    installing {component} (rustup component add)");
            let done = Command::new("rustup")
                .args(["component", "add", component])
                .status();
            if !done.is_ok_and(|status| status.success()) {
                println!("    rustup could not add {component}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(has_program("sh"));
        assert!(!has_program("no-such-program-anywhere"));
    }

    #[test]
    fn a_skip_for_want_of_kvm_is_accepted_only_without_kvm() {
        assert_eq!(
            contradicts("monitor::boots: needs KVM (/dev/kvm)"),
            has_kvm()
        );
        assert!(!contradicts("needs 1 GiB hugepages"));
        // Every machine that runs this has a shell; the test's name is no reason.
        assert!(!contradicts(
            "ip_and_python3::answer: needs 1 GiB hugepages"
        ));
    }
}
