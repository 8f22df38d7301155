//! Numbered frames over chains, while something fails.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use end_to_end::{Host, ip, project};
use serde_json::Value;

/// Passes frames on both ways.
pub(crate) const PASS: &str = "
    FromDevice(eth0) -> Queue(1000) -> ToDevice(eth1);
    FromDevice(eth1) -> Queue(1000) -> ToDevice(eth0);
";

/// Frames on their way at once, in each chain.
pub(crate) const WINDOW: u64 = 64;

/// Makes the interfaces of a chain, `NAME0` and `NAME1`; where its frames are sent and heard.
pub(crate) fn wire(name: &str) -> String {
    for end in ["0", "1"] {
        let (near, far) = (format!("{name}{end}"), format!("{name}{end}-far"));
        ip(&format!("link add {near} type veth peer name {far}"));
        for end in [&near, &far] {
            // Or IPv6 would have something to say by itself.
            ip(&format!("link set {end} addrgenmode none up"));
        }
    }
    format!("{name}0-far:{name}1-far")
}

/// The ports of a chain that [`wire`] has made interfaces for, and the chain: `PORTS`, `CHAIN`.
pub(crate) fn chain(name: &str, tenant: &str) -> [String; 2] {
    let ports = format!("{name}-in = 'packet:{name}0'\n{name}-out = 'packet:{name}1'\n");
    let chain = format!(
        "
        [functions.{name}]
        run = 'pass.click'
        tenant = '{tenant}'
        [[chains]]
        path = ['{name}-in', '{name}', '{name}-out']
        "
    );
    [ports, chain]
}

/// What was sent on a chain, and what came out of it.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) sent: u64,
    pub(crate) came: u64,
}

/// Who sends frames and hears them.
pub(crate) struct Load {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Load {
    /// Begins to send on chains.
    pub(crate) fn start(ends: &[String]) -> Self {
        let mut child = Command::new("python3")
            .arg(project().join("tests/command/src/load.py"))
            .arg(WINDOW.to_string())
            .args(ends)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("text");
        assert_eq!(line, "sending\n");
        Self { child, output }
    }

    /// Sends no more, and waits for what is on its way.
    pub(crate) fn end(mut self) -> Vec<Passed> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("text");
        assert!(self.child.wait().expect("it ends").success());
        let results: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        let passed = results.iter().map(|result| {
            let number = |what: &str| result[what].as_u64().expect("a number");
            Passed {
                sent: number("sent"),
                came: number("came"),
            }
        });
        passed.collect()
    }
}

/// What the counters of a tenant's lane say of its port, or of an instance's device: frames that came
/// in there, went out, and were dropped.
pub(crate) fn counted(host: &Host, tenant: &str, port: &str) -> [u64; 3] {
    let lanes = host.lanes();
    let lane = lanes.iter().find(|lane| lane["tenant"] == tenant);
    let ports = lane
        .and_then(|lane| lane["status"]["ports"].as_array())
        .expect("ports");
    let found = ports
        .iter()
        .find(|found| found["name"] == port)
        .expect("the port");
    let dropped = found["dropped"].as_array().expect("drops").iter();
    let dropped = dropped
        .map(|drop| drop[1].as_u64().expect("a number"))
        .sum();
    let number = |value: &Value| value[0].as_u64().expect("a number");
    [number(&found["received"]), number(&found["sent"]), dropped]
}

/// Asserts that a chain of a tenant lost no frame; what the kernel dropped before the lane had its turn
/// is counted as that.
pub(crate) fn assert_whole(host: &Host, tenant: &str, name: &str, passed: &Passed) {
    let [_, _, late] = counted(host, tenant, &format!("{name}-in"));
    assert!(passed.sent > WINDOW, "{passed:?}");
    assert_eq!(passed.came + late, passed.sent, "{passed:?}");
}
