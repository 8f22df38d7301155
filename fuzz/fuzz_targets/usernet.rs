//! Any frames from an instance to the network in user mode that its monitor serves (`sprat-usernet`): it
//! goes on, keeps its bounds, and the gateway still answers.
//!
//! The host is a network namespace of the target's own, which takes root: nothing leaves it.
#![no_main]

use std::cell::RefCell;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use libfuzzer_sys::fuzz_target;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use sprat_fuzz::{answer, fill, records};
use sprat_usernet::{CONNECTION_LIMIT, GATEWAY, GUEST, Options, UserNetwork};

/// Most frames that the instance is lent at a time.
const LIMIT: usize = 64;

/// A server of the host, and whom names are asked of.
struct World {
    server: TcpListener,
    resolver: UdpSocket,
}

impl World {
    fn new() -> Self {
        // SAFETY: a network namespace has neither memory nor descriptors of the process in it.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("root, for a network namespace");
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.expect("ip(8)").success());
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 80)).expect("a free port");
        let resolver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).expect("a free port");
        server.set_nonblocking(true).expect("a socket");
        resolver.set_nonblocking(true).expect("a socket");
        Self { server, resolver }
    }

    /// Names are answered with their question; who connects gets a greeting and then what it sends.
    fn serve(&self, streams: &mut Vec<TcpStream>) {
        let mut buffer = [0; 1024];
        while let Ok((length, from)) = self.resolver.recv_from(&mut buffer) {
            let _ = self.resolver.send_to(&buffer[..length], from);
        }
        while let Ok((mut stream, _)) = self.server.accept() {
            let _ = stream.set_nonblocking(true);
            let _ = stream.write(b"hello");
            streams.push(stream);
        }
        streams.retain_mut(|stream| match stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => stream.write(&buffer[..length]).is_ok(),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
    }
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Takes all frames for the instance.
fn take(network: &mut UserNetwork, taken: &mut Vec<Vec<u8>>) {
    let limit = network.frame_limit();
    let mut deliver = |frame: &[u8]| {
        assert!(frame.len() <= limit, "{} bytes", frame.len());
        taken.push(frame.to_vec());
        true
    };
    network.receive(LIMIT, &mut deliver, &mut |_| ()).expect("it goes on");
    assert!(network.connections() <= CONNECTION_LIMIT);
}

fn try_frames(world: &World, bytes: &[u8]) {
    let resolver = world.resolver.local_addr().ok();
    let options = Options { loopback: true, resolver, ..Options::default() };
    let mut network = UserNetwork::open(&options).expect("it opens");
    let (mut streams, mut taken) = (Vec::new(), Vec::new());
    for (flags, mut frame) in records(bytes) {
        answer(&mut frame, flags, &taken);
        fill(&mut frame, flags);
        let _ = network.send(&frame);
        take(&mut network, &mut taken);
        world.serve(&mut streams);
        take(&mut network, &mut taken);
    }
    taken.clear();
    let question = [
        &[0xff; 6][..],
        &[2, 0, 0, 0, 0, 5, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 5],
        &GUEST.octets(),
        &[0; 6],
        &GATEWAY.octets(),
    ];
    // What waits is taken first, or there might be no room for the answer.
    take(&mut network, &mut taken);
    network.send(&question.concat()).expect("a sound question");
    take(&mut network, &mut taken);
    let says = |frame: &Vec<u8>| frame.get(12..14) == Some(&[8, 6]) && frame.get(28..32) == Some(&GATEWAY.octets());
    assert!(taken.iter().any(says), "the gateway does not answer any more");
}

fuzz_target!(|bytes: &[u8]| {
    WORLD.with_borrow_mut(|world| try_frames(world.get_or_insert_with(World::new), bytes));
});
