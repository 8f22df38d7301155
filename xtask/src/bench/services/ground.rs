//! Where services and their peers are measured: network namespaces of our own, and processes that end
//! with the measurement.

use std::fs;
use std::io::{Error, Result};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The instance's end of the tap interface, which the load is sent to from the other one.
pub(super) const INSTANCE: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);

/// The peer's end of a pair of virtual interfaces.
pub(super) const PEER: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 2);

/// The core that servers run on with everything that serves them, and the one that the load comes from.
const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";

/// The name of the tap interface.
pub(super) const TAP: &str = "tap0";

/// Two namespaces: the load's, with a tap interface for instances, and the peers', joined to it by a
/// pair of virtual interfaces.
pub(super) struct Ground {
    load: String,
    peers: String,
}

impl Ground {
    pub(super) fn new() -> Result<Self> {
        let id = std::process::id();
        let ground = Self {
            load: format!("sprat-load-{id}"),
            peers: format!("sprat-peers-{id}"),
        };
        let (load, peers) = (&*ground.load, &*ground.peers);
        for words in [
            &["netns", "add", load][..],
            &["netns", "add", peers],
            &["-n", load, "link", "set", "lo", "up"],
            &["-n", peers, "link", "set", "lo", "up"],
            &["-n", load, "tuntap", "add", "dev", TAP, "mode", "tap"],
            &["-n", load, "addr", "add", "10.77.1.1/24", "dev", TAP],
            &["-n", load, "link", "set", TAP, "up"],
            &[
                "-n", load, "link", "add", "peer0", "type", "veth", "peer", "name", "peer1",
                "netns", peers,
            ],
            &["-n", load, "addr", "add", "10.77.2.1/24", "dev", "peer0"],
            &["-n", load, "link", "set", "peer0", "up"],
            &["-n", peers, "addr", "add", "10.77.2.2/24", "dev", "peer1"],
            &["-n", peers, "link", "set", "peer1", "up"],
        ] {
            output(Command::new("ip").args(words))?;
        }
        Ok(ground)
    }

    /// A command of the load's.
    pub(super) fn load(&self, program: &str) -> Command {
        within(&self.load, LOAD_CORE, program)
    }

    /// Starts an instance's host, which finds the tap interface.
    pub(super) fn instance(&self, sprat: &Path, arguments: &[&str]) -> Result<Running> {
        let mut command = within(&self.load, SERVER_CORE, &sprat.to_string_lossy());
        Running::start(command.arg("run").args(arguments))
    }

    /// Starts a peer.
    pub(super) fn peer(&self, program: &str, arguments: &[&str]) -> Result<Running> {
        Running::start(within(&self.peers, SERVER_CORE, program).args(arguments))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for namespace in [&self.load, &self.peers] {
            // One that could not be made is not there.
            let _ = Command::new("ip")
                .args(["netns", "del", namespace])
                .stderr(Stdio::null())
                .status();
        }
    }
}

fn within(namespace: &str, core: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", namespace, "taskset", "-c", core, program])
        .stdin(Stdio::null());
    command
}

/// What a command prints.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(format!("{command:?}: {said}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A server, until this is dropped.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let silent = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self(silent.spawn()?))
    }

    /// Seconds of processor time that it has used, with every process that it has started.
    pub(super) fn seconds(&self) -> Result<f64> {
        let mut ticks = 0;
        for process in self.processes()? {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
            ticks += processor_ticks(&stat).unwrap_or(0);
        }
        // What /proc counts in is 1/100 s, whatever the kernel was built with (USER_HZ).
        #[expect(clippy::cast_precision_loss, reason = "ticks of a few minutes")]
        Ok(ticks as f64 / 100.0)
    }

    /// Bytes that are in memory for it alone and would be for every other of its kind.
    pub(super) fn private_memory(&self) -> Result<f64> {
        let mut kilobytes = 0.0;
        for process in self.processes()? {
            let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
            kilobytes += private_dirty(&text).unwrap_or(0.0);
        }
        Ok(kilobytes * 1024.0)
    }

    /// Itself and everything it has started.
    fn processes(&self) -> Result<Vec<u32>> {
        let mut all = vec![self.0.id()];
        let mut next = 0;
        while let Some(process) = all.get(next) {
            // One that has ended meanwhile has no list.
            let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
            let children = children.unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse::<u32>().ok()),
            );
            next += 1;
        }
        Ok(all)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An instance's host ends as by Ctrl-C; a peer's first process ends the others.
        let id = self.0.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}

/// User and system time of a line of /proc/PID/stat, in ticks.
fn processor_ticks(stat: &str) -> Option<u64> {
    // The name, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Kilobytes of pages that were written to and are mapped once.
fn private_dirty(smaps: &str) -> Option<f64> {
    let line = smaps
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        // proc(5): utime and stime are the fields 14 and 15.
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 9 9 9";
        assert_eq!(processor_ticks(stat), Some(300));
    }

    #[test]
    fn memory_of_its_own_is_what_was_written() {
        let smaps = "Rss:   900 kB\nPrivate_Clean:   500 kB\nPrivate_Dirty:       120 kB\n";
        assert_eq!(private_dirty(smaps), Some(120.0));
    }
}
