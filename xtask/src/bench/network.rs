//! Two hosts on this machine, and the middle between them: namespaces joined by pairs of interfaces.

use std::io::{Error, Result};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::machine;

/// The hosts' addresses.
const ADDRESSES: [&str; 2] = ["10.9.0.1", "10.9.0.2"];

/// The hosts' Ethernet addresses.
pub(super) const ETHERNET: [&str; 2] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];

/// How long an instance may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether there is what a network is made with.
pub(super) fn is_possible() -> bool {
    machine::is_root() && ["ip", "ping"].into_iter().all(machine::has_program)
}

/// Ended when it is dropped.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself needs neither.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Three namespaces: two hosts, and the middle, which has an interface to each.
pub(super) struct Network {
    hosts: [String; 2],
    middle: String,
}

impl Network {
    pub(super) fn new() -> Result<Self> {
        let name = |part: &str| format!("sprat-bench-{}-{part}", std::process::id());
        let network = Self {
            hosts: [name("a"), name("b")],
            middle: name("m"),
        };
        let [a, b] = &network.hosts;
        let middle = &network.middle;
        for name in [a, b, middle] {
            ip(&["netns", "add", name])?;
        }
        for (at, (link, host)) in [("left", a), ("right", b)].into_iter().enumerate() {
            let address = format!("{}/24", ADDRESSES[at]);
            let peer = ["type", "veth", "peer", "name", "eth0", "netns", host];
            ip(&[&["-n", middle, "link", "add", link][..], &peer].concat())?;
            ip(&["-n", middle, "link", "set", link, "up"])?;
            ip(&["-n", host, "link", "set", "eth0", "address", ETHERNET[at]])?;
            ip(&["-n", host, "address", "add", &address, "dev", "eth0"])?;
            ip(&["-n", host, "link", "set", "eth0", "up"])?;
        }
        ip(&["-n", middle, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", middle, "link", "set", "bridge", "up"])?;
        Ok(network)
    }

    /// Joins both hosts by the kernel's bridge, or parts them.
    pub(super) fn bridge(&self, joined: bool) -> Result<()> {
        for link in ["left", "right"] {
            let rest: &[&str] = if joined {
                &["master", "bridge"]
            } else {
                &["nomaster"]
            };
            ip(&[&["-n", &*self.middle, "link", "set", link][..], rest].concat())?;
        }
        Ok(())
    }

    /// A program that runs in the middle.
    pub(super) fn in_the_middle(&self, program: &str) -> Command {
        inside(&self.middle, program)
    }

    /// An instance in the middle with a device on each interface, through which a ping comes.
    pub(super) fn instance(
        &self,
        sprat: &Path,
        configuration: &Path,
        monitor: &str,
        port: &str,
        more: &[&str],
    ) -> Result<Running> {
        let mut instance = self
            .in_the_middle(&sprat.to_string_lossy())
            .arg("run")
            .arg(configuration)
            .args(["--monitor", monitor])
            .args(["--port", &format!("eth0={port}:left")])
            .args(["--port", &format!("eth1={port}:right")])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Running)?;
        self.wait(&mut instance)?;
        Ok(instance)
    }

    /// A program that runs on one of the hosts, `0` or `1`.
    pub(super) fn on_host(&self, host: usize, program: &str) -> Command {
        inside(&self.hosts[host], program)
    }

    /// Pings from the first host to the second.
    pub(super) fn pinging(&self, options: &[&str]) -> Command {
        let mut command = self.on_host(0, "ping");
        command.arg("-n").args(options).arg(ADDRESSES[1]);
        command
    }

    /// Waits until a ping comes through.
    fn wait(&self, instance: &mut Running) -> Result<()> {
        let begin = Instant::now();
        let ping = || {
            let mut command = self.pinging(&["-c", "1", "-W", "1"]);
            command.stdout(Stdio::null()).status()
        };
        while !ping()?.success() {
            if let Some(status) = instance.0.try_wait()? {
                return Err(Error::other(format!("the instance ended with {status}")));
            }
            if begin.elapsed() > PATIENCE {
                return Err(Error::other("no ping comes through the instance"));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Frames that have come to a host, by the kernel's own count.
    pub(super) fn received(&self, host: usize) -> Result<u64> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.hosts[host], "-s", "-j", "link", "show", "eth0"]);
        let shown: serde_json::Value = serde_json::from_slice(&command.output()?.stdout)?;
        shown
            .pointer("/0/stats64/rx/packets")
            .and_then(serde_json::Value::as_u64)
            .ok_or_else(|| Error::other(format!("ip: no count of frames in {shown}")))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.hosts.iter().chain([&self.middle]) {
            // What is gone already needs no removal.
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

/// A program that runs in a namespace.
pub(super) fn inside(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

/// Has `ip` do something.
pub(super) fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Error::other(format!(
        "ip {}: {errors}",
        arguments.join(" ")
    )))
}
