//! Frames through virtio network cards, over both buses, by way of QEMU's own network.
#![allow(missing_docs)]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{fs, thread};

use self_booting::{Running, boot, has_qemu, self_booting};
use sprat_monitor::disk::{End, Machine, MachineKind};
use sprat_monitor::{Grant, GrantedDevice, Options};

const PVH: [MachineKind; 2] = [MachineKind::Microvm, MachineKind::Pci];

fn with_card() -> Options {
    Options {
        devices: vec![Grant {
            name: "eth0".into(),
            device: GrantedDevice::Network {
                address: [2, 0, 0, 0, 0, 1],
                frame_limit: 1514,
                features: 0,
            },
        }],
        ..Options::default()
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A connection to a service that may still be booting.
fn connect(port: u16) -> TcpStream {
    let begin = Instant::now();
    loop {
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            let wait = Some(Duration::from_secs(5));
            stream.set_read_timeout(wait).expect("set");
            // QEMU accepts before the service does: one that answers is there.
            let mut answer = [0];
            if stream.write_all(b"?").is_ok() && stream.read_exact(&mut answer).is_ok() {
                assert_eq!(&answer, b"?");
                return stream;
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(50), "nobody answers");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_service_is_reached_over_tcp_through_either_bus() {
    if !has_qemu() {
        return;
    }
    let file = self_booting("echo", None, &with_card());
    for kind in PVH {
        let port = free_port();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("image");
        fs::write(&path, &file).expect("written");
        let mut machine = Machine::new(kind, &path, 16);
        let network = format!("user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:7");
        machine.add_arguments(&["-netdev", &network]);
        machine.add_device("net", ",netdev=n0");
        machine.add_device("rng", "");
        let running = Running::start(&mut machine.command());
        let mut stream = connect(port);
        let sent: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[1]).collect();
        let mut received = vec![0; sent.len()];
        let mut writer = stream.try_clone().expect("a second hand");
        let data = sent.clone();
        let writer = thread::spawn(move || writer.write_all(&data));
        stream.read_exact(&mut received).expect("all of it comes");
        writer.join().expect("no panic").expect("all of it goes");
        assert!(sent == received, "{kind:?}: other bytes came back");
        drop(running);
    }
}

#[test]
fn a_machine_without_a_card_is_told_which_is_missing() {
    if !has_qemu() {
        return;
    }
    let file = self_booting("echo", None, &with_card());
    for kind in PVH {
        let outcome = boot(&file, kind, 16, |_| {});
        assert_eq!(outcome.end, End::Refused, "{outcome:?}");
        assert_eq!(
            outcome.console.lines().collect::<Vec<_>>(),
            [
                "sprat: no virtio network card for the device eth0: the image wants 1, and the machine has 0"
            ]
        );
    }
}
