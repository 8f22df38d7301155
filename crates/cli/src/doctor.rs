//! `sprat doctor`: what this machine can do, and how to make it do the rest.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use serde::Serialize;
use sprat_monitor::{ProcessMonitor, VmMonitor};

use crate::output::{complain, print};

/// Says what this machine can do (KVM, huge pages, namespaces, XDP) and how to fix what it cannot.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorCommand {
    /// Prints the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Good,
    /// Works, though better could be had.
    Fair,
    /// Missing; something else is used, or a feature is not there.
    Missing,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    found: String,
    /// What it means for Sprat, and what to do where it is not good.
    advice: String,
}

impl Finding {
    fn new(
        what: &'static str,
        state: State,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            what,
            state,
            found: found.into(),
            advice: advice.into(),
        }
    }
}

impl DoctorCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        match print(&report(self.json)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain!("error: standard output: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

fn report(json: bool) -> String {
    let findings = [
        kvm(),
        virtualization(),
        process_monitor(),
        huge_pages(),
        namespaces(),
        xdp(),
        tap(),
        lowest_address(),
    ];
    if json {
        // Findings hold nothing that JSON cannot.
        return serde_json::to_string_pretty(&findings).unwrap_or_default() + "\n";
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    for finding in &findings {
        let mark = match finding.state {
            State::Good => "ok",
            State::Fair => "fair",
            State::Missing => "missing",
        };
        table.add_row([mark, finding.what, &finding.found, &finding.advice]);
    }
    table.trim_fmt() + "\n"
}

fn kvm() -> Finding {
    let what = "KVM";
    match VmMonitor::open() {
        Ok(_) => Finding::new(
            what,
            State::Good,
            "/dev/kvm can be used",
            "instances run as virtual machines",
        ),
        Err(error) => {
            let advice = if !Path::new("/dev/kvm").exists() {
                "instances run as processes under seccomp; for virtual machines load kvm_intel or kvm_amd, \
                 or enable nested virtualization where this is a virtual machine"
            } else {
                "instances run as processes under seccomp; for virtual machines add yourself to the group of \
                 /dev/kvm (often `sudo usermod -aG kvm $USER`, then log in again)"
            };
            Finding::new(what, State::Missing, error.to_string(), advice)
        }
    }
}

fn virtualization() -> Finding {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has = |flag: &str| {
        flags
            .lines()
            .any(|line| line.starts_with("flags") && line.split(' ').any(|word| word == flag))
    };
    let what = "hardware virtualization";
    if has("vmx") || has("svm") {
        Finding::new(
            what,
            State::Good,
            if has("vmx") { "Intel VT-x" } else { "AMD-V" },
            "entries take about a microsecond",
        )
    } else {
        Finding::new(
            what,
            State::Fair,
            "the processor shows none",
            "KVM, where it works, emulates: sealed instances run at full speed, entries take tens of \
             microseconds; enable it in the firmware or in the hypervisor around this machine",
        )
    }
}

fn process_monitor() -> Finding {
    let seccomp =
        fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("Seccomp:"));
    let landlock = ProcessMonitor::new().has_landlock();
    let what = "process monitor";
    match (seccomp, landlock) {
        (true, true) => Finding::new(
            what,
            State::Good,
            "seccomp and Landlock",
            "ready, with --monitor process",
        ),
        (true, false) => Finding::new(
            what,
            State::Fair,
            "seccomp, no Landlock",
            "ready, with --monitor process; Landlock needs Linux 5.13 and `lsm=landlock,...`",
        ),
        (false, _) => Finding::new(
            what,
            State::Missing,
            "no seccomp",
            "the kernel needs CONFIG_SECCOMP_FILTER",
        ),
    }
}

fn huge_pages() -> Finding {
    let what = "huge pages";
    let reserved = field("/proc/meminfo", "HugePages_Total").unwrap_or(0);
    let transparent =
        fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let chosen = transparent
        .split(['[', ']'])
        .nth(1)
        .unwrap_or("never")
        .to_string();
    if reserved > 0 {
        Finding::new(
            what,
            State::Good,
            format!("{reserved} reserved"),
            "frame buffers use them",
        )
    } else if chosen == "never" {
        Finding::new(
            what,
            State::Missing,
            "none reserved, transparent ones off",
            "first touches of frame buffers are slow; as root: `sysctl vm.nr_hugepages=64`",
        )
    } else {
        Finding::new(
            what,
            State::Fair,
            format!("none reserved, transparent ones: {chosen}"),
            "enough for a few instances; for many, as root: `sysctl vm.nr_hugepages=64`",
        )
    }
}

/// A number from a file of `NAME: NUMBER` lines.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn namespaces() -> Finding {
    let what = "user namespaces";
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let most = number("/proc/sys/user/max_user_namespaces").unwrap_or(0);
    let allowed = number("/proc/sys/kernel/unprivileged_userns_clone").unwrap_or(1) != 0;
    if rustix::process::geteuid().is_root() {
        Finding::new(
            what,
            State::Good,
            "not needed: this is root",
            "network tests run in namespaces of their own",
        )
    } else if most > 0 && allowed {
        Finding::new(
            what,
            State::Good,
            format!("up to {most}"),
            "tests need no root",
        )
    } else {
        Finding::new(
            what,
            State::Missing,
            "not allowed to users",
            "network tests are skipped unless run as root; as root: `sysctl kernel.unprivileged_userns_clone=1`",
        )
    }
}

fn xdp() -> Finding {
    let what = "AF_XDP";
    match socket(AddressFamily::XDP, SocketType::RAW, None) {
        Ok(_) => Finding::new(
            what,
            State::Good,
            "sockets can be made",
            "for live ports at speed: `--port eth0=xdp:INTERFACE`",
        ),
        Err(Errno::PERM | Errno::ACCESS) => Finding::new(
            what,
            State::Fair,
            "the kernel has it; this user may not",
            "live ports at speed need CAP_NET_RAW and CAP_NET_ADMIN",
        ),
        Err(error) => Finding::new(
            what,
            State::Missing,
            error.to_string(),
            "the kernel needs CONFIG_XDP_SOCKETS; captures work without",
        ),
    }
}

fn tap() -> Finding {
    let what = "tap devices";
    match fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
    {
        Ok(_) => Finding::new(
            what,
            State::Good,
            "/dev/net/tun can be used",
            "for live ports",
        ),
        Err(error) => Finding::new(
            what,
            State::Missing,
            format!("/dev/net/tun: {error}"),
            "live ports need it: `modprobe tun`; captures work without",
        ),
    }
}

fn lowest_address() -> Finding {
    let what = "lowest address";
    let lowest = fs::read_to_string("/proc/sys/vm/mmap_min_addr")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    match lowest {
        Some(lowest) if lowest <= 0x1_0000 => Finding::new(
            what,
            State::Good,
            format!("{lowest:#x}"),
            "images fit where they are linked",
        ),
        Some(lowest) => Finding::new(
            what,
            State::Fair,
            format!("{lowest:#x}"),
            "higher than usual; the process monitor needs 0x10000 or less: `sysctl vm.mmap_min_addr=65536`",
        ),
        None => Finding::new(
            what,
            State::Fair,
            "unknown",
            "no /proc/sys/vm/mmap_min_addr",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_the_report_ends_in_blanks() {
        let text = report(false);
        assert!(text.lines().count() >= 8, "{text}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    }

    #[test]
    fn fields_of_proc_are_found_by_name() {
        assert!(field("/proc/meminfo", "MemTotal").is_some_and(|kilobytes| kilobytes > 1000));
        assert_eq!(field("/proc/meminfo", "NoSuchField"), None);
    }
}
