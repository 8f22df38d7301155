//! An instance and Linux, joined by a tap interface; and what such interfaces carry between Linux and
//! Linux, with the plainest program between two of them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_monitor::{Death, Image, Monitor};
use sprat_switch::port::{Port as _, Tap};
use sprat_switch::switch::{Event, Switch, SwitchOptions};

use crate::{BYTES, RUNS, gigabits, median, name, options};

/// Where `bulk` listens.
const PORT: u16 = 5001;

/// Bytes that Linux writes or reads at a time, as `bulk` does.
const PIECE: usize = 64 << 10;

/// Frames taken from one side before the other has its turn.
const BATCH: usize = 64;

pub(crate) fn measure(monitors: &[Box<dyn Monitor + Send>], image: &Image) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let mut between = Vec::new();
    let mut ours: Vec<Vec<f64>> = vec![Vec::new(); 2 * monitors.len()];
    for _ in 0..RUNS {
        between.push(gigabits(between_two()));
        for (monitor, rates) in monitors.iter().zip(ours.chunks_mut(2)) {
            rates[0].push(gigabits(from_linux(&**monitor, image)));
            rates[1].push(gigabits(to_linux(&**monitor, image)));
        }
    }
    println!("TAP linux both {:.2} 1.00", median(between.clone()));
    for (monitor, rates) in monitors.iter().zip(ours.chunks(2)) {
        for (way, rates) in ["from", "to"].iter().zip(rates) {
            let ratios = rates.iter().zip(&between);
            let ratio = median(ratios.map(|(ours, between)| ours / between).collect());
            let rate = median(rates.clone());
            println!("TAP {} {way} {rate:.2} {ratio:.2}", name(&**monitor));
        }
    }
}

/// A network namespace, until this is dropped, with a tap interface in it.
struct Namespace {
    network: File,
    keeper: Child,
    /// The keeper ends when nobody holds it.
    _input: ChildStdin,
}

impl Namespace {
    fn new() -> Self {
        let mut keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo there; read end"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let input = keeper.stdin.take().expect("its input");
        let mut said = String::new();
        let mut output = BufReader::new(keeper.stdout.take().expect("its output"));
        output.read_line(&mut said).expect("a line");
        let network = File::open(format!("/proc/{}/ns/net", keeper.id())).expect("a namespace");
        Self {
            network,
            keeper,
            _input: input,
        }
    }

    /// Does something on a thread that is in it.
    fn within<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let network = self.network.try_clone().expect("another handle");
        thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(network.as_fd(), kind).expect("its network");
            work()
        })
    }

    /// A tap interface with this address.
    fn tap(&self, number: u8) -> Tap {
        let made = self.within(move || {
            let tap = Tap::open("tap0").expect("a tap interface");
            let address = format!("10.0.0.{number}/24");
            let done = Command::new("ip")
                .args(["address", "add", &address, "dev", "tap0"])
                .status();
            assert!(done.expect("ip starts").success(), "{address}");
            tap
        });
        made.join().expect("a tap interface")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing else is left to do for one that has ended already.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Takes one connection's bytes; how long they took to come.
fn take(listener: &TcpListener) -> Duration {
    let (mut stream, _) = listener.accept().expect("a connection");
    let begin = Instant::now();
    let (mut piece, mut taken) = (vec![0; PIECE], 0);
    while taken < BYTES {
        let count = stream.read(&mut piece).expect("bytes");
        assert!(count > 0, "only {taken} bytes");
        taken += count as u64;
    }
    begin.elapsed()
}

/// Connects to an instance or namespace, which may not listen yet, and sends all; when it was
/// connected.
fn give(number: u8) -> Instant {
    let mut stream = loop {
        match TcpStream::connect((Ipv4Addr::new(10, 0, 0, number), PORT)) {
            Ok(stream) => break stream,
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    };
    let begin = Instant::now();
    let piece = vec![0; PIECE];
    for _ in 0..BYTES / PIECE as u64 {
        stream.write_all(&piece).expect("a way");
    }
    begin
}

/// An instance sends to Linux.
fn to_linux(monitor: &dyn Monitor, image: &Image) -> Duration {
    let namespace = Namespace::new();
    let tap = namespace.tap(1);
    let listening = namespace.within(|| TcpListener::bind(("10.0.0.1", PORT)));
    let listener = listening.join().expect("joined").expect("a listener");
    let taker = thread::spawn(move || take(&listener));
    run(monitor, image, Some(1), tap);
    taker.join().expect("all taken")
}

/// Linux sends to an instance.
fn from_linux(monitor: &dyn Monitor, image: &Image) -> Duration {
    let namespace = Namespace::new();
    let tap = namespace.tap(1);
    let giver = namespace.within(|| give(2));
    let said = run(monitor, image, None, tap);
    let ended = Instant::now();
    assert!(said.contains(&format!("{BYTES} bytes")), "{said}");
    ended.duration_since(giver.join().expect("all given"))
}

/// Runs an instance behind a tap interface to its end; what it has said.
fn run(monitor: &dyn Monitor, image: &Image, to: Option<u8>, tap: Tap) -> String {
    let mut switch = Switch::new(SwitchOptions::default());
    let place = switch.add_place("bulk", &["eth0".into()]);
    let instance = monitor.create(image, &options(2, to)).expect("created");
    switch.put(place, instance);
    let device = switch.devices(place).next().expect("its device");
    let port = switch.add_port("tap0", Box::new(tap));
    switch.wire(port, device);
    let mut said = String::new();
    loop {
        if !switch.turn() {
            switch.rest(u64::MAX, &[]).expect("a rest");
        }
        for event in switch.take_events() {
            match event {
                Event::Ended { death, .. } => {
                    assert!(matches!(*death, Death::Exited(0)), "{death:?} {said}");
                    return said;
                }
                Event::Console { text, .. } => said += &String::from_utf8_lossy(&text),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Linux sends to Linux in another namespace; a thread carries the frames between their interfaces.
fn between_two() -> Duration {
    let (one, other) = (Namespace::new(), Namespace::new());
    let taps = [one.tap(1), other.tap(2)];
    let done = Arc::new(AtomicBool::new(false));
    let relay = {
        let done = Arc::clone(&done);
        thread::spawn(move || relay(taps, &done).expect("interfaces that go on"))
    };
    let listening = other.within(|| TcpListener::bind(("10.0.0.2", PORT)));
    let listener = listening.join().expect("joined").expect("a listener");
    let giver = one.within(|| give(2));
    let time = take(&listener);
    done.store(true, Ordering::Relaxed);
    giver.join().expect("all given");
    relay.join().expect("all carried");
    time
}

/// Carries frames between two interfaces.
fn relay(mut taps: [Tap; 2], done: &AtomicBool) -> Result<()> {
    while !done.load(Ordering::Relaxed) {
        let [one, other] = &mut taps;
        let moved = pass(one, other) + pass(other, one);
        if moved == 0 {
            let mut waiting = taps
                .each_ref()
                .map(|tap| PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN));
            let a_while = Duration::from_millis(100).try_into().ok();
            poll(&mut waiting, a_while.as_ref())?;
        }
    }
    Ok(())
}

/// Carries what has arrived at one interface to the other; how many frames.
fn pass(from: &mut Tap, to: &mut Tap) -> usize {
    let taken = from.receive_bytes(BATCH, &mut |bytes| {
        to.send(&Frame::new(bytes, FrameHead::default()))
            .expect("an interface that goes on");
        true
    });
    taken.expect("an interface that goes on")
}
