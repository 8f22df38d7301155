//! The delay that an instance adds when it has nothing else to do.
//!
//! Two namespaces ping each other, first over the kernel's bridge, then through an instance that
//! passes frames on between two interfaces. Half of the difference is one traversal: both
//! interfaces, waking up, entering the instance and leaving it.

use std::io::{BufRead as _, BufReader, Error, Result};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Bench;
use super::table::{Row, Sample};
use crate::machine;

const PASS: &str = "FromDevice(eth0) -> Queue -> ToDevice(eth1);
FromDevice(eth1) -> Queue -> ToDevice(eth0);
";

const ROUNDS: usize = 3;

/// Pings in a round, and how far they lie apart: far enough for everybody to fall asleep.
const PINGS: &str = "200";
const APART: &str = "0.01";

/// How long an instance may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn delay(bench: &Bench) -> Result<Vec<Row>> {
    let has_programs = ["ip", "ping"].into_iter().all(machine::has_program);
    if !machine::is_root() || !has_programs {
        let why = "not measured: needs root, ip and ping".to_owned();
        return Ok(vec![Row::plain("delay of an idle instance", why)]);
    }
    let configuration = bench.scratch.join("pass.click");
    std::fs::write(&configuration, PASS)?;
    let network = Network::new()?;
    let mut bridged = Vec::new();
    let mut monitors = vec![("process", Vec::new())];
    if machine::has_kvm() {
        monitors.insert(0, ("vm", Vec::new()));
    }
    for _ in 0..ROUNDS {
        network.bridge(true)?;
        let direct = network.ping()?;
        network.bridge(false)?;
        bridged.push(direct / 2.0);
        for (monitor, added) in &mut monitors {
            let mut instance = network
                .in_the_middle(&bench.sprat.to_string_lossy())
                .arg("run")
                .arg(&configuration)
                .args(["--monitor", monitor])
                .args(["--port", "eth0=packet:left", "--port", "eth1=packet:right"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map(Running)?;
            network.wait(&mut instance)?;
            added.push((network.ping()? - direct) / 2.0);
        }
    }
    let mut rows = vec![Row::plain(
        "a frame over the kernel's bridge, half of a ping",
        Sample::of(bridged).text("µs"),
    )];
    for (monitor, added) in monitors {
        let what = format!("delay that an idle instance adds to a frame over AF_PACKET, {monitor}");
        rows.push(Row::at_most(&what, &Sample::of(added), 60.0, "µs"));
    }
    Ok(rows)
}

/// Ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself needs neither.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Three namespaces: two hosts, and the middle, which has an interface to each.
struct Network {
    hosts: [String; 2],
    middle: String,
}

impl Network {
    fn new() -> Result<Self> {
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
        for (link, host, address) in [("left", a, "10.9.0.1/24"), ("right", b, "10.9.0.2/24")] {
            let peer = ["type", "veth", "peer", "name", "eth0", "netns", host];
            ip(&[&["-n", middle, "link", "add", link][..], &peer].concat())?;
            ip(&["-n", middle, "link", "set", link, "up"])?;
            ip(&["-n", host, "address", "add", address, "dev", "eth0"])?;
            ip(&["-n", host, "link", "set", "eth0", "up"])?;
        }
        ip(&["-n", middle, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", middle, "link", "set", "bridge", "up"])?;
        Ok(network)
    }

    /// Joins both hosts by the kernel's bridge, or parts them.
    fn bridge(&self, joined: bool) -> Result<()> {
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

    fn in_the_middle(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.middle, program]);
        command
    }

    fn pinging(&self, options: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.hosts[0], "ping", "-n"])
            .args(options)
            .arg("10.9.0.2");
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

    /// The median of many pings' times, in microseconds.
    fn ping(&self) -> Result<f64> {
        let output = self.pinging(&["-c", PINGS, "-i", APART]).output()?;
        let times: Vec<f64> = BufReader::new(&*output.stdout)
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| {
                let (_, rest) = line.split_once("time=")?;
                rest.split(' ').next()?.parse().ok()
            })
            .collect();
        if times.is_empty() {
            return Err(Error::other("no ping comes back"));
        }
        Ok(Sample::of(times).median() * 1000.0)
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

fn ip(arguments: &[&str]) -> Result<()> {
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
