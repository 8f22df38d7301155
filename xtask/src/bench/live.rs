//! Frames between two interfaces of the host through a firewall of a hundred rules: as an instance,
//! and as the kernel's bridge with the same rules in nftables.
//!
//! One host sends as fast as it can from one core; what comes to the other is counted by its kernel.

use std::fmt::Write as _;
use std::io::{Error, Result, Write as _};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Bench;
use super::network::{self, ETHERNET, Network, Running};
use super::table::{Row, Sample};
use crate::machine;

const RULES: u16 = 100;

/// The first port that a rule drops; nothing is sent there.
const FIRST_PORT: u16 = 20_000;

const ROUNDS: usize = 3;

/// How long frames flow before they are counted, and while they are.
const WARM_UP: Duration = Duration::from_millis(500);
const SPAN: Duration = Duration::from_secs(2);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    machine::install_packages(&[("nft", "nftables")]);
    if !network::is_possible() || !machine::has_program("nft") {
        let why = "not measured: needs root, ip, ping and nft".to_owned();
        return Ok(vec![Row::plain("frames between two interfaces", why)]);
    }
    let firewall = bench.scratch.join("live.click");
    std::fs::write(&firewall, configuration())?;
    let sender = bench.scratch.join("live-sender.click");
    std::fs::write(&sender, sending())?;
    let network = Network::new()?;
    let sends = || {
        let mut command = network.on_host(0, &bench.sprat.to_string_lossy());
        command.arg("click").arg(&sender);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child.map(Running)
    };
    let count = || -> Result<f64> {
        let _sender = sends()?;
        sleep(WARM_UP);
        let (begun, before) = (Instant::now(), network.received(1)?);
        sleep(SPAN);
        let came = network.received(1)? - before;
        Ok(came as f64 / begun.elapsed().as_secs_f64() / 1e6)
    };
    let monitor = if machine::has_kvm() { "vm" } else { "process" };
    let (mut bridged, mut ratios) = (Vec::new(), Vec::new());
    let mut instances = [
        ("AF_XDP", "xdp", Vec::new()),
        ("AF_PACKET", "packet", Vec::new()),
    ];
    for _ in 0..ROUNDS {
        network.bridge(true)?;
        nft(&network, &rules())?;
        let kernel = count()?;
        bridged.push(kernel);
        nft(&network, "flush ruleset\n")?;
        network.bridge(false)?;
        for (_, port, rates) in &mut instances {
            let _instance = network.instance(&bench.sprat, &firewall, monitor, port, &[])?;
            let rate = count()?;
            if *port == "xdp" {
                ratios.push(rate / kernel);
            }
            rates.push(rate);
        }
    }
    let unit = "million frames/s";
    let what = "from one interface to another over the kernel's bridge, 100 rules in nftables";
    let mut rows = vec![Row::plain(what, Sample::of(bridged).text(unit))];
    for (kind, _, rates) in instances {
        let what = format!("through a firewall of 100 rules over {kind}, {monitor}");
        rows.push(Row::plain(&what, Sample::of(rates).text(unit)));
    }
    let what = "the firewall over AF_XDP against the kernel's bridge with the same rules";
    rows.push(Row::at_least(what, &Sample::of(ratios), 1.0, "times"));
    Ok(rows)
}

/// The firewall between two devices; what is no IP, and what comes back, goes through.
fn configuration() -> String {
    let mut text = String::from(
        "FromDevice(eth0) -> kind :: Classifier(12/0800, -);
out :: Queue -> ToDevice(eth1);
kind[1] -> out;
kind[0] -> MarkIPHeader(14) -> IPFilter(",
    );
    for port in ports() {
        let _ = write!(text, "drop dst udp port {port}, ");
    }
    text.push_str("allow all) -> out;\nFromDevice(eth1) -> Queue -> ToDevice(eth0);\n");
    text
}

/// The same rules for nftables.
fn rules() -> String {
    let mut text = String::from(
        "table bridge filter {
chain forward {
type filter hook forward priority 0; policy accept;
",
    );
    for port in ports() {
        let _ = writeln!(text, "ether type ip udp dport {port} drop");
    }
    text.push_str("}\n}\n");
    text
}

fn ports() -> impl Iterator<Item = u16> {
    FIRST_PORT..FIRST_PORT + RULES
}

/// A configuration that sends a datagram of 18 bytes, the shortest frame, as often as it can: for no
/// address of the other host's, which takes it and does nothing more.
fn sending() -> String {
    let plain = |address: &str| address.replace(':', "");
    let [from, to] = ETHERNET.map(plain);
    // 10.9.0.1 to 10.9.0.99, ports 7 and 9; no checksum of the datagram (RFC 768).
    let packet = "4500002e000040004011264a 0a090001 0a090063 00070009001a0000".replace(' ', "");
    format!(
        "InfiniteSource(DATA \\<{to}{from}0800{packet}{}>, BURST 32) -> ToDevice(eth0);\n",
        "00".repeat(18)
    )
}

fn nft(network: &Network, text: &str) -> Result<()> {
    let mut command: Command = network.in_the_middle("nft");
    let mut child = command.args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    match child.wait()?.success() {
        true => Ok(()),
        false => Err(Error::other("nft refuses the rules")),
    }
}
