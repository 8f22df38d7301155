//! Runs that are joined to networks: the kernel's sockets are at the other end.

use end_to_end::{Finished, Live, in_namespace, ip, processor_time, sprat};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// The port that datagrams come from, as the router sees it. A network of the port `user` has it for
/// its first peer.
const PEER: u16 = 32_768;

/// Answers ARP for an address, and sends datagrams back to their sender.
fn echo(address: &str, peer: &str) -> String {
    format!(
        "FromDevice(eth0) -> c :: Classifier(12/0806 20/0001, 12/0800);
         c[0] -> ARPResponder({address} 02:00:00:00:00:01) -> q :: Queue -> ToDevice(eth0);
         c[1] -> EtherMirror -> Strip(42) -> UDPIPEncap({address}, 7, {peer}, {PEER})
              -> Unstrip(14) -> q;"
    )
}

fn folder(configuration: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("a.click"), configuration).expect("a file");
    folder
}

fn client(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(("0.0.0.0", port)).expect("a socket");
    let patience = Some(Duration::from_secs(20));
    socket.set_read_timeout(patience).expect("a patient socket");
    socket
}

/// Sends a datagram and gets it back.
fn ask(client: &UdpSocket, at: &str) {
    client.send_to(b"echo this", at).expect("a way");
    let mut answer = [0; 64];
    let (length, from) = client.recv_from(&mut answer).expect("an answer");
    assert_eq!(&answer[..length], b"echo this");
    assert_eq!(from.to_string(), at);
}

#[test]
fn a_published_port_leads_to_a_router_without_root_and_ctrl_c_ends_with_the_report() {
    let folder = folder(&echo("10.0.2.15", "10.0.2.2"));
    let arguments = ["--port", "eth0=user", "--publish", "0:7/udp", "--json"];
    let mut run = Live::start(folder.path(), ["run", "a.click"].iter().chain(&arguments));
    let line = run.line();
    let words = line
        .strip_prefix("eth0: ")
        .unwrap_or_else(|| panic!("{line}"));
    let at = words.strip_suffix(":10.0.2.15:7/udp");
    let at = at.unwrap_or_else(|| panic!("{line}"));
    assert!(at.starts_with("127.0.0.1:"), "{line}");
    let client = client(0);
    for _ in 0..3 {
        ask(&client, at);
    }
    let report = run.interrupt().json();
    // A question by ARP and three datagrams, and an answer to each.
    let device = &report["devices"][0];
    assert_eq!(device["name"], "eth0");
    assert_eq!(device["received"], 4);
    assert_eq!(device["sent"], 4);
}

#[test]
fn a_dedicated_run_never_sleeps_and_ends_as_any_other() {
    let folder = folder(&echo("10.0.2.15", "10.0.2.2"));
    let arguments = ["--port", "eth0=user", "--publish", "0:7/udp", "--json"];
    let words = ["run", "a.click", "--dedicated"];
    let mut run = Live::start(folder.path(), words.iter().chain(&arguments));
    let line = run.line();
    let at = line
        .strip_prefix("eth0: ")
        .unwrap_or_else(|| panic!("{line}"));
    let at = at.strip_suffix(":10.0.2.15:7/udp");
    ask(&client(0), at.unwrap_or_else(|| panic!("{line}")));
    // Half a second of the processor while nothing comes.
    let (process, begun) = (u64::from(run.id()), Instant::now());
    let before = processor_time(process);
    while processor_time(process) < before + 50 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it sleeps");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(run.interrupt().json()["devices"][0]["received"], 2);
}

/// A pair of interfaces: `ours` for a router, and `theirs` with an address of the kernel's.
fn pair() {
    ip("link add ours type veth peer name theirs");
    ip("address add 192.0.2.1/24 dev theirs");
    ip("link set ours up");
    ip("link set theirs up");
}

/// A router that answers the kernel on the network of the test; what it came to.
fn answer_the_kernel(device: &str, arguments: &[&str]) -> Finished {
    let folder = folder(&echo("192.0.2.2", "192.0.2.1").replace("eth0", device));
    let run = Live::start(folder.path(), arguments);
    run.wait_until_it_listens();
    ask(&client(PEER), "192.0.2.2:7");
    run.interrupt()
}

/// The same in a sealed instance, whose device is joined to a port.
fn answer_the_kernel_sealed(port: &str) {
    let port = format!("eth0={port}");
    let arguments = ["run", "a.click", "--port", &port, "--json"];
    let report = answer_the_kernel("eth0", &arguments).json();
    assert!(report["frames"]["sent"].as_u64() >= Some(2), "{report}");
}

#[test]
fn a_router_on_a_tap_answers_the_kernel() {
    if in_namespace("a_router_on_a_tap_answers_the_kernel") {
        ip("tuntap add tap0 mode tap");
        ip("address add 192.0.2.1/24 dev tap0");
        answer_the_kernel_sealed("tap:tap0");
    }
}

#[test]
fn a_router_on_an_interface_answers_the_kernel() {
    if in_namespace("a_router_on_an_interface_answers_the_kernel") {
        pair();
        answer_the_kernel_sealed("packet:ours");
    }
}

#[test]
fn a_plain_router_on_an_interface_answers_the_kernel() {
    if in_namespace("a_plain_router_on_an_interface_answers_the_kernel") {
        pair();
        let finished = answer_the_kernel("ours", &["click", "a.click"]);
        assert!(finished.good, "{finished:?}");
    }
}

#[test]
fn a_plain_router_finds_an_interface_by_its_ethernet_address() {
    if in_namespace("a_plain_router_finds_an_interface_by_its_ethernet_address") {
        pair();
        ip("link set ours address 02:00:00:00:00:07");
        let finished = answer_the_kernel("02:00:00:00:00:07", &["click", "a.click"]);
        assert!(finished.good, "{finished:?}");
    }
}

/// A router that makes an interface of the kernel's network, at whose other end it sends datagrams back.
#[test]
fn a_plain_router_answers_the_kernel_on_an_interface_that_it_made() {
    if in_namespace("a_plain_router_answers_the_kernel_on_an_interface_that_it_made") {
        let folder = folder(
            "t :: KernelTun(192.0.2.1/24, DEVNAME made) -> IPClassifier(udp) -> IPMirror -> t;
             FromHost(frames, 198.51.100.1/24) -> ToHost;
             Script(read t.dev_name)",
        );
        let mut run = Live::start(folder.path(), ["click", "a.click"]);
        assert_eq!(run.line(), "t.dev_name:");
        ask(&client(PEER), "192.0.2.2:7");
        let finished = run.interrupt();
        assert!(finished.good, "{finished:?}");
    }
}

#[test]
fn an_interface_that_a_plain_router_cannot_have_is_named() {
    let folder = folder("FromDevice(nosuch0) -> Discard;");
    let finished = sprat(folder.path(), ["click", "a.click"]);
    assert!(!finished.good);
    let text = &finished.errors;
    assert!(text.contains("nosuch0: "), "{text}");
    assert!(text.contains("--in nosuch0=FILE"), "{text}");
}

#[test]
fn interfaces_that_there_are_are_named_where_one_is_not() {
    let folder = folder(&echo("10.0.2.15", "10.0.2.2"));
    let finished = sprat(
        folder.path(),
        ["run", "a.click", "--port", "eth0=packet:nosuch0"],
    );
    assert!(!finished.good, "{finished:?}");
    let text = &finished.errors;
    // Without the right to packet sockets that is said instead.
    let refused = text.contains("CAP_NET_RAW");
    let named =
        text.contains("nosuch0: No such device") && text.contains("  help: interfaces here: ");
    assert!(refused || named, "{text}");
    assert!(refused || text.contains("lo"), "{text}");
}

#[test]
fn a_run_lasts_as_long_as_it_is_told_to() {
    let folder = folder(&echo("10.0.2.15", "10.0.2.2"));
    let arguments = [
        "run",
        "a.click",
        "--port",
        "eth0=user",
        "--for",
        "0.5",
        "--json",
    ];
    let report = sprat(folder.path(), arguments).json();
    let seconds = report["seconds"].as_f64().expect("a number");
    assert!((0.5..5.0).contains(&seconds), "{seconds}");
}

#[test]
fn a_router_that_goes_on_by_itself_is_waited_for_as_long_as_it_is_told_to_and_that_is_said() {
    let said = |configuration: &str| {
        let folder = folder(configuration);
        let finished = sprat(folder.path(), ["run", "a.click", "--linger", "0.3"]);
        assert!(finished.good, "{finished:?}");
        finished.errors.contains("--linger SECONDS")
    };
    assert!(said("TimedSource(0.1) -> Discard;"));
    assert!(!said("InfiniteSource(LIMIT 5) -> Discard;"), "it is done");
    assert!(
        !said("TimedSource(0.1) -> Discard; DriverManager(wait 0.1s, stop)"),
        "it stopped itself"
    );
}

#[test]
fn what_is_wrong_with_a_port_is_named() {
    let folder = folder(&echo("10.0.2.15", "10.0.2.2"));
    let cases: [(&[&str], &str); 8] = [
        (&["--port", "eth0"], "--port eth0: expected NAME=VALUE"),
        (
            &["--port", "eth0=bridge"],
            "--port eth0=bridge: `bridge` is none of",
        ),
        (
            &["--port", "eth7=user"],
            "--port eth7: no FromDevice and no ToDevice",
        ),
        (
            &["--port", "eth0=user", "--out", "eth0=sink"],
            "--port eth0=user: --out names eth0 too",
        ),
        (
            &["--publish", "8080:80", "--in", "eth0=generate"],
            "give a device the port too",
        ),
        (
            &["--port", "eth0=user", "--publish", "8080:http"],
            "--publish 8080:http: \"http\" is no port number",
        ),
        (
            &["--port", "eth0=user", "--clock", "capture"],
            "--clock capture: ",
        ),
        (
            &["--port", "eth0=user", "--publish", "192.0.2.9:1:1"],
            "192.0.2.9:1",
        ),
    ];
    for (arguments, expected) in cases {
        let finished = sprat(folder.path(), ["run", "a.click"].iter().chain(arguments));
        assert_eq!(finished.status, Some(1), "{finished:?}");
        assert!(
            finished.errors.contains(expected),
            "no '{expected}' in {finished:?}"
        );
    }
}
