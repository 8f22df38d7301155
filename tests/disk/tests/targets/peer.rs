//! Who speaks TCP with the program: an ordinary socket, and a network in user mode in between.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_monitor::Shared;
use sprat_usernet::{Options, Publish, Transport, UserNetwork};

/// The program's address and port.
const PROGRAM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 15), 7);

/// Longest that a conversation may take.
const LIMIT: Duration = Duration::from_secs(240);

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Sends bytes to a port, and has back as many.
pub(crate) fn speak(port: u16, bytes: Vec<u8>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let begin = Instant::now();
        let stream = loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                Ok(stream) => break stream,
                Err(_) if begin.elapsed() < LIMIT => thread::sleep(Duration::from_millis(20)),
                Err(_) => return Vec::new(),
            }
        };
        stream.set_read_timeout(Some(LIMIT)).expect("set");
        let length = bytes.len();
        let mut hand = stream.try_clone().expect("a second hand");
        // What comes back says whether all of it went.
        let writer = thread::spawn(move || hand.write_all(&bytes));
        let mut heard = Vec::new();
        let limit = u64::try_from(length).expect("short");
        let _ = (&stream).take(limit).read_to_end(&mut heard);
        let _ = stream.shutdown(Shutdown::Both);
        let _ = writer.join();
        heard
    })
}

/// A network in user mode for `eth0`, and who speaks through it.
pub(crate) struct Peer {
    network: UserNetwork,
    speaker: JoinHandle<Vec<u8>>,
}

impl Peer {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let publish = Publish {
            host: (Ipv4Addr::LOCALHOST, 0).into(),
            guest: PROGRAM,
            transport: Transport::Tcp,
        };
        let network = UserNetwork::open(&Options {
            publish: vec![publish],
            ..Options::default()
        });
        let network = network.expect("it opens");
        let port = network.publications()[0].host.port();
        Self {
            network,
            speaker: speak(port, bytes),
        }
    }

    /// Carries frames; whether there were any.
    pub(crate) fn exchange(&mut self, shared: &mut Shared) -> bool {
        let mut moved = false;
        let mut out = Vec::new();
        let drained = shared.drain(0, u32::MAX, |frame| {
            let mut bytes = Vec::new();
            frame.append_to(&mut bytes);
            out.push(bytes);
        });
        moved |= drained.is_ok_and(|count| count > 0);
        for frame in out {
            // What leads nowhere is lost, as on any network.
            let _ = self.network.send(&frame);
        }
        let mut deliver = |bytes: &[u8]| {
            let frame = Frame::new(bytes, FrameHead::default());
            let delivered = shared.deliver(0, [frame]);
            delivered.is_ok_and(|delivery| delivery.delivered == 1)
        };
        let taken = self.network.receive(64, &mut deliver, &mut |_| {});
        moved | taken.is_ok_and(|count| count > 0)
    }

    /// What was heard of the program, which is over.
    pub(crate) fn finish(self) -> Vec<u8> {
        drop(self.network);
        self.speaker.join().expect("no panic")
    }
}
