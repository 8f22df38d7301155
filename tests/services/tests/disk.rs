//! The examples that are services, each on a machine of its own: they boot by themselves and answer.
#![allow(missing_docs)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use self_booting::{boot_monitor, has_qemu};
use services::{Service, block_device, built};
use sprat_monitor::disk::{DiskMonitor, MachineKind};

/// Longest that an answer may take: these machines are emulated.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every kind of machine, where there is an emulator.
fn machines() -> Vec<DiskMonitor> {
    if !has_qemu() {
        return Vec::new();
    }
    let program = boot_monitor();
    let machine = |kind| DiskMonitor::new(program.clone(), kind, None);
    MachineKind::ALL.map(machine).into()
}

/// Everything that comes back until the service closes.
fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("published");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(request).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn the_web_server_serves_its_page() {
    let image = built("web");
    let page = include_str!("../../../examples/web/site/index.html");
    for machine in machines() {
        let service = Service::start(&machine, &image, &[], &["tcp/80"], |_, _| {});
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = exchange(service.address(0), request);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(page), "{answer}");
    }
}

#[test]
fn the_name_server_answers() {
    let image = built("dns");
    for machine in machines() {
        let service = Service::start(&machine, &image, &[], &["udp/53"], |_, _| {});
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let again = Some(Duration::from_secs(1));
        socket.set_read_timeout(again).expect("a timeout");
        // The address of www.example.test. (RFC 1035, section 4.1).
        let question =
            b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01";
        let mut answer = [0; 512];
        // What is asked before the server has its address is lost.
        let heard = (0..PATIENCE.as_secs()).find_map(|_| {
            socket.send_to(question, service.address(0)).expect("sent");
            socket.recv(&mut answer).ok()
        });
        let length = heard.expect("an answer");
        // The name by pointer, A, IN, 300 s, 192.0.2.80: examples/dns/example.zone.
        let record = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x50";
        let found = answer[..length]
            .windows(record.len())
            .any(|part| part == record);
        assert!(found, "{:02x?}", &answer[..length]);
    }
}

#[test]
fn the_store_has_after_a_power_cut_what_it_acknowledged() {
    let image = built("kv");
    for machine in machines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.blk");
        let file = File::create(&path).expect("a file");
        file.set_len(1 << 20).expect("grown");
        for round in 1..=2 {
            let file = File::options().read(true).write(true).open(&path);
            let disk = block_device("data", file.expect("it is there"));
            let service = Service::start(&machine, &image, &[], &["tcp/6379"], |_, options| {
                options.devices.push(disk);
            });
            let answer = exchange(service.address(0), b"INCR rounds\r\nQUIT\r\n");
            assert_eq!(answer, format!(":{round}\r\n+OK\r\n"));
        }
    }
}
