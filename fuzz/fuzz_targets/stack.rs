//! Any frames from the link of a service's own network (`sprat-net`), which serves, asks and is in
//! groups: it goes on, sends few frames for each that comes, and still knows its address.
//!
//! The first byte says how it comes by its addresses, the second how much time passes between frames.
#![no_main]

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use libfuzzer_sys::fuzz_target;
use sprat_devices::Clock;
use sprat_fuzz::{answer, fill, records};
use sprat_net::{Configuration, Ipv4, Ipv6, Options, Stack, TcpOptions, UdpOptions};
use sprat_packet::{Batch, Pool};

const HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 5];
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const GROUPS: [&str; 2] = ["224.0.0.251", "ff02::fb"];

/// Frames that are asked for in one turn, and what may come beyond: answers to what was received.
const LIMIT: usize = 32;
const BEYOND: usize = 16;

/// Turns in which all that a frame sets off is done.
const TURNS: usize = 6;

/// Deadlines that are waited for at the end.
const DEADLINES: usize = 60;

const SECOND: u64 = 1_000_000_000;

#[derive(Default)]
struct Manual(Cell<u64>);

impl Clock for Manual {
    fn monotonic(&self) -> u64 {
        self.0.get()
    }

    fn wall(&self) -> i64 {
        0
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A stack and those who use it.
struct Host {
    stack: Stack,
    clock: Rc<Manual>,
    pool: Pool,
    tasks: Vec<Task>,
    sent: Vec<Vec<u8>>,
}

impl Host {
    fn new(ways: u8) -> Self {
        let given = Ipv4::Static { address: ADDRESS, prefix: 24, gateway: Some(NEIGHBOUR) };
        let configuration = Configuration {
            ipv4: if ways & 1 == 0 { given } else { Ipv4::Dhcp },
            ipv6: if ways & 2 == 0 { Ipv6::Slaac } else { Ipv6::Off },
            name_servers: vec![NEIGHBOUR.into()],
            search: vec!["example".into()],
        };
        let (clock, pool) = (Rc::new(Manual::default()), Pool::growing());
        let options = Options { configuration, ..Options::new(HARDWARE, [7; 32]) };
        let stack = Stack::new(options, pool.clone(), clock.clone());
        let tasks: Vec<Task> = vec![
            Box::pin(serve(stack.clone())),
            Box::pin(ask(stack.clone())),
            Box::pin(resolve(stack.clone())),
            Box::pin(gather(stack.clone())),
        ];
        Self { stack, clock, pool, tasks, sent: Vec::new() }
    }

    /// Everything that a frame, or the time, sets off.
    fn settle(&mut self, frame: Option<&[u8]>) {
        let mut received = Batch::new();
        received.extend(frame.map(|frame| self.pool.packet(frame)));
        for _ in 0..TURNS {
            let mut context = Context::from_waker(Waker::noop());
            self.tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
            let mut sent = Batch::new();
            self.stack.poll(&mut received, &mut sent, LIMIT);
            assert!(sent.len() <= LIMIT + BEYOND, "{} frames at once", sent.len());
            let sent: Vec<Vec<u8>> = sent.drain().map(|packet| packet.data().to_vec()).collect();
            if sent.is_empty() {
                break;
            }
            // Whoever is asked for on the link is there.
            received.extend(sent.iter().filter_map(|frame| neighbour(frame)).map(|frame| self.pool.packet(&frame)));
            self.sent.extend(sent);
        }
    }

    fn pass(&mut self, nanoseconds: u64) {
        self.clock.0.set(self.clock.0.get() + nanoseconds);
        self.settle(None);
    }

    /// Whether it says that it has its address.
    fn has_address(&mut self) -> bool {
        self.sent.clear();
        let question = [
            &[0xff; 6][..],
            &[2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9],
            &NEIGHBOUR.octets(),
            &[0; 6],
            &ADDRESS.octets(),
        ];
        self.settle(Some(&question.concat()));
        let says = |frame: &Vec<u8>| frame.get(12..14) == Some(&[8, 6]) && frame.get(20..22) == Some(&[0, 2]) && frame.get(28..32) == Some(&ADDRESS.octets());
        self.sent.iter().any(says)
    }
}

/// The answer to a question for an address of IPv4.
fn neighbour(frame: &[u8]) -> Option<Vec<u8>> {
    let [kind, operation, asked] = [12..14, 20..22, 38..42].map(|field| frame.get(field));
    if kind? != [8, 6] || operation? != [0, 1] || asked? == ADDRESS.octets() {
        return None;
    }
    let hardware = [2, 0, 0, 0, 0, frame[41]];
    let parts = [&frame[6..12], &hardware, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2], &hardware, asked?, &frame[22..32]];
    Some(parts.concat())
}

/// Sends back what it gets, one connection after another.
async fn serve(stack: Stack) {
    let listener = stack.listen(([0, 0, 0, 0], 80), TcpOptions::default()).expect("free");
    loop {
        let (mut stream, _) = listener.accept().await;
        let mut buffer = [0; 512];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
    }
}

/// Asks a server that is not there unless somebody answers.
async fn ask(stack: Stack) {
    let server = SocketAddr::from((NEIGHBOUR, 7));
    let Ok(mut stream) = stack.connect(server, TcpOptions::default()).await else { return };
    let mut buffer = [0; 512];
    let _ = stream.write_all(b"hello").await;
    while let Ok(1..) = stream.read(&mut buffer).await {}
}

async fn resolve(stack: Stack) {
    for name in ["host", "host.example", "a.b"] {
        let _ = stack.resolve(name).await;
    }
}

/// Sends back datagrams, to groups too.
async fn gather(stack: Stack) {
    let socket = stack.bind_udp(([0, 0, 0, 0], 9), UdpOptions::default()).expect("free");
    for group in GROUPS {
        // There is no address yet to be a member with.
        let _ = socket.join(group.parse::<IpAddr>().expect("an address"));
    }
    let mut buffer = [0; 2048];
    while let Ok(datagram) = socket.receive(&mut buffer).await {
        let _ = socket.send(&buffer[..datagram.length], datagram.from, None).await;
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [ways, step, frames @ ..] = bytes else { return };
    let mut host = Host::new(*ways);
    host.settle(None);
    for (flags, mut frame) in records(frames) {
        answer(&mut frame, flags, &host.sent);
        fill(&mut frame, flags);
        host.settle(Some(&frame));
        host.pass(u64::from(*step) * SECOND / 16);
    }
    for _ in 0..DEADLINES {
        let Some(deadline) = host.stack.next_deadline() else { break };
        let wait = deadline.saturating_sub(host.clock.monotonic());
        host.pass(wait.clamp(SECOND / 100, 3600 * SECOND));
    }
    if ways & 1 == 0 {
        assert!(host.has_address(), "it does not answer for its address any more");
    }
});
