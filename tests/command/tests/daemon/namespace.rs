//! Networks beside the test's own.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::ip;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network of its own: a process that sleeps in it.
pub(crate) struct Namespace(Child);

impl Namespace {
    /// One that has an interface with an address; the other end is here.
    pub(crate) fn new(name: &str, address: &str) -> Self {
        let child = Command::new("unshare")
            .args(["--net", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare starts");
        let namespace = Self(child);
        ip(&format!("link add {name} type veth peer name {name}-in"));
        // Or IPv6 would have something to say by itself.
        ip(&format!("link set {name} addrgenmode none up"));
        let number = namespace.0.id();
        // Until it has its own, it has this one.
        let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net"));
        let own = network("self").expect("a network");
        let begun = Instant::now();
        while network(&number.to_string()).expect("a network") == own {
            assert!(begun.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(5));
        }
        ip(&format!("link set {name}-in netns {number}"));
        assert!(namespace.inside(&[
            "ip",
            "address",
            "add",
            address,
            "dev",
            &format!("{name}-in")
        ]));
        assert!(namespace.inside(&[
            "ip",
            "link",
            "set",
            &format!("{name}-in"),
            "addrgenmode",
            "none",
            "up"
        ]));
        namespace
    }

    pub(crate) fn inside(&self, command: &[&str]) -> bool {
        let done = Command::new("nsenter")
            .args(["-t", &self.0.id().to_string(), "-n"])
            .args(command)
            .stdout(Stdio::null())
            .status();
        done.expect("nsenter starts").success()
    }

    /// Whether a host answers from there: it refuses a connection to a port that nobody listens on.
    pub(crate) fn reaches(&self, address: &str) -> bool {
        let process = self.0.id().to_string();
        let connect = format!("echo > /dev/tcp/{address}/9");
        let done = Command::new("nsenter")
            .args(["-t", &process, "-n", "timeout", "1", "bash", "-c", &connect])
            .output();
        let errors = done.expect("nsenter starts").stderr;
        String::from_utf8_lossy(&errors).contains("refused")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
